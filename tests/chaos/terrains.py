"""Places for storms: one node, three nodes, small disks. Each has its own stack and its own faults."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mpd.ports import free_port
from mpd.stack import Settings, Stack

from tests.chaos.arena import Arena, Faults
from tests.chaos.disk_faults import ON_DISKS, ON_LIMITS, STORE_BYTES_MAX
from tests.chaos.door_faults import AT_THE_DOOR
from tests.chaos.faults import ON_ONE_NODE
from tests.chaos.kernel_faults import AROUND_KERNELS
from tests.chaos.line_faults import ON_THE_LINE, PAYLOAD_BYTES_MAX
from tests.chaos.log_faults import ON_THE_LOG
from tests.chaos.node_faults import ON_CLIENTS_OF_NODES, ON_NODES, whole
from tests.chaos.pooler_faults import BEHIND_A_POOLER
from tests.support.pgbouncer import put_between
from tests.support.programs import Missing, program

_DISKS: Mapping[str, int] = {"nats": 1 << 30, "postgres": 192 << 20}


async def _nothing_more(arena: Arena) -> None:
    del arena


@dataclass(frozen=True)
class Terrain:
    """One kind of place, and what can happen there."""

    name: str
    share: float
    """Of all faults of a storm over every terrain."""
    faults: Faults
    make_stack: Callable[[Path, Settings], Stack]
    nodes: int = 1
    disks: Mapping[str, int] = field(default_factory=dict)
    settled: Callable[[Arena], Awaitable[None]] = _nothing_more
    """The wait for all that must be so before the next fault may come."""
    needs: str | None = None
    """A program of other people (`tests.support.programs`)."""

    def why_not(self) -> str | None:
        """Return the reason why this machine cannot have it; None if it can."""
        try:
            if self.needs is not None:
                program(self.needs)
        except Missing as missing:
            return str(missing)
        return None


def _one_node(folder: Path, settings: Settings) -> Stack:
    stack = Stack(folder, kernels=2, relays=2, projectors=2, gateways=1, http_port=free_port(), settings=settings)
    stack.nats.payload_bytes_max = PAYLOAD_BYTES_MAX
    return stack


def _three_nodes(folder: Path, settings: Settings) -> Stack:
    """With the lease in JetStream: leadership itself must survive the loss of a node."""
    kernel = {**settings["kernel"], "MP_LEASE": "jetstream"}
    return Stack(
        folder,
        kernels=2,
        relays=2,
        projectors=2,
        gateways=1,
        http_port=free_port(),
        replicated=True,
        settings={**settings, "kernel": kernel},
    )


def _small_disks(folder: Path, settings: Settings) -> Stack:
    stack = Stack(folder, kernels=2, relays=2, projectors=2, gateways=1, http_port=free_port(), settings=settings)
    stack.nats.store_bytes_max = STORE_BYTES_MAX
    return stack


def _pooled(folder: Path, settings: Settings) -> Stack:
    stack = _one_node(folder, settings)
    put_between(stack, folder / "pgbouncer", program("pgbouncer"))
    return stack


ONE_NODE = Terrain(
    "one-node", 0.54, {**ON_ONE_NODE, **AROUND_KERNELS, **ON_THE_LINE, **ON_THE_LOG, **AT_THE_DOOR}, _one_node
)
THREE_NODES = Terrain("three-nodes", 0.34, {**ON_NODES, **ON_CLIENTS_OF_NODES}, _three_nodes, nodes=3, settled=whole)
SMALL_DISKS = Terrain("small-disks", 0.04, ON_DISKS, _small_disks, disks=_DISKS)
POOLED = Terrain("pooled", 0.08, BEHIND_A_POOLER, _pooled, needs="pgbouncer")
LIMITS = Terrain("limits", 0.0, ON_LIMITS, _small_disks)
"""The part of the small disks that needs no mount."""
TERRAINS = {terrain.name: terrain for terrain in (ONE_NODE, THREE_NODES, POOLED, SMALL_DISKS, LIMITS)}

"""A cluster in virtual time: processes that die and come back, clients that insist, and the promises none may break."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from mpbus.reader import GENESIS, Commit
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine import outcomes
from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpkernel.adapters.memory import MemoryCommands
from mpkernel.answers import Answers
from mpkernel.leadership import Kernel, Memory
from mpkernel.leases import KeptLease, PairedLease
from mpkernel.loop import Candidacy, Leader
from mpkernel.metrics import KernelMetrics
from mpkernel.sealing import Sealing
from mpkernel.standing import KernelStatus
from mpkernel.timekeeping import Timekeeper
from mpprojector.projector import Projector, ProjectorTiming
from mpprojector.worker import BatchLimits
from mpschema import codec, packs, subjects
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.system import LOG, FeatureLevelRaised, LeaderElected
from mpstore.leases.memory import MemoryLease, MemoryLeases
from mpstore.log.memory import MemoryLog
from mpstore.readmodels.memory import MemoryLedger, MemoryStore
from mpstore.snapshots.memory import MemorySnapshots
from mpviews import VIEWS

from tests.simulation.faults import (
    LATE_SECONDS_MAX,
    FaultyIntake,
    FaultyLease,
    FaultyLog,
    FaultyReplies,
    FaultyServerClock,
    FaultySnapshots,
)
from tests.simulation.node import Node, true_ns
from tests.simulation.projecting import FaultyLedger, Reader
from tests.simulation.riddles import KILLS, RAISES, Riddled
from tests.simulation.script import Script, packed, raise_level, riddle

KERNELS, PROJECTORS, CLIENTS = 3, 2, 4
COMMANDS = 12
"""Of each client."""
LEASE_TTL_SECONDS = 2.0
CLOCK_BOUND_SECONDS = 5.0
PROJECTION_LEASE_SECONDS = 5.0
SNAPSHOT_EVERY = 25
COMMIT_BYTES = 4_000
"""Small commits: messages are split, cascades find no room, and some decisions fit into none."""
LEVEL_BEFORE = 2
"""Of logs that the release before this one founded."""
outcomes.UNPACKED_MAX = 16  # So that they are packed here, too.
GARBAGE = (b'{"stream":"MP_LOG_0","seq":7}\nwhat a server delivers where it is told to', b"\n" * packs.LINES_MAX)
INTRUDER = "system:webhooks:main"
"""The owner of a service's credential, who says where to answer."""
FLOOD = 40
"""Copies of one message, one after the other."""
BATCH_EVENTS = 8
"""Small transactions: more places to be cut off at."""
CALM_AFTER_SECONDS = 60.0
END_SECONDS = 600.0
"""By then every client has its answers, or the seed has found something."""
PROJECTED_SECONDS = 120.0
"""By then, in calm, every projection has what is in the log."""


class CountingMetrics(KernelMetrics):
    """Counts messages that were decided speculatively among the faults, by their end."""

    def __init__(self, faults: Counter[str]) -> None:
        super().__init__()
        self._faults = faults

    def settled(self, *, stands: bool) -> None:
        """See `KernelMetrics`."""
        self._faults["decided ahead" if stands else "undone"] += 1


class Process(Protocol):
    """A kernel or a projector."""

    async def run(self) -> None: ...
    def stop(self) -> None: ...


Tasks = list[asyncio.Task[None]]
Compose = Callable[[str, Node], Process]


@dataclass
class World:
    """Everything that outlives a node: log, command stream, lease keeper, database, and the clients."""

    seed: int
    dice: Random = field(init=False)
    log: MemoryLog = field(default_factory=lambda: MemoryLog(now_ns=true_ns, commit_bytes_max=COMMIT_BYTES))
    commands: MemoryCommands = field(default_factory=MemoryCommands)
    snapshots: MemorySnapshots = field(default_factory=MemorySnapshots)
    store: MemoryStore = field(default_factory=MemoryStore)
    stored: list[tuple[str, str]] = field(default_factory=list)
    """Message and line, and the command in it, in the order in which their stream got them."""
    garbage: set[int] = field(default_factory=set)
    """Positions in the command stream of what no producer sent."""
    replies: dict[str, asyncio.Queue[bytes]] = field(default_factory=dict)
    acknowledged: dict[str, Outcome] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    incarnations: int = 0
    served: bool = False
    """True once every client has its answers."""

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        self.leases = MemoryLeases(self._now)
        """The leases that JetStream keeps: who may lead."""
        self.turns = MemoryLeases(self._now)
        """The leases that Redis keeps: who tries first."""
        self.metrics = CountingMetrics(self.faults)
        self.reader = Reader(self.store, self.log.commits, self.faults)

    async def live(self) -> None:
        """From the first election to the last answer, and until the read models have it."""
        if self.seed % 4 == 3:
            await self._found_before()
        await self._ledger().register(list(VIEWS.values()))
        self.reader.remember()
        running = [asyncio.create_task(self._process(f"k{number}", self._kernel)) for number in range(KERNELS)]
        running += [asyncio.create_task(self._process(f"p{number}", self._projector)) for number in range(PROJECTORS)]
        running.append(asyncio.create_task(self._mischief()))
        try:
            await self._while_whole(self._serve(), running, END_SECONDS)
            await self._while_whole(self._projected(), running, PROJECTED_SECONDS)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _while_whole(
        self, work: Coroutine[Any, Any, None], running: list[asyncio.Task[None]], end: float
    ) -> None:
        """Do the work in time, while whatever must run for ever does. Raises what was found."""
        working = asyncio.create_task(work)
        done, _ = await asyncio.wait([working, *running], timeout=end, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        for task in done:
            task.result()
        halted = [entry.report.error for entry in self.store.entries.values() if entry.report and entry.report.error]
        assert not self.reader.broken, self.reader.broken[0]
        assert not halted, f"a projection halted: {halted}"
        assert working in done, f"not done after {end:g} s of virtual time"

    async def _found_before(self) -> None:
        """A log as the release before this one leaves it: this one leads it at the level that it finds."""
        authorizer = RoleAuthorizer()
        turn = Turn(Shard(), 1, true_ns() // 10**6, authorizer)
        turn.note(Fact(LOG, LOG, LeaderElected(1, "before", ("user:root",), authorizer.digest)), "election_1:0")
        turn.note(Fact(LOG, LOG, FeatureLevelRaised(level=LEVEL_BEFORE)), "election_1:1")
        data = turn.seal(GENESIS.hash).data
        commit_hash = codec.commit_hash(GENESIS.hash, subjects.log_subject("0"), data)
        await self.log.append(data, commit_hash, GENESIS, 0)
        self.faults["founded before"] += 1

    async def _serve(self) -> None:
        await self._client("setup", Script(self.dice).setup())
        scripts = [Script(Random(self.dice.random())).work(f"c{n}", COMMANDS) for n in range(CLIENTS)]
        if self.seed % 5 == 0:
            scripts[0].insert(COMMANDS // 2, riddle(RAISES if self.seed % 10 else KILLS))
        if self.seed % 8 == 7:
            scripts[1].insert(COMMANDS // 2, raise_level())
        await asyncio.gather(*(self._client(f"c{n}", script) for n, script in enumerate(scripts)))
        self.served = True

    async def _projected(self) -> None:
        """Until every projection stands where the log ends, and nothing waits or is left in the command stream."""
        while True:
            await asyncio.sleep(0.5)
            folded = {entry.position.stream_seq for entry in self.store.entries.values()}
            swept = all(row["state"] == "ended" for row in self.store.rows.get("sweeps", {}).values())
            if folded == {len(self.log.commits)} and not self.commands.after(0) and swept:
                return

    async def _mischief(self) -> None:
        """The lease keeper forgets everything, and two lead at once; the database forgets its last moments."""
        while True:
            await asyncio.sleep(self.dice.uniform(1, 10))
            if self._intensity() and self.dice.random() < 0.3:
                self.faults["leases forgotten"] += 1
                self.dice.choice((self.leases, self.turns)).drop("kernel")
            self.reader.remember()
            await asyncio.sleep(self.dice.uniform(0, 0.6))
            if self._intensity() and self.dice.random() < 0.3:
                self.reader.forget()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _intensity(self) -> float:
        """The storm passes, so that everybody can finish."""
        return 0.0 if self.served or self._now() > CALM_AFTER_SECONDS else 1.0

    async def _process(self, name: str, compose: Compose) -> None:
        """One process after the other under a name, each until it dies by itself or by the dice."""
        while True:
            node = self._node()
            self.incarnations += 1
            await self._incarnation(compose(f"{name}-{self.incarnations}", node), node)
            await asyncio.sleep(node.dice.uniform(0.1, 5))

    def _node(self) -> Node:
        return Node(Random(self.dice.random()), self.faults, self._intensity)

    def _reaches_redis(self, name: str) -> bool:
        """Tell whether a kernel reaches Redis now."""
        del name
        return True

    def _lease(self, name: str, node: Node) -> tuple[PairedLease, KeptLease, KeptLease]:
        """One kernel's lease, and its two keepers."""

        def kept(leases: MemoryLeases, keeper: str, reached: Callable[[], bool]) -> KeptLease:
            lease = FaultyLease(MemoryLease(leases, "kernel", name, LEASE_TTL_SECONDS), node, reached)
            return KeptLease(lease, keeper, self.metrics, self._now)

        right = kept(self.leases, "jetstream", lambda: True)
        turn = kept(self.turns, "redis", lambda: self._reaches_redis(name))
        return PairedLease(right, turn, LEASE_TTL_SECONDS, self._now), right, turn

    async def _incarnation(self, process: Process, node: Node) -> None:
        running = asyncio.create_task(process.run())
        dying = asyncio.create_task(node.died.wait())
        lifetime = node.dice.uniform(2, 30) if self._intensity() else None
        try:
            await asyncio.wait([running, dying], timeout=lifetime, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and node.happens("asked to go", 0.5):
                process.stop()
                await asyncio.wait([running, dying], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        finally:
            node.alive = False
            dying.cancel()
            running.cancel()
            results = await asyncio.gather(running, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    def _kernel(self, name: str, node: Node) -> Process:
        log = FaultyLog(self.log, node)
        snapshots = FaultySnapshots(self.snapshots, node)
        candidacy = Candidacy(
            name, subjects.log_subject("0"), ("user:root",), 5.0, process=name, ticks=node.deciding_seconds
        )
        lease, right, turn = self._lease(name, node)
        server_clock = FaultyServerClock(self.log, node)
        timekeeper = Timekeeper(node, server_clock, self.metrics, bound_seconds=CLOCK_BOUND_SECONDS)

        def make_leader(memory: Memory) -> Leader:
            wake = asyncio.Event()
            return Leader(
                candidacy,
                memory.shard,
                memory.position,
                clock=timekeeper,
                writer=log,
                intake=FaultyIntake(self.commands, wake, node),
                answers=Answers(log, FaultyReplies(self.replies, node), memory.places),
                authorizer=Riddled(node),
                sealing=Sealing(snapshots, "simulated", SNAPSHOT_EVERY, wake, access=memory.access),
                metrics=self.metrics,
                wake=wake,
            )

        return Kernel(
            log,
            lease,
            snapshots,
            make_leader,
            timekeeper=timekeeper,
            standing=KernelStatus(
                lease, right, [turn], timekeeper, self.metrics, patience_seconds=LEASE_TTL_SECONDS, now=self._now
            ),
            reducer_digest="simulated",
            renew_seconds=LEASE_TTL_SECONDS / 3,
            metrics=self.metrics,
        )

    def _projector(self, name: str, node: Node) -> Process:
        ledger = FaultyLedger(self._ledger(), node, self.reader)
        pace = ProjectorTiming(limits=BatchLimits(events_max=BATCH_EVENTS))
        return Projector(FaultyLog(self.log, node), ledger, list(VIEWS.values()), name, pace)

    def _ledger(self) -> MemoryLedger:
        return MemoryLedger(self.store, self._now, lease_seconds=PROJECTION_LEASE_SECONDS)

    async def _client(self, name: str, script: list[CommandEnvelope]) -> None:
        inbox = self.replies[name] = asyncio.Queue()
        while script:
            size = self.dice.choice((1, 1, 1, 2, 3, 5, 8))
            await self._insist(name, inbox, {each.command_id: each for each in script[:size]})
            del script[:size]

    async def _insist(self, name: str, inbox: asyncio.Queue[bytes], waiting: dict[str, CommandEnvelope]) -> None:
        """Send a message until all of it is answered; the rest of it packed anew; sometimes more often than needed."""
        pack = list(waiting.values())
        while waiting:
            await self._send(name, pack)
            self._send_more(name, pack)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.dice.uniform(1, 4)):
                    while waiting:
                        self._take(codec.decode_outcomes(await inbox.get()), waiting)
            rest = list(waiting.values())
            pack = rest[: self.dice.randint(1, max(1, len(rest)))]

    def _take(self, outcomes: list[Outcome], waiting: dict[str, CommandEnvelope]) -> None:
        for outcome in outcomes:
            asked = waiting.pop(outcome.command_id, None) or waiting.pop(outcome.request_id, None)
            if asked is not None:
                self.acknowledged[asked.command_id] = outcome

    def _send_more(self, name: str, pack: list[CommandEnvelope]) -> None:
        """A second copy, perhaps long after the answer; or very many."""
        if self.dice.random() < 0.1:
            self.faults["command doubled"] += 1
            late = self.dice.uniform(0, LATE_SECONDS_MAX)
            asyncio.get_running_loop().call_later(late, self._store, name, pack)
        if self._intensity() and self.dice.random() < 0.03:
            self.faults["flooded with repeats"] += 1
            for _ in range(FLOOD):
                self._store(name, pack)

        if self._intensity() and self.dice.random() < 0.05:
            self.faults["garbage delivered"] += 1
            garbage = self.dice.choice(GARBAGE)
            reply_to, sender = self.dice.choice([("", ""), (name, INTRUDER)])
            if not sender:
                self.commands.tell(garbage, reply_to)
            self.garbage.add(self.commands.publish(garbage, reply_to, sender))

    async def _send(self, name: str, pack: list[CommandEnvelope]) -> None:
        """A message is heard on its way, or after it, or not at all; and mostly it is stored, though perhaps later."""
        heard = self.dice.random()
        if heard < 0.8:
            self.commands.tell(packed(pack), name)
        if self.dice.random() < 0.3:
            self.faults["stored late"] += 1
            await asyncio.sleep(self.dice.uniform(0, 0.5))
        if self._intensity() and self.dice.random() < 0.05:
            self.faults["message refused"] += 1
            return
        self._store(name, pack)
        if heard > 0.9:
            self.commands.tell(packed(pack), name)

    def _store(self, name: str, pack: list[CommandEnvelope]) -> None:
        position = self.commands.publish(packed(pack), name)
        self.stored += [(f"{position}_{line}", each.command_id) for line, each in enumerate(pack)]

    async def all_commits(self) -> list[Commit]:
        """The log as it stands, through the verifying reader."""
        head = await self.log.head()
        async for commits in self.log.follow():
            if commits[-1].position == head:
                return commits
        raise AssertionError("the log ended")

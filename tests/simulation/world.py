"""A cluster in virtual time: kernels that die and come back, clients that insist, and the promises none may break."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from mpbus.reader import Commit
from mpkernel.adapters.memory import MemoryCommands, MemoryLease, MemoryLeases, MemoryLog, MemorySnapshots
from mpkernel.answers import Answers
from mpkernel.core.policy import RoleAuthorizer
from mpkernel.core.shard import Shard
from mpkernel.core.snapshot import state_root
from mpkernel.leadership import Kernel, Memory
from mpkernel.loop import Candidacy, Leader
from mpkernel.metrics import Metrics
from mpkernel.sealing import Sealing, open_snapshot
from mpschema import codec, subjects
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.system import LogCheckpointed

from tests.simulation.faults import (
    FaultyIntake,
    FaultyLease,
    FaultyLog,
    FaultyReplies,
    FaultySnapshots,
    Node,
)
from tests.simulation.script import Script
from tests.support.load import audit

LEASE_TTL_SECONDS = 2.0
SNAPSHOT_EVERY = 25
CALM_AFTER_SECONDS = 60.0
END_SECONDS = 600.0
"""By then every client has its answers, or the seed has found something."""
_METRICS = Metrics()


@dataclass
class World:
    """Everything that outlives a node: the log, the command stream, the lease keeper, and the clients."""

    seed: int
    dice: Random = field(init=False)
    log: MemoryLog = field(default_factory=MemoryLog)
    commands: MemoryCommands = field(default_factory=MemoryCommands)
    snapshots: MemorySnapshots = field(default_factory=MemorySnapshots)
    replies: dict[str, asyncio.Queue[bytes]] = field(default_factory=dict)
    acknowledged: dict[str, Outcome] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        self.leases = MemoryLeases(lambda: asyncio.get_running_loop().time())

    async def live(self, kernels: int = 3, clients: int = 4, commands: int = 12) -> None:
        """From the first election to the last answer."""
        running = [asyncio.create_task(self._kernel(f"k{number}")) for number in range(kernels)]
        running.append(asyncio.create_task(self._mischief()))
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._client("setup", Script(self.dice).setup())
                scripts = [Script(Random(self.dice.random())).work(f"c{n}", commands) for n in range(clients)]
                await asyncio.gather(*(self._client(f"c{n}", script) for n, script in enumerate(scripts)))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _mischief(self) -> None:
        """The lease keeper forgets everything now and then: two leaders at once."""
        while True:
            await asyncio.sleep(self.dice.uniform(1, 10))
            if self._intensity() and self.dice.random() < 0.3:
                self.faults["leases forgotten"] += 1
                self.leases.drop("kernel")

    def _intensity(self) -> float:
        """The storm passes, so that everybody can finish."""
        return 1.0 if asyncio.get_running_loop().time() < CALM_AFTER_SECONDS else 0.0

    async def _kernel(self, name: str) -> None:
        while True:
            node = Node(Random(self.dice.random()), self.faults, self._intensity())
            self.nodes.append(node)
            await self._incarnation(name, node)
            await asyncio.sleep(node.dice.uniform(0.1, 5))

    async def _incarnation(self, name: str, node: Node) -> None:
        """One process, until it dies by itself or by the dice."""
        running = asyncio.create_task(self._compose(name, node).run())
        dying = asyncio.create_task(node.died.wait())
        lifetime = node.dice.uniform(2, 30) if node.intensity else None
        try:
            await asyncio.wait([running, dying], timeout=lifetime, return_when=asyncio.FIRST_COMPLETED)
        finally:
            node.alive = False
            dying.cancel()
            running.cancel()
            results = await asyncio.gather(running, return_exceptions=True)
        if results and isinstance(results[0], Exception):
            raise results[0]

    def _compose(self, name: str, node: Node) -> Kernel:
        log = FaultyLog(self.log, node)
        snapshots = FaultySnapshots(self.snapshots, node)
        candidacy = Candidacy(name, subjects.log_subject("0"), ("user:root",), 5.0)

        def make_leader(memory: Memory) -> Leader:
            wake = asyncio.Event()
            return Leader(
                candidacy,
                memory.shard,
                memory.position,
                clock=node,
                writer=log,
                intake=FaultyIntake(self.commands, wake, node),
                answers=Answers(log, FaultyReplies(self.replies, node), memory.places),
                authorizer=RoleAuthorizer(),
                sealing=Sealing(snapshots, "simulated", SNAPSHOT_EVERY, wake),
                metrics=_METRICS,
                wake=wake,
            )

        return Kernel(
            log,
            FaultyLease(MemoryLease(self.leases, "kernel", f"{name}-{len(self.nodes)}", LEASE_TTL_SECONDS), node),
            snapshots,
            make_leader,
            reducer_digest="simulated",
            renew_seconds=LEASE_TTL_SECONDS / 3,
            metrics=_METRICS,
        )

    async def _client(self, name: str, script: list[CommandEnvelope]) -> None:
        inbox = self.replies[name] = asyncio.Queue()
        for envelope in script:
            outcome = await self._insist(name, inbox, envelope)
            self.acknowledged[envelope.command_id] = outcome

    async def _insist(self, name: str, inbox: asyncio.Queue[bytes], envelope: CommandEnvelope) -> Outcome:
        """Send until it is answered; sometimes more often than needed."""
        while True:
            for _ in range(2 if self.dice.random() < 0.1 else 1):
                self.commands.publish(codec.encode(envelope), name)
            try:
                async with asyncio.timeout(self.dice.uniform(1, 4)):
                    while True:
                        for outcome in codec.decode_outcomes(await inbox.get()):
                            if envelope.command_id in (outcome.command_id, outcome.request_id):
                                return outcome
            except TimeoutError:
                continue

    async def all_commits(self) -> list[Commit]:
        """The log as it stands, through the verifying reader."""
        head = await self.log.head()
        async for commits in self.log.follow():
            if commits[-1].position == head:
                return commits
        raise AssertionError("the log ended")

    async def check(self) -> None:
        """The promises. Each failure names what was broken."""
        commits = await self.all_commits()
        audit([record for commit in commits for record in commit.records], self.acknowledged)
        shard, roots = Shard(), {}
        for commit in commits:
            shard.fold(commit.header, commit.records)
            roots[commit.position.seq] = state_root(shard) if _is_checkpointed(commits, commit) else ""
        for commit in commits:
            for record in commit.records:
                if isinstance(record.event, LogCheckpointed):
                    assert roots[record.event.at_seq] == record.event.state_root, f"state root at {record.event.at_seq}"
        await self._check_snapshot(commits)

    async def _check_snapshot(self, commits: list[Commit]) -> None:
        opened = open_snapshot(await self.snapshots.load() or b"{}\n", "simulated")
        if opened is None:
            return
        shard, position = opened
        for commit in commits[position.stream_seq :]:
            shard.fold(commit.header, commit.records)
        fresh = Shard()
        for commit in commits:
            fresh.fold(commit.header, commit.records)
        assert state_root(shard) == state_root(fresh), f"the snapshot at {position.seq} leads elsewhere"


def _is_checkpointed(commits: list[Commit], commit: Commit) -> bool:
    wanted = {r.event.at_seq for c in commits for r in c.records if isinstance(r.event, LogCheckpointed)}
    return commit.position.seq in wanted

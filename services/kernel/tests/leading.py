"""A leader on an intake, a log and a clock in memory, and what its commands are."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from mpbus.reader import GENESIS, LogPosition
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpkernel.adapters.memory import MemoryCommands, MemoryIntake
from mpkernel.answers import Answers, Places
from mpkernel.loop import Candidacy, Leader
from mpkernel.metrics import KernelMetrics
from mpkernel.ports import CommandMessage, RecordedTime
from mpkernel.sealing import Sealing
from mpschema import codec, subjects
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.project import CreateProject
from mpschema.task import ClaimTask, CreateTask, MarkTaskReady
from mpschema.workspace import CreateWorkspace
from mpstore.log.memory import MemoryLog
from mpstore.snapshots.memory import MemorySnapshots

from tests.support import eventually

ROOT = "user:root"


def command(command_id: str, kind: str, workspace_id: str, target: str, arguments: Command) -> bytes:
    """A command of the operator on the wire."""
    return codec.encode(
        CommandEnvelope(
            command_id=command_id,
            type=kind,
            workspace_id=workspace_id,
            principal=ROOT,
            target=target,
            payload=msgspec.Raw(codec.encode(arguments)),
        )
    )


def workspace(name: str) -> bytes:
    """A command that makes a workspace."""
    return command(f"w-{name}", "workspace.create", name, name, CreateWorkspace(name=name))


CLAIMED = b"\n".join(
    [
        workspace("acme"),
        command("p", "project.create", "acme", "core", CreateProject(name="core")),
        command("t", "task.create", "acme", "t1", CreateTask(project_id="core", title="Write it down")),
        command("r", "task.mark_ready", "acme", "t1", MarkTaskReady()),
        command("c", "task.claim", "acme", "t1", ClaimTask(ttl_seconds=60)),
    ]
)


@dataclass
class CountingClock:
    """A clock that can be put forward, and knows how often it was read."""

    forward_ms: int = 0
    reads: int = 0

    def begin(self, at_least_ms: int) -> None:
        """See `RecordedTime`."""

    async def confirm(self, stream_seq: int) -> None:
        """See `RecordedTime`."""

    def now_ms(self) -> int:
        """See `RecordedTime`."""
        self.reads += 1
        return time.time_ns() // 1_000_000 + self.forward_ms


class HeldLog(MemoryLog):
    """A log that can be made to wait before it stores."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        super().__init__(now_ns=now_ns)
        self.open = asyncio.Event()
        self.open.set()
        self.room: int | None = None
        """The number of commits it still stores before it waits."""
        self.sizes: list[int] = []
        """The bytes of each commit."""

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """See `LogWriter`."""
        if self.room == 0:
            self.open.clear()
            self.room = None
        await self.open.wait()
        self.room = None if self.room is None else self.room - 1
        self.sizes.append(len(data))
        return await super().append(data, commit_hash, after, deadline_seconds)


class CountedIntake(MemoryIntake):
    """An intake that knows how many messages were taken from it."""

    taken = 0

    def take_nowait(self) -> list[CommandMessage]:
        """See `Intake`."""
        messages = super().take_nowait()
        self.taken += len(messages)
        return messages


@dataclass
class Place:
    """A leader, and what is around it."""

    shard: Shard = field(default_factory=Shard)
    log: HeldLog = field(default_factory=HeldLog)
    commands: MemoryCommands = field(default_factory=MemoryCommands)
    clock: CountingClock = field(default_factory=CountingClock)
    timekeeper: RecordedTime | None = None
    """In place of the clock, where there is one."""
    ticks: Callable[[], float] = float
    """Of turns: deciding takes no time, unless the test says so."""
    answered: list[str] = field(default_factory=list)
    position: LogPosition = GENESIS
    places: Places = field(default_factory=Places)
    process: str = "k1-a"
    snapshots: MemorySnapshots = field(default_factory=MemorySnapshots)
    snapshot_every: int = 0
    leading: asyncio.Task[str] | None = None

    async def send(self, reply_to: str, data: bytes) -> None:
        """An answer, as `Replies` sends it."""
        assert reply_to == "replies"
        self.answered += [outcome.command_id for outcome in codec.decode_outcomes(data)]

    def leader(self) -> Leader:
        wake = asyncio.Event()
        self.intake = CountedIntake(self.commands, wake)
        return Leader(
            Candidacy("k1", subjects.log_subject("0"), (ROOT,), 5.0, self.process, ticks=self.ticks),
            self.shard,
            self.position,
            clock=self.timekeeper or self.clock,
            writer=self.log,
            intake=self.intake,
            answers=Answers(self.log, self, self.places),
            authorizer=RoleAuthorizer(),
            sealing=Sealing(self.snapshots, "x", self.snapshot_every, wake),
            metrics=KernelMetrics(),
            wake=wake,
        )

    async def begin(self) -> None:
        """The next leadership, elected."""
        self.led = self.leader()
        commits = len(self.log.commits)
        self.leading = asyncio.create_task(self.led.lead())
        await eventually(lambda: len(self.log.commits) > commits)

    async def end(self) -> None:
        """Its end, as asked for."""
        assert self.leading is not None
        self.led.step_down("the test is over")
        assert await self.leading == "the test is over"
        self.position = self.led.position

    async def lose(self) -> None:
        """Its end in the middle of everything; what it knew is lost, and the log is all there is."""
        assert self.leading is not None
        self.leading.cancel()
        await asyncio.gather(self.leading, return_exceptions=True)
        self.shard, self.places = Shard(), Places()
        for commit in self.log.commits:
            self.shard.fold(commit.header, commit.records)
            self.places.add(commit.header.first_seq, commit.stream_seq)
            self.position = commit.position

    async def decided(self, *names: str) -> None:
        """Until the leader's state holds these workspaces, and no others."""
        await eventually(lambda: set(self.shard.world.tenants) == set(names))

"""What is decided ahead is an answer only once its stream says it, and leaves no trace otherwise."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import pytest
import pytest_asyncio
from mpbus.reader import GENESIS
from mpkernel.adapters.clock import SystemClock
from mpkernel.adapters.memory import MemoryCommands, MemoryIntake, MemoryLog, MemorySnapshots
from mpkernel.answers import Answers, Places
from mpkernel.core.policy import RoleAuthorizer
from mpkernel.core.shard import Shard
from mpkernel.core.snapshot import state_root
from mpkernel.loop import Candidacy, Leader
from mpkernel.metrics import Metrics
from mpkernel.sealing import Sealing
from mpschema import codec, subjects
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.project import CreateProject
from mpschema.task import ClaimTask, CreateTask, MarkTaskReady
from mpschema.workspace import CreateWorkspace

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

    def now_ms(self) -> int:
        """See `Clock`."""
        self.reads += 1
        return SystemClock().now_ms() + self.forward_ms


@dataclass
class Place:
    """A leader, and what is around it."""

    shard: Shard = field(default_factory=Shard)
    log: MemoryLog = field(default_factory=MemoryLog)
    commands: MemoryCommands = field(default_factory=MemoryCommands)
    clock: CountingClock = field(default_factory=CountingClock)
    answered: list[str] = field(default_factory=list)

    async def send(self, reply_to: str, data: bytes) -> None:
        """An answer, as `Replies` sends it."""
        assert reply_to == "replies"
        self.answered += [outcome.command_id for outcome in codec.decode_outcomes(data)]

    def leader(self) -> Leader:
        wake = asyncio.Event()
        return Leader(
            Candidacy("k1", subjects.log_subject("0"), (ROOT,), 5.0),
            self.shard,
            GENESIS,
            clock=self.clock,
            writer=self.log,
            intake=MemoryIntake(self.commands, wake),
            answers=Answers(self.log, self, Places()),
            authorizer=RoleAuthorizer(),
            sealing=Sealing(MemorySnapshots(), "x", 0, wake),
            metrics=Metrics(),
            wake=wake,
        )

    async def decided(self, *names: str) -> None:
        """Until the leader's state holds these workspaces, and no others."""
        await eventually(lambda: set(self.shard.world.workspaces) == set(names))


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    """A leader that was elected, with nothing to do."""
    place = Place()
    leader = place.leader()
    leading = asyncio.create_task(leader.lead())
    await eventually(lambda: len(place.log.commits) == 1)
    yield place
    leader.step_down("the test is over")
    assert await leading == "the test is over"


async def test_what_is_decided_ahead_waits_for_its_stream(place: Place) -> None:
    place.commands.tell(workspace("acme"), "replies")
    await place.decided("acme")
    assert (len(place.log.commits), place.answered) == (1, [])
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    assert len(place.log.commits) == 2


async def test_what_the_stream_says_instead_is_decided(place: Place) -> None:
    place.commands.tell(workspace("acme"), "replies")
    await place.decided("acme")
    place.commands.publish(workspace("beta"), "replies")
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-beta", "w-acme"])
    assert place.shard.command_position == 2


async def test_what_its_stream_never_says_is_undone(place: Place) -> None:
    before = state_root(place.shard)
    place.commands.tell(workspace("acme"), "replies")
    await place.decided("acme")
    await place.decided()
    assert state_root(place.shard) == before
    assert (len(place.log.commits), place.answered) == (1, [])


async def test_a_timer_waits_for_what_was_decided_ahead_and_the_leader_sleeps_meanwhile(place: Place) -> None:
    place.commands.publish(CLAIMED, "replies")
    await eventually(lambda: place.answered[-1:] == ["c"])
    place.clock.forward_ms = 59_900
    place.commands.tell(workspace("beta"), "replies")
    place.clock.reads = 0
    await place.decided("acme", "beta")
    await eventually(lambda: len(place.log.commits) == 3)
    assert [record.name for record in place.log.commits[-1].records] == ["TimerFired", "TaskLeaseExpired"]
    assert place.clock.reads < 20
    await place.decided("acme")


@pytest.mark.parametrize("other", [b"junk", workspace("beta")])
async def test_only_the_same_message_stands(place: Place, other: bytes) -> None:
    place.commands.tell(workspace("acme") + b"\n" + other, "replies")
    await place.decided("acme", *(["beta"] if b"beta" in other else []))
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    assert set(place.shard.world.workspaces) == {"acme"}
    assert {record.command_id for record in place.log.commits[-1].records} == {"w-acme"}


async def test_what_is_consumed_leaves_its_stream_when_nothing_more_comes(place: Place) -> None:
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    await eventually(lambda: not place.commands.after(0))

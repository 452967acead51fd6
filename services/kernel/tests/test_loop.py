"""Speculative execution: a decision is answered only once the stream delivers its message, else it leaves no trace."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog
from mpcore.engine import turn as turns
from mpcore.engine.commit import COMMANDS_MAX
from mpcore.engine.snapshot import state_root
from mpcore.engine.timers import Timer
from mpkernel import loop
from mpkernel.adapters.memory import MemoryCommands
from mpkernel.ports import CommandsRenumbered
from mpschema import packs
from mpschema.task import ClaimTask, CreateTask, MarkTaskReady
from mpstore.log import HEADER_BYTES
from mpstore.snapshots.memory import MemorySnapshots
from prometheus_client import REGISTRY

from services.kernel.tests.leading import CLAIMED, Place, command, workspace
from tests.support import eventually


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    """A leader that was elected, with nothing to do."""
    place = Place()
    await place.begin()
    yield place
    await place.end()


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
    assert set(place.shard.world.tenants) == {"acme"}
    assert {record.command_id for record in place.log.commits[-1].records} == {"w-acme"}


async def test_what_is_consumed_leaves_its_stream_when_nothing_more_comes(place: Place) -> None:
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    await eventually(lambda: not place.commands.after(0))


async def test_repeats_alone_leave_their_stream_though_nothing_is_stored_for_them(place: Place) -> None:
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    for _ in range(300):
        place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: len(place.answered) > 1)
    assert len(place.log.commits) == 2
    await eventually(lambda: not place.commands.after(0))


async def test_what_follows_a_commit_in_flight_is_neither_answered_nor_gone(place: Place) -> None:
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: not place.commands.after(0))
    place.log.open.clear()
    place.commands.publish(workspace("beta"), "replies")
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.shard.command_position == 3)
    assert (place.answered, len(place.commands.after(0))) == (["w-acme"], 2)
    place.log.open.set()
    await eventually(lambda: place.answered == ["w-acme", "w-beta", "w-acme"])
    await eventually(lambda: not place.commands.after(0))


async def test_a_leader_takes_no_more_messages_than_it_can_decide_soon(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait in the stream, whose limit refuses more; a leader's memory has none."""
    monkeypatch.setattr(loop, "BACKLOG_MESSAGES_MAX", 5)
    place.log.room = 0
    place.commands.publish(workspace("first"), "replies")
    await eventually(lambda: not place.log.open.is_set())
    names = [f"w{number}" for number in range(1_000)]
    place.commands.publish(b"\n".join(map(workspace, names)), "replies")
    await place.decided("first", *names)
    for number in range(20):
        place.commands.publish(workspace(f"late{number}"), "replies")
        for _ in range(5):  # The leader has its turn, and takes what there is.
            await asyncio.sleep(0)
    taken = place.intake.taken
    place.log.open.set()
    await eventually(lambda: place.answered[-1:] == ["w-late19"])
    assert taken == 2 + 5


async def test_a_new_leader_discards_repeats_that_came_after_the_last_commit(place: Place) -> None:
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    await place.end()
    for _ in range(3):
        place.commands.publish(workspace("acme"), "replies")
    await place.begin()
    await eventually(lambda: not place.commands.after(0))
    await eventually(lambda: place.answered == ["w-acme"] * 4)
    assert len(place.log.commits) == 3


async def test_a_message_longer_than_a_turn_is_answered_line_by_line_and_what_follows_waits(
    place: Place,
) -> None:
    names = [f"w{number}" for number in range(packs.LINES_MAX)]
    place.commands.publish(b"\n".join(map(workspace, names)), "replies")
    place.commands.publish(workspace("last"), "replies")
    await eventually(lambda: len(place.answered) == len(names) + 1)
    assert place.answered == [f"w-{name}" for name in [*names, "last"]]
    headers = [commit.header for commit in place.log.commits]
    lines = [header.command_line for header in headers if header.command_line]
    assert lines == [COMMANDS_MAX]
    assert (headers[-1].command_position, headers[-1].command_line) == (2, 0)
    await eventually(lambda: not place.commands.after(0))


async def test_a_message_decided_ahead_in_part_is_decided_to_its_end_once_it_arrives() -> None:
    place = Place(ticks=itertools.count().__next__)  # Each look at it says that the turn is full.
    await place.begin()
    names = [f"w{number}" for number in range(3)]
    data = b"\n".join(map(workspace, names))
    place.commands.tell(data, "replies")
    place.commands.publish(data, "replies")
    await eventually(lambda: place.answered == [f"w-{name}" for name in names])
    lines = [commit.header.command_line for commit in place.log.commits[1:]]
    assert lines == [1, 2, 0], "the first line was decided ahead, alone"
    await place.end()


async def test_the_next_leader_goes_on_in_the_middle_of_a_message(place: Place) -> None:
    names = [f"w{number}" for number in range(packs.LINES_MAX)]
    place.log.room = 1
    place.commands.publish(b"\n".join(map(workspace, names)), "replies")
    await eventually(lambda: not place.log.open.is_set())
    await place.lose()
    place.log.open.set()
    await place.begin()
    await eventually(lambda: place.answered == [f"w-{name}" for name in names])
    decided = [record.command_id for commit in place.log.commits for record in commit.records if record.digest]
    assert decided == [f"w-{name}" for name in names]


async def test_no_leader_is_elected_beside_a_command_stream_made_anew() -> None:
    place = Place()
    await place.begin()
    for name in ("a", "b"):
        place.commands.publish(workspace(name), "replies")
    await eventually(lambda: place.answered == ["w-a", "w-b"])
    await place.end()
    commits, place.commands = len(place.log.commits), MemoryCommands()
    place.commands.publish(workspace("c"), "replies")
    with pytest.raises(CommandsRenumbered, match="1 messages that wait would pass for consumed"):
        await place.leader().lead()
    assert len(place.log.commits) == commits
    assert len(place.commands.after(0)) == 1


async def _claims(place: Place, many: int) -> None:
    """So many leases more, each of a minute."""
    lines: list[bytes] = []
    for name in map(str, range(many)):
        lines += [
            command(f"t-{name}", "task.create", "acme", name, CreateTask(project_id="core", title="Write it down")),
            command(f"r-{name}", "task.mark_ready", "acme", name, MarkTaskReady()),
            command(f"c-{name}", "task.claim", "acme", name, ClaimTask(ttl_seconds=60)),
        ]
    place.commands.publish(CLAIMED, "replies")
    place.commands.publish(b"\n".join(lines), "replies")
    await eventually(lambda: place.answered[-1:] == [f"c-{many - 1}"])


def _fired(place: Place) -> list[int]:
    """Return the number of fired timers in each commit."""
    return [sum(record.name == "TimerFired" for record in commit.records) for commit in place.log.commits]


async def test_timers_that_are_due_together_fill_no_turn_beyond_half_a_commit() -> None:
    place = Place()
    place.log.commit_bytes_max = 8_000
    await place.begin()
    await _claims(place, 40)
    before = len(place.log.commits)
    place.clock.forward_ms = 61_000
    place.commands.publish(workspace("beta"), "replies")
    await eventually(lambda: sum(_fired(place)) == 41 and place.answered[-1:] == ["w-beta"])
    assert max(place.log.sizes[before:]) < 4_000 + place.log.sizes[before] / _fired(place)[before] + HEADER_BYTES
    await place.end()


async def test_timers_fire_while_commands_fill_every_turn(place: Place) -> None:
    await _claims(place, 1)
    place.log.room = 1
    names = [f"w{number}" for number in range(4_500)]
    for first in range(0, len(names), packs.LINES_MAX):
        place.commands.publish(b"\n".join(map(workspace, names[first : first + packs.LINES_MAX])), "replies")
    await eventually(lambda: not place.log.open.is_set())
    place.clock.forward_ms = 61_000
    place.log.open.set()
    await eventually(lambda: place.answered[-1:] == [f"w-{names[-1]}"])
    assert sum(_fired(place)[:-1]) == 2


def counted(name: str, **labels: str) -> float:
    """A counter of this process."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_timer_that_fails_alone_is_told_and_counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise ZeroDivisionError

    waiting = [Timer("acme", "task_lease", "task", "t1", 1, 0)]
    monkeypatch.setattr(turns, "fired", raises)
    monkeypatch.setattr(turns, "waits", lambda *_: True)
    monkeypatch.setattr(turns, "set_aside", lambda *_: None)
    monkeypatch.setattr(loop, "next_due", lambda _: 0 if waiting else None)
    monkeypatch.setattr(loop, "due", lambda *_: [waiting.pop()])
    before = counted("mp_kernel_faults_total", kind="timer")
    with structlog.testing.capture_logs() as logs:
        await eventually(lambda: counted("mp_kernel_faults_total", kind="timer") == before + 1)
    told = [entry for entry in logs if entry["event"] == "turn.fault"]
    assert [(entry["kind"], entry["what"]) for entry in told] == [("timer", "task_lease of acme/t1")]


async def test_repeats_of_a_turn_that_records_nothing_are_counted(place: Place) -> None:
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"])
    before = counted("mp_kernel_repeats_total")
    place.commands.publish(workspace("acme"), "replies")
    await eventually(lambda: place.answered == ["w-acme"] * 2)
    assert counted("mp_kernel_repeats_total") == before + 1


class SlowSnapshots(MemorySnapshots):
    """Takes a snapshot, and stores it when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def store(self, data: bytes) -> None:
        self.begun.set()
        await self.go.wait()
        await super().store(data)


async def test_who_leads_no_more_stores_no_snapshot_over_the_next_leaders() -> None:
    slow, others = SlowSnapshots(), asyncio.all_tasks()
    place = Place(snapshots=slow, snapshot_every=1)
    await place.begin()
    await slow.begun.wait()
    own = asyncio.all_tasks() - others
    await place.end()
    await eventually(lambda: all(task.done() for task in own))  # Its snapshot goes with it.
    slow.go.set()
    assert await slow.load() is None

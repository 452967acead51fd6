"""Timers: deadlines surface in one order, fire once, and become nothing when what they waited for has changed."""

from mpcore.engine.timers import due, next_due, waits
from mpcore.state.deadlines import Deadlines, Key
from mpschema.system import TimerFired
from mpschema.task import BlockTask, RenewTask, StartTask, TaskLeaseExpired, TaskState
from mpschema.workspace import FreezeWorkspace

from libs.mpcore.tests.story import ACME, DEVELOPER, OWNER, Step, Story, acme, claimed, ready, task


def held(*task_ids: str, ttl_seconds: int = 60) -> Story:
    """These tasks, each claimed for a minute."""
    story = acme()
    for task_id in task_ids:
        story.given(task(task_id), ready(task_id), claimed(task_id, ttl_seconds=ttl_seconds))
    return story


def key(name: str) -> Key:
    return ("acme", "kind", name, 0)


def test_nothing_is_due_in_a_quiet_world() -> None:
    story = acme()
    assert next_due(story.world) is None
    assert due(story.world, 10**15, 10) == []


def test_a_lease_that_is_not_renewed_expires() -> None:
    story = held("t1")
    expires_at_ms = story.now_ms + 60_000
    assert next_due(story.world) == expires_at_ms
    assert [fact.event for fact in story.later(60)] == [
        TimerFired(expires_at_ms, "task_lease"), TaskLeaseExpired(1, DEVELOPER)
    ]  # fmt: skip
    assert story.task().state is TaskState.READY
    assert next_due(story.world) is None


def test_a_lease_in_progress_expires_too() -> None:
    story = held("t1").given(Step(StartTask(1), "t1"))
    story.later(60)
    assert story.task().state is TaskState.READY


def test_a_timer_fires_once() -> None:
    story = held("t1")
    timer = due(story.world, story.now_ms + 60_000, 1)[0]
    story.later(60)
    assert not waits(story.world, timer)
    assert story.later(0) == []


def test_a_timer_whose_deadline_moved_becomes_nothing() -> None:
    story = held("t1", "t2")
    timers = due(story.world, story.now_ms + 60_000, 2)
    story.now_ms += 1_000
    story.given(Step(RenewTask(1, 60), "t1"), Step(BlockTask("x"), "t2"))
    assert not any(waits(story.world, timer) for timer in timers)
    assert next_due(story.world) == story.now_ms + 60_000


def test_the_same_deadline_has_the_same_id_and_no_other_has() -> None:
    story = held("t1", "t2")
    timers = due(story.world, story.now_ms + 60_000, 2)
    assert [timer.id for timer in timers] == [timer.id for timer in due(story.world, story.now_ms + 60_000, 2)]
    story.now_ms += 1_000
    story.given(Step(RenewTask(1, 60), "t1"))
    later = due(story.world, story.now_ms + 60_000, 2)
    assert len({timer.id for timer in timers + later}) == 3


def test_equal_deadlines_come_in_the_order_of_their_names_a_few_at_a_time() -> None:
    story = held("t3", "t1", "t2")
    at_ms = story.now_ms + 60_000
    assert [timer.aggregate_id for timer in due(story.world, at_ms, 10)] == ["t1", "t2", "t3"]
    assert [timer.aggregate_id for timer in due(story.world, at_ms, 2)] == ["t1", "t2"]
    assert due(story.world, at_ms - 1, 10) == []


def test_time_passes_in_a_frozen_workspace_as_well() -> None:
    story = held("t1").given(Step(FreezeWorkspace("x"), ACME, OWNER))
    story.later(60)
    assert story.task().state is TaskState.READY


def test_a_deadline_set_twice_is_due_once() -> None:
    deadlines = Deadlines()
    for _ in range(2):
        deadlines.set(key("a"), 5)
        deadlines.clear(key("a"))
    deadlines.set(key("a"), 5)
    assert deadlines.until(5, 10) == [(5, key("a"))]


def test_a_deadline_that_moves_is_due_at_its_last_time_alone() -> None:
    deadlines = Deadlines()
    for due_ms in (5, 9, 7):
        deadlines.set(key("a"), due_ms)
    assert deadlines.soonest() == 7
    assert deadlines.until(9, 10) == [(7, key("a"))]


def test_deadlines_take_no_more_room_than_what_waits() -> None:
    deadlines = Deadlines()
    for due_ms in range(10_000):
        deadlines.set(key("a"), due_ms)
    assert len(deadlines) <= 100
    assert deadlines.until(10_000, 10) == [(9_999, key("a"))]

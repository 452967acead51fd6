"""Packing of finished aggregates, from level 4 on. No decision, no rollback and no root shows it."""

from __future__ import annotations

import pytest
from mpcore.domain.task.state import Task
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen, state_root, thaw
from mpschema.levels import HOUSE_LEVEL
from mpschema.rejections import Code
from mpschema.task import CancelTask, LinkKind, LinkTask, ReopenTask, TaskState

from services.kernel.tests.test_turn import CREATE, Run, line, only

TASKS = [f"t{number}" for number in range(8)]


@pytest.fixture
def run() -> Run:
    """Eight tasks, every second of them canceled at level 4."""
    run = Run()
    run.raise_level(HOUSE_LEVEL)
    run.decide(*[line(f"c-{name}", CREATE, name) for name in TASKS])
    run.decide(*[line(f"d-{name}", CancelTask(reason="no"), name) for name in TASKS[::2]])
    run.decide(line("settle", CREATE, "another"))
    return run


def live(shard: Shard) -> list[str]:
    """The tasks that are not packed."""
    return sorted(dict.keys(shard.world.tenants["acme"].indexes["task"].by_id))


def task(shard: Shard, name: str) -> Task:
    found = shard.world.tenants["acme"].indexes["task"].by_id[name]
    assert isinstance(found, Task)
    return found


def test_what_finished_is_packed_and_reads_as_before(run: Run) -> None:
    assert live(run.shard) == sorted([*TASKS[1::2], "another"])
    assert (task(run.shard, "t0").state, task(run.shard, "t0").version) == (TaskState.CANCELED, 2)


def test_a_snapshot_keeps_what_is_packed_and_packs_what_was_not(run: Run) -> None:
    run.decide(line("d-t1", CancelTask(reason="no"), "t1"))
    assert "t1" in live(run.shard)
    thawed = thaw(b"".join(Frozen(run.shard).chunks()))
    assert state_root(thawed) == state_root(run.shard) == state_root(run.replayed())
    assert "t1" not in live(thawed)


@pytest.mark.parametrize("again", [False, True])
def test_a_packed_task_is_reopened_and_finishes_again(run: Run, *, again: bool) -> None:
    assert only(run.decide(line("r", ReopenTask(reason="yes"), "t0"))).version == 3
    if again:
        run.decide(line("d", CancelTask(reason="no"), "t0"))
        run.decide(line("e", CREATE, "e"))
    assert (task(run.shard, "t0").version, "t0" in live(run.shard)) == (4 if again else 3, not again)
    assert state_root(run.shard) == state_root(run.replayed()) == state_root(thaw(b"".join(Frozen(run.shard).chunks())))


def test_a_packed_task_exists_for_every_rule(run: Run) -> None:
    assert only(run.decide(line("x", CREATE, "t0"))).code is Code.ALREADY_EXISTS
    assert only(run.decide(line("y", CancelTask(reason="no"), "t0"))).code is Code.INVALID_STATE
    assert only(run.decide(line("z", LinkTask(kind=LinkKind.RELATES, to="t0"), "t1"))).accepted


def test_a_rollback_over_a_packed_task_leaves_no_trace(run: Run) -> None:
    before = state_root(run.shard)
    ahead = run.turn()
    ahead.revocable = True
    lines = [line("r", ReopenTask(reason="yes"), "t0"), line("d", CancelTask(reason="no"), "t1")]
    ahead.take(run.position + 1, "replies", b"\n".join(lines))
    assert state_root(run.shard) != before
    ahead.undo.run()
    assert state_root(run.shard) == before
    run.decide(*lines)
    assert state_root(run.shard) == state_root(run.replayed())


def test_below_the_level_nothing_is_packed_and_what_had_finished_is_packed_when_it_is_loaded() -> None:
    run = Run()
    run.raise_level(HOUSE_LEVEL - 1)
    run.decide(line("c", CREATE, "t0"), line("d", CancelTask(reason="no"), "t0"))
    run.decide(line("e", CREATE, "t1"))
    assert live(thaw(b"".join(Frozen(run.shard).chunks()))) == live(run.shard) == ["t0", "t1"]
    run.raise_level(HOUSE_LEVEL)
    run.decide(line("f", CREATE, "t2"))
    thawed = thaw(b"".join(Frozen(run.shard).chunks()))
    assert (live(run.shard), live(thawed)) == (["t0", "t1", "t2"], ["t1", "t2"])
    assert state_root(run.shard) == state_root(thawed) == state_root(run.replayed())

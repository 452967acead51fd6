"""The memory of state that only grows: outcomes and finished tasks, at a given feature level."""

import time

import msgspec
from mpcore.domain.task.aggregate import AGGREGATE as TASKS
from mpcore.domain.task.state import Task
from mpcore.engine.marks import DAY_MS
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen
from mpcore.state.facts import LogLimits
from mpschema.envelope import EventRecord
from mpschema.ids import derived_id, uuid7
from mpschema.levels import HOUSE_LEVEL
from mpschema.registry import RECORDS
from mpschema.task import TaskReady, TaskState

from bench.load.memory import resident_bytes
from bench.load.orders import Order, Place, main

_BEGAN_MS = 1_795_000_000_000
_TURN = 100
_LOOKS = 5


class Retained(msgspec.Struct, kw_only=True):
    """The number retained, their memory, and the pause in which a snapshot takes hold of them."""

    count: int
    state_bytes: int
    pause_ms: float


class Retention:
    """Fills a shard of its own; a process is asked once."""

    def __init__(self, _: Place) -> None:
        self._shard = Shard()

    async def open(self) -> None:
        """Make room for one workspace."""
        self._shard.world.add_tenant("acme")

    async def run(self, order: Order) -> list[Retained]:
        """The growth by half of so many outcomes or tasks, and by all, at the level `in_flight`."""
        self._shard.world.feature_level = order.in_flight
        fill, before, found = self._tasks if order.text == "tasks" else self._outcomes, resident_bytes(), []
        for begin in (0, order.count // 2):
            fill(begin, begin + order.count // 2, order.count)
            grown = resident_bytes() - before
            found.append(Retained(count=begin + order.count // 2, state_bytes=grown, pause_ms=self._pause_ms()))
        return found

    async def close(self) -> None:
        """Nothing is open."""

    def _outcomes(self, begin: int, end: int, count: int) -> None:
        """Spread commands of one principal over the days for which they are remembered."""
        step_ms, shard = (LogLimits().outcome_days - 1) * DAY_MS / count, self._shard
        for number in range(begin, end):
            record = _record(number + 1, _BEGAN_MS + int(number * step_ms))
            shard.outcomes.add(record, shard.world.feature_level, LogLimits().outcome_days)
            if number % _TURN == 0:
                shard.settle()

    def _tasks(self, begin: int, end: int, _: int) -> None:
        """Finish tasks of a hundred projects."""
        states = self._shard.world.tenants["acme"].indexes["task"].by_id
        for number in range(begin, end):
            task_id = _id("task", number)
            project, board = _id("project", number % 100), _id("board", number % 100)
            states[task_id] = Task(task_id, 8, project, board, TaskState.DONE, offered=True, fence=1)
            if number % _TURN == 0 and self._shard.world.feature_level >= HOUSE_LEVEL:
                states.pack_all(TASKS.finished)

    def _pause_ms(self) -> float:
        pauses = []
        for _ in range(_LOOKS):
            began = time.perf_counter()
            Frozen(self._shard)
            pauses.append(time.perf_counter() - began)
        return sorted(pauses)[_LOOKS // 2] * 1e3


def _id(kind: str, number: int) -> str:
    return derived_id(kind, _uuid(number, _BEGAN_MS))


def _uuid(number: int, time_ms: int) -> str:
    return uuid7(time_ms, (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(10, "big"))


def _record(number: int, time_ms: int) -> EventRecord:
    return RECORDS[TaskReady](
        number,
        f"{_uuid(number, time_ms)}:0",
        workspace_id="acme",
        aggregate_id="task",
        version=1,
        time_ms=time_ms,
        epoch=1,
        actor="user:root",
        data=TaskReady(),
        digest=f"{number:032x}",
    )


if __name__ == "__main__":
    main(Retention)

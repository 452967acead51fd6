"""A canceled task ends, even if it lost the first cancellation."""

import asyncio

import pytest
import structlog
from mpbus.tasks import end, watched


async def hears_at(cancellation: int) -> None:
    """Loses cancellations before this one."""
    heard = 0
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard += 1
            if heard == cancellation:
                raise


async def test_a_cancellation_that_was_lost_is_asked_for_again() -> None:
    tasks = [asyncio.create_task(hears_at(cancellation)) for cancellation in (1, 3)]
    await asyncio.wait(tasks, timeout=0)  # Both have begun.
    await end(*tasks)
    assert all(task.cancelled() for task in tasks)


async def test_who_is_cancelled_while_ending_another_ends_it_first() -> None:
    task = asyncio.create_task(hears_at(cancellation=2))
    await asyncio.wait([task], timeout=0)
    ending = asyncio.create_task(end(task))
    await asyncio.wait([ending], timeout=0)
    ending.cancel()
    await asyncio.wait([ending])
    assert ending.cancelled()
    assert task.cancelled()


async def test_what_a_task_ended_with_stays_with_it() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    failing = asyncio.create_task(fail())
    await asyncio.wait([failing])
    await end(failing)
    with pytest.raises(LookupError, match="gone"):
        failing.result()
    await end()


async def test_a_watched_task_that_fails_is_told_by_name_and_one_that_is_cancelled_is_not() -> None:
    async def fails() -> None:
        raise ValueError("unforeseen")

    told: list[BaseException] = []
    with structlog.testing.capture_logs() as logs:
        failing = watched(fails(), "a look", told.append)
        idle = watched(asyncio.Event().wait(), "another look", told.append)
        await asyncio.wait({failing})
        await end(idle)
        await asyncio.sleep(0)
    assert [str(error) for error in told] == ["unforeseen"]
    assert [(entry["event"], entry["task"], entry["log_level"]) for entry in logs] == [
        ("task.failed", "a look", "critical")
    ]

"""Background tasks: they end for sure, and their failures are reported."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)
T = TypeVar("T")
_ASK_AGAIN_SECONDS = 0.25


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until all have ended. Their results and errors stay with them.

    In Python 3.11 a cancellation that meets an answer gets lost inside the client library. So it is asked for again.
    Who is cancelled while waiting here is cancelled afterwards: nothing is left running.
    """
    cancelled: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running, timeout=_ASK_AGAIN_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # Else asyncio would report that nobody looked.
    if cancelled is not None:
        raise cancelled


def watched(
    work: Coroutine[Any, Any, T], what: str, on_failure: Callable[[BaseException], None] | None = None
) -> "asyncio.Task[T]":
    """Start work that nobody waits for. Its failure is logged by name, and reported to `on_failure`.

    A task that only dies leaves what it kept up to date as it was, for ever: only work that is begun anew each time
    may leave out `on_failure`. Being cancelled is no failure.
    """
    task = asyncio.create_task(work, name=what)

    def ended(done: "asyncio.Task[T]") -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.critical("task.failed", task=what, exc_info=error)
            if on_failure is not None:
                on_failure(error)

    task.add_done_callback(ended)
    return task

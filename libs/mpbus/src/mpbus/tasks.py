"""Ending tasks that speak to the stream server."""

import asyncio
from typing import Any

_ASK_AGAIN_SECONDS = 0.25


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until all have ended. What they ended with stays with them.

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

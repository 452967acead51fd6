"""A leader at rest looks behind its last commit: nobody else tells it that the log went on without it, or is gone.

A leader that stores learns it from the log, which takes nothing in a place that is taken. One that has nothing to store
would call itself the leader of a log that every reader halts at.
"""

import asyncio

from mpbus.reader import LogPosition
from mpbus.tasks import end as finish
from mpstore.log import Deposed, LogWriter

LOOK_SECONDS = 2.0
"""Between two looks, and from the last commit to the first."""
_SHORT_LOOKS = 2
"""A server that leads its stream no more, and does not know it yet, may say once that there is less than there is."""


class HeadWatch:
    """Asks where the log ends, while nothing is being stored. One question at a time, and nobody waits for it."""

    def __init__(self, writer: LogWriter, wake: asyncio.Event) -> None:
        self._writer = writer
        self._wake = wake
        self._end: LogPosition | None = None
        self._due = 0.0
        self._short = 0
        self._asking: asyncio.Task[int | None] | None = None
        self._asked_about: LogPosition | None = None

    def look(self, end: LogPosition | None) -> None:
        """Compare, where the log must end here; None while something is being stored. Raises `Deposed`."""
        now = asyncio.get_running_loop().time()
        if end is None or end != self._end:
            self._end, self._short, self._due = end, 0, now + LOOK_SECONDS
        if self._asking is not None and self._asking.done():
            found, self._asking = self._asking.result(), None
            if end is not None and found is not None and self._asked_about == end:
                self._judge(found, end)
        if end is not None and self._asking is None and now >= self._due:
            self._due, self._asked_about = now + LOOK_SECONDS, end
            self._asking = asyncio.create_task(self._writer.last())
            self._asking.add_done_callback(lambda _: self._wake.set())

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            await finish(self._asking)

    def _judge(self, found: int, end: LogPosition) -> None:
        if found > end.stream_seq:
            raise Deposed(f"position {end.stream_seq + 1} holds what this leader did not store")
        self._short = self._short + 1 if found < end.stream_seq else 0
        if self._short >= _SHORT_LOOKS:
            raise Deposed(f"the log ends at position {found}, and this leader stored {end.stream_seq}")

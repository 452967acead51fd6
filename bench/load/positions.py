"""Watches how far the projections are: position after position, with the time at which it was first seen."""

import asyncio
import time

import asyncpg
from mpprojector.views import VIEWS

from bench.load.orders import Order, Place, Window, main

SLOWEST = "SELECT min(position) FROM mp.projections HAVING count(*) = $1"
_POLL_SECONDS = 0.004
_QUIET_SECONDS = 1.0
_SECONDS_MAX = 120.0


class Positions:
    """Polls the slowest projection's position."""

    def __init__(self, place: Place) -> None:
        self._dsn = place.postgres_dsn

    async def open(self) -> None:
        """Connect."""
        self._postgres = await asyncpg.connect(self._dsn)

    async def run(self, order: Order) -> Window:
        """Watch for so many seconds, and on until nothing has moved for a second. The marks are what was seen."""
        marks: list[tuple[int, float]] = []
        began = now = time.monotonic()
        while now < began + order.seconds or now < marks[-1][1] + _QUIET_SECONDS:
            position = await self._postgres.fetchval(SLOWEST, len(VIEWS)) or 0
            now = time.monotonic()
            if not marks or position > marks[-1][0]:
                marks.append((position, now))
            if now > began + _SECONDS_MAX:
                break
            await asyncio.sleep(_POLL_SECONDS)
        return Window(count=marks[-1][0] - marks[0][0], seconds=marks[-1][1] - marks[0][1], marks=marks)

    async def close(self) -> None:
        """Leave."""
        await self._postgres.close()


if __name__ == "__main__":
    main(Positions)

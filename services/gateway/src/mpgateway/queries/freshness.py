"""The positions of the projections, so that a reader can wait for its own write."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from mpbus.tasks import watched

from mpgateway.database import ReadModels

POLL_SECONDS = 0.02
_POSITIONS = "SELECT name, position FROM mp.projections WHERE tables = 'mp'"


@dataclass(slots=True)
class _Waiter:
    projections: tuple[str, ...]
    seq: int
    reached: "asyncio.Future[None]"


class Freshness:
    """One poll of the projections' positions serves all who wait; nobody waits, nobody polls."""

    def __init__(self, read_models: ReadModels) -> None:
        self._read_models = read_models
        self._positions: dict[str, int] = {}
        self._waiters: list[_Waiter] = []
        self._poll: asyncio.Task[None] | None = None

    async def reach(self, projections: Iterable[str], seq: int, seconds: float) -> bool:
        """Wait until all these projections have folded event `seq`; False when they have not in time.

        Raises `ReadModelsUnavailable`.
        """
        names = tuple(projections)
        if self._reached(names, seq):
            return True
        waiter = _Waiter(names, seq, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        if self._poll is None or self._poll.done():
            self._poll = watched(self._poll_positions(), "freshness", self._fail)
        try:
            await asyncio.wait_for(waiter.reached, seconds)
        except TimeoutError:
            return False
        finally:
            self._waiters.remove(waiter)
        return True

    def _reached(self, projections: tuple[str, ...], seq: int) -> bool:
        return all(self._positions.get(name, 0) >= seq for name in projections)

    async def _poll_positions(self) -> None:
        while self._waiters:
            try:
                rows = await self._read_models.fetch(_POSITIONS)
            except Exception as error:
                self._fail(error)
                return
            self._positions = {row["name"]: row["position"] for row in rows}
            for waiter in self._waiters:
                if self._reached(waiter.projections, waiter.seq) and not waiter.reached.done():
                    waiter.reached.set_result(None)
            await asyncio.sleep(POLL_SECONDS)

    def _fail(self, error: BaseException) -> None:
        # Whoever waits is told what happened; the next one who asks starts a new poll.
        for waiter in self._waiters:
            if not waiter.reached.done():
                waiter.reached.set_exception(error)

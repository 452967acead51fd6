"""Shares of streams, and of turns to read the log, so that nobody starves the others."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

TURN_SECONDS = 1.0
"""The time somebody reads the log while others wait for their turn."""
LENT_SECONDS = 0.5
"""The time a turn is kept for a client that does not read what it was given."""

AHEAD_SECONDS = 2.0
"""So many seconds' worth of the log may be read at once."""
PACES_MAX = 10_000


class Who(NamedTuple):
    """The workspace and the sender that a stream counts for."""

    workspace_id: str
    subject: str
    """Of the limits: `Identity.subject`."""


@dataclass(frozen=True, slots=True)
class SeatLimits:
    """The number of streams that may be open at once: of all, of one workspace, of one principal."""

    total: int
    of_workspace: int
    of_principal: int


class Seats:
    """The streams that are open. Nobody has more of them than are still free, so that others always find room."""

    def __init__(self, limits: SeatLimits) -> None:
        self._limits = limits
        self._held: Counter[tuple[str, str]] = Counter()
        self.taken = 0

    def refusal(self, who: Who) -> str | None:
        """Say why there is no seat for somebody; None when there is one."""
        limits, free = self._limits, self._limits.total - self.taken
        workspace, own = self._held["workspace", who.workspace_id], self._held["subject", who.subject]
        if own >= min(limits.of_principal, free):
            return f"too many event streams are open here: {own} of {who.subject}, {self.taken} of all"
        if workspace >= min(limits.of_workspace, free):
            return f"too many event streams are open here: {workspace} of this workspace, {self.taken} of all"
        return None

    def take(self, who: Who) -> None:
        """Take a seat."""
        self._add(who, 1)

    def give_back(self, who: Who) -> None:
        """Leave it to others."""
        self._add(who, -1)

    def _add(self, who: Who, more: int) -> None:
        self.taken += more
        for key in (("workspace", who.workspace_id), ("subject", who.subject)):
            self._held[key] += more
            if not self._held[key]:
                del self._held[key]


class ReadTurns:
    """A number of turns at once. The next goes to the workspace, then the principal, that has the fewest now."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._used: Counter[tuple[str, str]] = Counter()
        self._waiting: dict[int, tuple[Who, asyncio.Future[None]]] = {}
        self._tickets = count()

    @property
    def wanted(self) -> bool:
        """True while somebody waits for a turn."""
        return bool(self._waiting)

    @asynccontextmanager
    async def turn(self, who: Who) -> AsyncIterator["ReadTurn"]:
        """Wait for a turn, and have it."""
        ticket, granted = next(self._tickets), asyncio.get_running_loop().create_future()
        self._waiting[ticket] = who, granted
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if self._waiting.pop(ticket, None) is None:
                self._end(who)
            raise
        turn = ReadTurn(self, who)
        try:
            yield turn
        finally:
            turn.give_back()

    def _grant(self) -> None:
        while self._free and self._waiting:
            ticket = min(self._waiting, key=self._claim)
            who, granted = self._waiting.pop(ticket)
            self._count(who, 1)
            if granted.done():  # Its client left meanwhile, and has yet to come to know of it: it gives the turn back.
                continue
            granted.set_result(None)

    def _claim(self, ticket: int) -> tuple[int, int, int]:
        who = self._waiting[ticket][0]
        return self._used["workspace", who.workspace_id], self._used["subject", who.subject], ticket

    def _end(self, who: Who) -> None:
        self._count(who, -1)
        self._grant()

    def _count(self, who: Who, more: int) -> None:
        self._free -= more
        for key in (("workspace", who.workspace_id), ("subject", who.subject)):
            self._used[key] += more
            if not self._used[key]:
                del self._used[key]


class ReadRateLimiter:
    """The speed at which a principal's streams read the log together. Reading too fast makes a debt to wait for."""

    def __init__(self, bytes_per_second: int, ahead_seconds: float = AHEAD_SECONDS) -> None:
        self._bytes_per_second = bytes_per_second
        self._ahead_seconds = ahead_seconds
        self._paid_at: dict[str, float] = {}

    def count(self, subject: str, size: int) -> None:
        """Count what was read."""
        now = time.monotonic()
        if len(self._paid_at) >= PACES_MAX:
            self._paid_at = {name: paid_at for name, paid_at in self._paid_at.items() if paid_at > now}
        self._paid_at[subject] = max(self._paid_at.get(subject, 0.0), now) + size / self._bytes_per_second

    def wait_seconds(self, subject: str) -> float:
        """For how long the principal's streams read no more."""
        return max(0.0, self._paid_at.get(subject, 0.0) - time.monotonic() - self._ahead_seconds)


class ReadTurn:
    """One turn. It ends when its owner is done, has had its time while others wait, or waits for a client itself."""

    def __init__(self, turns: ReadTurns, who: Who) -> None:
        self._turns = turns
        self._who = who
        self._began = time.monotonic()
        self._over = False

    @property
    def over(self) -> bool:
        """True once it is somebody else's turn."""
        return self._over or (self._turns.wanted and time.monotonic() - self._began > TURN_SECONDS)

    def give_back(self) -> None:
        """Let others have it."""
        if not self._over:
            self._over = True
            self._turns._end(self._who)  # noqa: SLF001 - a turn is a part of the turns

    @asynccontextmanager
    async def lent(self, reading: AsyncGenerator[Any, None]) -> AsyncIterator[None]:
        """Keep the turn while the client takes what was read; if that lasts, give it back and end the reading."""
        closing: list[asyncio.Task[None]] = []

        def close() -> None:
            self.give_back()
            closing.append(asyncio.create_task(reading.aclose()))

        timer = asyncio.get_running_loop().call_later(LENT_SECONDS, close)
        try:
            yield
        finally:
            timer.cancel()
            for task in closing:
                await task

"""The time that is recorded, and whether this machine's clock may be believed.

A clock cannot tell by itself that it is wrong. So it is held against two others: the steady clock of this machine,
which nobody sets, and the clock of the server that stores the log. Who leads dates by the steady clock, drawn towards
the wall clock by a twentieth at most: a step of the wall clock is noticed before it is recorded.

A machine whose clock is not believed stays standby, says so, and looks again. Where all clocks are wrong nothing is
decided: a wrong date ends leases and promises of every tenant, and cannot be taken back.
"""

import asyncio
from collections.abc import Callable

import structlog

from mpkernel.metrics import KernelMetrics
from mpkernel.ports import Clock, ClockDistrusted, ServerClock, ServerClockUnavailable

log = structlog.get_logger(__name__)
SECOND_NS = 1_000_000_000
_MS_NS = 1_000_000
LOOK_SECONDS = 1.0
"""Between two looks at the server's clock."""
SETTLE_SECONDS = 10.0
"""A clock that was set is believed again once it has run steadily for so long: it may be set back in a moment."""
_SLEW = 20
"""Recorded time is drawn towards the wall clock by one part in so many."""
JUMP_SECONDS = 86_400
"""A step of recorded time between two leaderships that is worth telling: nobody decided anything for a day."""
_READ_NS = 50 * _MS_NS
"""Two readings further apart than this were interrupted, and say nothing about each other."""
_ROUND_TRIP = 4
"""An answer that took longer than the bound divided by this says too little: its middle may be far off."""
_KNOWN_NS = 30 * SECOND_NS
"""A comparison with the server's clock that is older than this says nothing any more."""
_STAMP_SECONDS = 3.0
_AGAIN_SECONDS = 0.1
_NOT_YET = "the NATS server's clock is not known yet"


class Timekeeper:
    """See `RecordedTime`. One for all leaderships of a process: what it knows of its clock outlives them."""

    def __init__(
        self,
        clock: Clock,
        server: ServerClock,
        metrics: KernelMetrics,
        *,
        bound_seconds: float,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._clock = clock
        self._server = server
        self._metrics = metrics
        self._bound_ns = int(bound_seconds * SECOND_NS)
        self._settle_ns = int(settle_seconds * SECOND_NS)
        wall, self._steady = self._read()
        self._offset = wall - self._steady
        """Of the wall clock from the steady one, as last agreed upon."""
        self._set_at: int | None = None
        self._set_by = 0
        self._ahead: int | None = None
        self._compared_at = 0
        """The steady clock's time at the last comparison of the wall clock with the server's."""
        self._unknown = _NOT_YET
        self._time = 0
        self._began = 0
        self._told = ""
        self._on_distrust: Callable[[], None] = _nobody

    def tell(self, on_distrust: Callable[[], None] | None) -> None:
        """Set the function to call whenever the clock is found not to be believed; None: nobody."""
        self._on_distrust = on_distrust or _nobody

    @property
    def ahead_seconds(self) -> float | None:
        """The seconds by which the wall clock is ahead of the server's; None while that is not known."""
        return None if self._ahead is None else round(self._ahead / SECOND_NS, 3)

    @property
    def distrust(self) -> str:
        """The reason for which the wall clock is not to be believed; empty while it is."""
        if self._set_at is not None:
            return f"the clock was set by {_seconds(self._set_by)}; it is believed again once it runs steadily"
        if self._ahead is None:
            return self._unknown
        if abs(self._ahead) > self._bound_ns:
            side = "ahead of" if self._ahead > 0 else "behind"
            far = _seconds(abs(self._ahead)).lstrip("+")
            return f"the clock is {far} {side} the NATS server's, more than {self._bound_ns / SECOND_NS:g} s"
        return ""

    @property
    def doubt(self) -> str:
        """The reason for which nobody could begin to lead by this clock; empty while somebody could.

        More than `distrust`: a server that has been silent for long deposes nobody, and lets nobody begin.
        """
        old = self._clock.steady_ns() - self._compared_at > _KNOWN_NS
        return self.distrust or (self._unknown if old else "")

    async def run(self) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Compare the wall clock with the steady one and the server's, and tell whether it may be believed."""
        wall, steady = self._read()
        self._compare(wall, steady)
        try:
            server = await self._server.now_ns()
        except ServerClockUnavailable as error:
            self._unknown = f"the NATS server does not say what time it is: {error}"
            self._tell()
            return False
        _, answered = self._read()
        told = answered - steady < self._bound_ns // _ROUND_TRIP
        if told:
            self._ahead, self._compared_at = wall + (answered - steady) // 2 - server, answered
            self._metrics.clock(self._ahead / SECOND_NS)
        else:
            took, most = (each / SECOND_NS for each in (answered - steady, self._bound_ns // _ROUND_TRIP))
            self._unknown = f"the NATS server took {took:.2g} s to say what time it is, and may take {most:g} s"
        self._settle(wall, steady)
        self._tell()
        return told and not self.distrust

    def begin(self, at_least_ms: int) -> None:
        """See the port. A long time in which nobody led is told: every lease and deadline in it passes now."""
        wall, self._steady = self._read()
        self._compare(wall, self._steady)
        if self.distrust:
            raise ClockDistrusted(self.distrust)
        self._began = wall
        self._time = max(at_least_ms * _MS_NS, wall)
        gone = (self._time - at_least_ms * _MS_NS) // SECOND_NS
        if at_least_ms and gone > JUMP_SECONDS:
            log.warning("clock.jumped", seconds=gone, reason="nothing was recorded meanwhile: what was due passes now")

    async def confirm(self, stream_seq: int) -> None:
        """See the port."""
        stored = await self._stamp(stream_seq)
        wall, steady = self._read()
        self._compare(wall, steady)
        if self._began - stored > self._bound_ns:
            self._ahead, self._compared_at = self._began - stored, steady
        elif stored - wall > self._bound_ns:
            self._ahead, self._compared_at = wall - stored, steady
        self._tell()
        if self.distrust:
            raise ClockDistrusted(self.distrust)

    def now_ms(self) -> int:
        """See the port."""
        wall, steady = self._read()
        passed = steady - self._steady
        self._steady = steady
        self._compare(wall, steady)
        ahead = wall - (self._time + passed)
        drawn = passed // _SLEW if self._set_at is None else 0
        self._time += passed + max(-drawn, min(ahead, drawn))
        return self._time // _MS_NS

    async def _stamp(self, stream_seq: int) -> int:
        deadline = self._clock.steady_ns() + int(_STAMP_SECONDS * SECOND_NS)
        while True:
            try:
                return await self._server.stored_ns(stream_seq)
            except ServerClockUnavailable as error:
                if self._clock.steady_ns() > deadline:
                    raise ClockDistrusted(f"when the election was stored is not known: {error}") from error
            await asyncio.sleep(_AGAIN_SECONDS)

    def _read(self) -> tuple[int, int]:
        """Both clocks, read at the same moment."""
        while True:
            before = self._clock.steady_ns()
            wall = self._clock.wall_ns()
            steady = self._clock.steady_ns()
            if steady - before < _READ_NS:
                return wall, steady

    def _compare(self, wall: int, steady: int) -> None:
        """Notice that the wall clock was set, either way."""
        by = wall - steady - self._offset
        if abs(by) <= self._bound_ns:
            return
        self._set_at, self._set_by, self._offset = steady, by, wall - steady
        self._tell()
        self._on_distrust()

    def _settle(self, wall: int, steady: int) -> None:
        """Believe a clock again that has run steadily; follow it where the server agrees."""
        if self._set_at is not None and steady - self._set_at >= self._settle_ns:
            self._set_at = None
        if self._set_at is None and self._ahead is not None and abs(self._ahead) <= self._bound_ns:
            self._offset = wall - steady

    def _tell(self) -> None:
        """Say aloud when belief is lost, and when it is back."""
        reason = self.distrust
        self._metrics.clock_trusted(trusted=not reason)
        kind = reason and ("set" if self._set_at is not None else "unknown" if self._ahead is None else "apart")
        if kind == self._told:
            return
        self._told = kind
        if reason:
            log.error("clock.distrusted", reason=reason, ahead_seconds=self.ahead_seconds)
            self._on_distrust()
        else:
            log.info("clock.trusted", ahead_seconds=self.ahead_seconds)


def _nobody() -> None:
    """Nobody leads."""


def _seconds(ns: int) -> str:
    return f"{ns / SECOND_NS:+,.1f} s"

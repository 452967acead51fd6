"""Waiting for those who start: as long as they get on, whatever the clock says, and no longer than that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

POLL_SECONDS = 0.01
_POLL_LATER_SECONDS = 0.25
_SOON_SECONDS = 5.0
"""The seconds after which a process not ready is asked less often: to answer is work, too."""
_LOOK_SECONDS = 0.5
_PROGRESS_SECONDS = 0.5
"""So much of a processor's time is progress: more than one uses who only waits for a minute."""
REST_SECONDS = 30.0
"""The seconds without progress after which a process counts as waiting for another."""
_NO_PROGRESS = {"reads_level", "elections_per_minute"}

Facts = Mapping[str, object]


class Starter(Protocol):
    """A process that starts: what is asked of it until it is ready, or rests."""

    name: str
    start_seconds_max: float

    @property
    def running(self) -> bool:
        """True while it lives."""

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it lives."""

    def is_ready(self) -> bool:
        """Return whether it can be used."""

    def rests(self) -> str:
        """Return why it gets no further; empty while it gets on."""

    def processor_seconds(self) -> float:
        """Return the processor time that it has used."""

    def kill(self) -> None:
        """End it at once."""

    def failure(self, reason: str) -> Exception:
        """Return the error of its start, with its last words."""


class Patience:
    """The wait for a process that reports nothing yet.

    It ends once the process has used next to no processor time for `seconds_max`.
    On a busy machine the clock says little: what takes five seconds elsewhere takes a minute there.
    """

    def __init__(
        self, used: Callable[[], float], seconds_max: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`used` tells the seconds of processor time that it has used."""
        self.seconds_max = seconds_max
        self._read = used
        self._clock = clock
        self._used = 0.0
        self._since = self._looked_at = clock()

    @property
    def over(self) -> bool:
        """True when it does nothing any more."""
        now = self._clock()
        if now - self._looked_at >= min(_LOOK_SECONDS, self.seconds_max):
            self._looked_at, used = now, self._read()
            if abs(used - self._used) >= _PROGRESS_SECONDS:  # Less: a child of it ended, which is a step, too.
                self._used, self._since = used, now
        return now - self._since > self.seconds_max


class Rest:
    """Tells who has come to rest short of being ready from who gets on, by the facts a service says of itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: object = None
        self._since = clock()

    def reached(self, facts: Facts | None) -> bool:
        """Tell whether it will not be ready by itself, as far as one can tell. None: it says nothing."""
        now = self._clock()
        seen = None if facts is None else _progress(facts)
        if seen is None or seen != self._seen:
            self._seen, self._since = seen, now
        if facts is None or facts.get("ready"):
            return False
        return bool(facts.get("halted_by")) or now - self._since > REST_SECONDS


def _progress(facts: Facts) -> object:
    """Return the facts that change with progress: how far it has read, and, without figures, what it waits for."""
    waits = "".join(letter for letter in str(facts.get("waits_for")) if not letter.isdigit())
    return waits, {key: value for key, value in facts.items() if type(value) is int and key not in _NO_PROGRESS}


def wait_settled(processes: Sequence[Starter], needs: Sequence[Starter] = ()) -> dict[str, str]:
    """Wait until each is ready, or lives and rests without being so. Returns who rests, and why. Raises ServerFailed.

    `needs` run already: that one of them ended is raised at once, for the others would wait for it in vain.
    """
    waiting = {process: Patience(process.processor_seconds, process.start_seconds_max) for process in processes}
    resting = dict[str, str]()
    began = time.monotonic()
    while True:
        for process in list(waiting):
            if process.is_ready():
                del waiting[process]
            elif reason := process.rests():
                del waiting[process]
                resting[process.name] = reason
        if not waiting:
            return resting
        _see_that_they_run(waiting, needs)
        time.sleep(POLL_SECONDS if time.monotonic() - began < _SOON_SECONDS else _POLL_LATER_SECONDS)


def _see_that_they_run(waiting: Mapping[Starter, Patience], needs: Sequence[Starter]) -> None:
    first = next(iter(waiting))
    for process in (*waiting, *needs):
        if not process.running:
            whom = process if process in waiting else first
            raise process.failure(f"ended with exit code {process.exit_code} before {whom.name} was ready")
    for process, patience in waiting.items():
        if patience.over:
            process.kill()
            raise process.failure(f"was not ready, and did nothing for {patience.seconds_max:g} s")

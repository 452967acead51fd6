"""The servers that a process needs: the state of each, its last words, and a log line about it that is no flood."""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

log = structlog.get_logger(__name__)
AGAIN_SECONDS = 60.0
"""The time between two log lines about the same thing that is away."""
CHANGED_SECONDS = 5.0
"""The time between two log lines about a thing whose reason changes all the time."""
OK = "ok"
_UP = Gauge("mp_dependency_up", "1 while what this process needs answers it.", ["dependency"])


class Trouble:
    """A repeated failure: logged when it begins, rarely while it lasts, soon when it changes."""

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic, **facts: str) -> None:
        self._event = event
        self._facts = facts
        self._clock = clock
        self._said: str | None = None
        self._said_at = 0.0

    def met(self, reason: str) -> None:
        """Note one more failure."""
        silent = self._clock() - self._said_at
        if self._said is None or silent > AGAIN_SECONDS or (reason != self._said and silent > CHANGED_SECONDS):
            self._said, self._said_at = reason, self._clock()
            log.error(self._event, reason=reason, **self._facts)

    def over(self) -> bool:
        """Note success, and tell whether a failure was logged before."""
        said, self._said = self._said, None
        return said is not None


class Vital:
    """One thing that a process needs: `nats`, `postgres`, `redis`, `log` or `feed`.

    `state` is "ok", or the reason why it is away.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.state = f"{name} was not reached yet"
        self._gauge = _UP.labels(name)
        self._gauge.set(0)
        self._trouble = Trouble("dependency.away", clock, dependency=name)

    @property
    def ok(self) -> bool:
        """True when it answered the last time it was asked."""
        return self.state == OK

    def answered(self) -> None:
        """Note that it answers."""
        if self.ok:
            return
        self.state = OK
        self._gauge.set(1)
        if self._trouble.over():
            log.info("dependency.back", dependency=self.name)

    def away(self, reason: str) -> None:
        """Note that it does not answer, or refuses us."""
        self.state = reason
        self._gauge.set(0)
        self._trouble.met(reason)

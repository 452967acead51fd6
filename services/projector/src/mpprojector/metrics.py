"""The projector's metrics, in the words of `mp.projections`."""

from contextlib import AbstractContextManager
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

_POSITION = Gauge("mp_projection_position", "Last event folded", ["projection"])
_HEAD = Gauge("mp_log_head", "Last event known to be in the log")
_LAG_EVENTS = Gauge("mp_projection_lag_events", "Events in the log that are not folded yet", ["projection"])
_LAG_SECONDS = Gauge(
    "mp_projection_lag_seconds", "Age of the newest event folded, while there are more", ["projection"]
)
_HALTED = Gauge("mp_projection_halted", "1 while the projection is halted at an event", ["projection"])
_EVENTS = Counter("mp_projection_events", "Events folded and written", ["projection"])
_WRITE = Histogram(
    "mp_projection_write_seconds",
    "Time of one transaction: a batch's rows and its position",
    ["projection"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


class ProjectorMetrics:
    """The projector's metrics, bound once to each build, by its title."""

    def __init__(self) -> None:
        self._events = cache(_EVENTS.labels)
        self._positions = cache(_POSITION.labels)
        self._writes = cache(_WRITE.labels)

    def writing(self, projection: str) -> AbstractContextManager[object]:
        """Time one transaction."""
        return self._writes(projection).time()

    def folded(self, projection: str, events: int, position: int) -> None:
        """Count the events of a written batch, and show its position."""
        self._events(projection).inc(events)
        self._positions(projection).set(position)

    def lag(self, projection: str, *, head: int, events: int, seconds: float, halted: bool) -> None:
        """Show the lag of a projection, and whether it halted."""
        _HEAD.set(head)
        _LAG_EVENTS.labels(projection).set(events)
        _LAG_SECONDS.labels(projection).set(seconds)
        _HALTED.labels(projection).set(halted)

    def lost(self, projection: str) -> None:
        """Remove the gauges of a projection that is not ours any more."""
        for gauge in (_POSITION, _LAG_EVENTS, _LAG_SECONDS, _HALTED):
            if (projection,) in gauge._metrics:  # noqa: SLF001 - the library raises for a label that was never set
                gauge.remove(projection)

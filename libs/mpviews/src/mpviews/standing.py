"""The status of a projection's build at the time of a query: its row may be old, if nobody folds it."""

from dataclasses import dataclass

LIVE, CATCHING_UP, HALTED, UNOWNED, AS_OF = "live", "catching_up", "halted", "unowned", "as_of"


@dataclass(frozen=True, slots=True)
class BuildStatus:
    """The reported status of a build."""

    state: str
    """`live`, `catching_up`, `halted`, `as_of`, or `unowned`: no projector folds it, so that it stands still."""
    head: int
    lag_events: int
    lag_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRow:
    """The recorded status of a build."""

    phase: str
    state: str
    position: int
    head: int
    lag_seconds: float
    owned: bool
    """True while a projector, or the process that fills it, holds its lease."""
    silent_seconds: float
    """The time since its owner's last report."""


def standing(told: BuildRow, head: int | None) -> BuildStatus:
    """Return the status of a build against the log's `head`; where that is None, the row's own head serves."""
    end = max(told.head if head is None else head, told.position)
    if told.phase == AS_OF and told.state != HALTED:
        return BuildStatus(AS_OF, end, 0, 0.0)
    lag = end - told.position
    unowned = not told.owned and told.state != HALTED
    seconds = told.lag_seconds + (0.0 if told.owned else told.silent_seconds)
    return BuildStatus(UNOWNED if unowned else told.state, end, lag, round(seconds, 3) if lag else 0.0)

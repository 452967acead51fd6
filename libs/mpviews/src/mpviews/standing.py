"""How a build of a projection stands, at the moment of asking: what its row says may be old, if nobody folds it."""

from dataclasses import dataclass

LIVE, CATCHING_UP, HALTED, UNOWNED, AS_OF = "live", "catching_up", "halted", "unowned", "as_of"


@dataclass(frozen=True, slots=True)
class BuildStatus:
    """What is said of a build."""

    state: str
    """`live`, `catching_up`, `halted`, `as_of`, or `unowned`: no projector folds it, so that it stands still."""
    head: int
    lag_events: int
    lag_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRow:
    """What the build's row says."""

    phase: str
    state: str
    position: int
    head: int
    lag_seconds: float
    owned: bool
    """Whether a projector, or who fills it, holds its lease now."""
    silent_seconds: float
    """How long ago its owner last said how it fares."""


def standing(told: BuildRow, head: int | None) -> BuildStatus:
    """How it stands against the log's `head`; None where that is not known, and the row's own must do."""
    end = max(told.head if head is None else head, told.position)
    if told.phase == AS_OF and told.state != HALTED:
        return BuildStatus(AS_OF, end, 0, 0.0)
    lag = end - told.position
    unowned = not told.owned and told.state != HALTED
    seconds = told.lag_seconds + (0.0 if told.owned else told.silent_seconds)
    return BuildStatus(UNOWNED if unowned else told.state, end, lag, round(seconds, 3) if lag else 0.0)

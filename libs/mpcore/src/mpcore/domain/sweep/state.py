"""The state of a sweep."""

import msgspec
from mpschema.sweep import SweepKind


class Sweep(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A sweep on its way. It keeps no cursor: what was swept is no longer there to be found."""

    id: str
    version: int
    kind: SweepKind
    scope: str
    running: bool
    done: int
    next_ms: int
    """The time of its next step; 0 where there is none."""

"""The state of a session."""

import msgspec
from mpschema.session import SessionState

LIVE = frozenset({SessionState.REQUESTED, SessionState.ACTIVE, SessionState.PAUSED})


class Session(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A node of a lineage tree. `lineage` names the ancestors, root first, parent last."""

    id: str
    version: int
    state: SessionState
    lineage: tuple[str, ...]
    project_id: str | None
    max_depth: int
    max_children: int

    @property
    def parent_id(self) -> str | None:
        """The session that it was spawned under; None at a root."""
        return self.lineage[-1] if self.lineage else None

    @property
    def root_id(self) -> str:
        """The root of its lineage: itself, where it has no parent."""
        return self.lineage[0] if self.lineage else self.id

    @property
    def depth(self) -> int:
        """The number of sessions above it."""
        return len(self.lineage)

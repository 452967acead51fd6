"""The index of the sessions of a workspace: who lives, below whom, in which lineage and project."""

import msgspec

from mpcore.domain.session.state import LIVE, Session
from mpcore.state.counts import add, count, put, remove, take
from mpcore.state.tenant import Index, Tenant


class SessionIndex(Index):
    """Sessions by their ids."""

    by_id: dict[str, Session] = msgspec.field(default_factory=dict)
    children: dict[str, int] = msgspec.field(default_factory=dict)
    """Session to how many children it ever spawned."""
    live_children: dict[str, set[str]] = msgspec.field(default_factory=dict)
    live_in_lineage: dict[str, int] = msgspec.field(default_factory=dict)
    """Root to how many sessions of its lineage live."""
    live_in_project: dict[str, dict[str, None]] = msgspec.field(default_factory=dict)
    """Project to its sessions that live, in the order in which they came to be."""


def sessions(tenant: Tenant) -> SessionIndex:
    """The sessions of a workspace."""
    index: SessionIndex = tenant.indexes["session"]
    return index


def reindex(tenant: Tenant, old: Session | None, new: Session | None) -> None:
    """See `state.descriptor.Reindex`."""
    index, known = sessions(tenant), new or old
    assert known is not None, "a change has a state before or after"
    parent_id = known.parent_id
    if (old is None or new is None) and parent_id is not None:
        count(index.children, parent_id, -1 if new is None else 1)
    lived, lives = old is not None and old.state in LIVE, new is not None and new.state in LIVE
    if lived == lives:
        return
    count(index.live_in_lineage, known.root_id, 1 if lives else -1)
    if known.project_id is not None:
        (put if lives else take)(index.live_in_project, known.project_id, known.id)
    if parent_id is not None:
        (add if lives else remove)(index.live_children, parent_id, known.id)

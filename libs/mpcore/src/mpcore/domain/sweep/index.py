"""The sweeps of a workspace that still run, by what they are about, and when each takes its next step."""

import msgspec
from mpschema.sweep import SweepKind

from mpcore.domain.sweep.state import Sweep
from mpcore.state.deadlines import SWEEP
from mpcore.state.tenant import Index, Tenant


class SweepIndex(Index):
    """Sweeps by their ids."""

    by_id: dict[str, Sweep] = msgspec.field(default_factory=dict)
    running: dict[tuple[SweepKind, str], str] = msgspec.field(default_factory=dict)
    """Kind and scope to the sweep that is still about them."""


def sweeps(tenant: Tenant) -> SweepIndex:
    """Return the sweeps of a workspace."""
    index: SweepIndex = tenant.indexes["sweep"]
    return index


def reindex(tenant: Tenant, old: Sweep | None, new: Sweep | None) -> None:
    """See `state.descriptor.Reindex`."""
    index, known = sweeps(tenant), new or old
    assert known is not None, "a change has a state before or after"
    if old is not None and old.running:
        index.running.pop((old.kind, old.scope), None)
        tenant.deadlines.clear((tenant.id, SWEEP, old.id, old.version))
    if new is not None and new.running:
        index.running[new.kind, new.scope] = new.id
        tenant.deadlines.set((tenant.id, SWEEP, new.id, new.version), new.next_ms)

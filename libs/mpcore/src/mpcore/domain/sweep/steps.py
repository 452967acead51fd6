"""The steps of a sweep: the next things that end with a scope, and the commands that end them.

What has ended is no longer found, so the next step begins where the last one stopped.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from mpschema.sweep import BeginSweep, SweepKind

from mpcore.domain.session import ending
from mpcore.state.reactions import FollowUp
from mpcore.state.rules import Draft
from mpcore.state.tenant import Tenant

_LEFT: Mapping[SweepKind, Callable[[Tenant, str], Iterator[FollowUp]]] = {
    SweepKind.DESCENDANTS: ending.of_descendants,
    SweepKind.CLAIMS: ending.of_claims,
    SweepKind.PROJECT: ending.of_project,
    SweepKind.WORKSPACE: ending.of_workspace,
}
"""Kind to what is left to be ended, in order."""


def step(tenant: Tenant, kind: SweepKind, scope: str, limit: int) -> list[FollowUp]:
    """Return the next commands of a sweep, at most `limit`."""
    return list(islice(_LEFT[kind](tenant, scope), limit))


def swept(draft: Draft, kind: SweepKind, scope: str) -> list[FollowUp]:
    """Return what ends with a scope: all of it where a step takes it, else that a sweep begins."""
    limit = draft.world.limits.sweep_facts
    found = step(draft.tenant, kind, scope, limit + 1)
    return found if len(found) <= limit else [FollowUp(BeginSweep(kind, scope), "")]

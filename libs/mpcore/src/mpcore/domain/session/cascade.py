"""The end of everything below a session in one outcome, as it is decided below feature level 4.

From that level on it is said as follow-ups: see `reactions`.
"""

from mpschema.session import SessionCanceled

from mpcore.domain.session.index import sessions
from mpcore.domain.task.claims import release_claims
from mpcore.state.facts import Fact
from mpcore.state.tenant import Tenant


def cascade(tenant: Tenant, origin_id: str) -> tuple[Fact, ...]:
    """Return the end of the live descendants, nearest first, then of the claims of all of them.

    The reason stands with the origin alone; `origin_id` leads to it.
    """
    below = _live_below(tenant, origin_id)
    canceled = (Fact("session", session_id, SessionCanceled(origin_id)) for session_id in below)
    return (*canceled, *release_claims(tenant, (origin_id, *below)))


def _live_below(tenant: Tenant, session_id: str) -> list[str]:
    """Return the live descendants, level by level, in the order of their ids."""
    live_children = sessions(tenant).live_children
    found: list[str] = []
    level = [session_id]
    while level:
        level = sorted(child for parent in level for child in live_children.get(parent, ()))
        found += level
    return found

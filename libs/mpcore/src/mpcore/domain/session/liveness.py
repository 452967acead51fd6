"""The life of a session, which is that of everything above it.

Once an ancestor, the project or the workspace of a session has ended, it has ended, too. Its own event comes with the
commit of that end, or with a sweep. So those above are asked only while a sweep runs.
"""

from mpschema.rejections import Code, Rejection
from mpschema.sweep import SweepKind

from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import LIVE, Session
from mpcore.domain.sweep.index import sweeps
from mpcore.state.rules import DecisionContext
from mpcore.state.tenant import Tenant


def lives(tenant: Tenant, session: Session) -> bool:
    """Tell whether a session lives, and everything above it."""
    return session.state in LIVE and ended_above(tenant, session) is None


def ended_above(tenant: Tenant, session: Session) -> str | None:
    """Name what ended above a session that has no event of its own yet; None where nothing did."""
    running = sweeps(tenant).running
    if not running:
        return None
    known = sessions(tenant).by_id
    for ancestor_id in reversed(session.lineage):
        if known[ancestor_id].state not in LIVE:
            return f"session {ancestor_id}"
    if session.project_id is not None and (SweepKind.PROJECT, session.project_id) in running:
        return f"project {session.project_id}"
    return f"workspace {tenant.id}" if (SweepKind.WORKSPACE, tenant.id) in running else None


def ended(tenant: Tenant, session: Session) -> Rejection | None:
    """Refuse what only a live session may do; None where this one lives."""
    if session.state not in LIVE:
        return Rejection(Code.SESSION_ENDED, f"session {session.id} is {session.state}")
    above = ended_above(tenant, session)
    return None if above is None else Rejection(Code.SESSION_ENDED, f"session {session.id} ended with {above}")


def swept(session: Session, context: DecisionContext) -> Rejection | None:
    """Guard the commands of a session that ended with something above it, before its own event says so."""
    above = ended_above(context.draft.tenant, session) if session.state in LIVE else None
    return None if above is None else Rejection(Code.INVALID_STATE, f"session {session.id} ended with {above}")

"""The rights of an agent: to work on tasks as its session, to grow and review its own subtree, and nothing beside it.

An agent is a principal `agent:<session>`, or one whose highest role is `agent` and that names the session it runs. In
both cases it acts as that session only, while that session lives.
"""

from mpschema.rejections import Rejection

from mpcore.domain.aggregates import RULES
from mpcore.domain.session.index import sessions
from mpcore.domain.session.liveness import ended
from mpcore.state.rules import DecisionContext, denied


def authorize(context: DecisionContext, session_id: str | None) -> Rejection | None:
    """Refuse a command that the agent of this session may not give; None where it may."""
    envelope = context.envelope
    session = None if session_id is None else sessions(context.draft.tenant).by_id.get(session_id)
    if session is None or envelope.session_id != session_id:
        return denied(envelope)
    if refused := ended(context.draft.tenant, session):
        return refused
    allows = RULES[envelope.type].agents
    return denied(envelope) if allows is None else allows(context, session, context.arguments)

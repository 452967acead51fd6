"""What an agent may do: work on tasks as its own session, grow and review its own subtree, and nothing beside it.

An agent is a principal `agent:<session>`, or one whose highest role is `agent` and that names the session it runs. In
both cases it acts as that session only, while that session lives.
"""

from mpschema.rejections import Code, Rejection

from mpcore.domain.aggregates import RULES
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import LIVE
from mpcore.state.rules import AccessRequest, denied


def authorize(request: AccessRequest, session_id: str | None) -> Rejection | None:
    """Why the agent that runs this session may not give this command, or None where it may."""
    envelope = request.envelope
    session = None if session_id is None else sessions(request.tenant).by_id.get(session_id)
    if session is None or envelope.session_id != session_id:
        return denied(envelope)
    if session.state not in LIVE:
        return Rejection(Code.SESSION_ENDED, f"session {session.id} is {session.state}")
    allows = RULES[envelope.type].agents
    return denied(envelope) if allows is None else allows(request, session, request.arguments)

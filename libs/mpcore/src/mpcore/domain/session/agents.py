"""Agents act as their sessions: whose word a command is, and for what an agent may command sessions."""

from typing import Any

from mpschema.principal import Role
from mpschema.rejections import Code, Rejection

from mpcore.domain.principal.index import rank
from mpcore.domain.principal.state import AGENT_PREFIX, RANK
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import Session
from mpcore.state.rules import AccessRequest

_AGENT_RANK = RANK[Role.AGENT]


def acting_session(request: AccessRequest) -> Session | None:
    """The session that an agent speaks for; None for everyone with a higher role, who speaks for itself."""
    envelope, tenant = request.envelope, request.tenant
    principal = envelope.principal
    if not principal.startswith(AGENT_PREFIX) and rank(request.world, tenant, principal) > _AGENT_RANK:
        return None
    return None if envelope.session_id is None else sessions(tenant).by_id.get(envelope.session_id)


def voice(request: AccessRequest, session: Session | None) -> str:
    """The name under which the caller is heard: an agent as its session, whoever runs it."""
    return request.envelope.principal if session is None else AGENT_PREFIX + session.id


def refusal(request: AccessRequest, why: str) -> Rejection:
    """What an agent is told that may give the command, and not for this."""
    return Rejection(Code.DENIED, f"{request.envelope.principal} may not {request.envelope.type}: {why}")


def anything(_: AccessRequest, __: Session, ___: Any) -> None:
    """Whatever the command is about."""


def itself(request: AccessRequest, session: Session, _: Any) -> Rejection | None:
    """Its own session."""
    return None if request.target == session.id else refusal(request, "it is another session")


def own_subtree(request: AccessRequest, session: Session, _: Any) -> Rejection | None:
    """Its own session, or one below it."""
    return _below(request, session, request.target)


def own_child(request: AccessRequest, session: Session, arguments: Any) -> Rejection | None:
    """A child of its own session, or of one below it."""
    if arguments.parent_id is None:
        return refusal(request, "an agent spawns under its own session")
    return _below(request, session, arguments.parent_id)


def own_lineage(request: AccessRequest, session: Session, arguments: Any) -> Rejection | None:
    """What belongs to a session of its own lineage."""
    anchor = sessions(request.tenant).by_id.get(arguments.session_id)
    if anchor is None or anchor.root_id == session.root_id:
        return None
    return refusal(request, f"session {anchor.id} is of another lineage")


def _below(request: AccessRequest, session: Session, other_id: str) -> Rejection | None:
    other = sessions(request.tenant).by_id.get(other_id)
    if other is None or other is session or session.id in other.lineage:
        return None
    return refusal(request, f"session {other_id} is not below its own")

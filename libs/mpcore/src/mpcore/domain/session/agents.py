"""Agents act as their sessions: whose word a command is, and for what an agent may command sessions."""

from typing import Any

from mpschema.principal import Role
from mpschema.rejections import Code, Rejection

from mpcore.domain.principal.index import rank
from mpcore.domain.principal.state import AGENT_PREFIX, RANK
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import Session
from mpcore.state.rules import DecisionContext

_AGENT_RANK = RANK[Role.AGENT]


def acting_session(context: DecisionContext) -> Session | None:
    """The session that an agent speaks for; None for everyone with a higher role, who speaks for itself."""
    envelope, tenant = context.envelope, context.draft.tenant
    principal = envelope.principal
    if not principal.startswith(AGENT_PREFIX) and rank(context.draft.world, tenant, principal) > _AGENT_RANK:
        return None
    return None if envelope.session_id is None else sessions(tenant).by_id.get(envelope.session_id)


def voice(context: DecisionContext, session: Session | None) -> str:
    """The name under which the caller is heard: an agent as its session, whoever runs it."""
    return context.envelope.principal if session is None else AGENT_PREFIX + session.id


def refusal(context: DecisionContext, why: str) -> Rejection:
    """Refuse an agent that may give the command, and not for this."""
    return Rejection(Code.DENIED, f"{context.envelope.principal} may not {context.envelope.type}: {why}")


def anything(_: DecisionContext, __: Session, ___: Any) -> None:
    """Whatever the command is about."""


def itself(context: DecisionContext, session: Session, _: Any) -> Rejection | None:
    """Its own session."""
    return None if context.target == session.id else refusal(context, "it is another session")


def own_subtree(context: DecisionContext, session: Session, _: Any) -> Rejection | None:
    """Its own session, or one below it."""
    return _below(context, session, context.target)


def own_child(context: DecisionContext, session: Session, arguments: Any) -> Rejection | None:
    """A child of its own session, or of one below it."""
    if arguments.parent_id is None:
        return refusal(context, "an agent spawns under its own session")
    return _below(context, session, arguments.parent_id)


def own_lineage(context: DecisionContext, session: Session, arguments: Any) -> Rejection | None:
    """Allow what belongs to a session of its own lineage."""
    anchor = sessions(context.draft.tenant).by_id.get(arguments.session_id)
    if anchor is None or anchor.root_id == session.root_id:
        return None
    return refusal(context, f"session {anchor.id} is of another lineage")


def _below(context: DecisionContext, session: Session, other_id: str) -> Rejection | None:
    other = sessions(context.draft.tenant).by_id.get(other_id)
    if other is None or other is session or session.id in other.lineage:
        return None
    return refusal(context, f"session {other_id} is not below its own")

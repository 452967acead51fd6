"""What an agent may do: work on tasks as its own session, grow and review its own subtree, and nothing beside it.

An agent is a principal `agent:<session>`, or one whose highest role is `agent` and that names the session it runs. In
both cases it acts as that session only, while that session lives.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mpschema.rejections import Code, Rejection

from mpkernel.core.authority import denied
from mpkernel.core.rules import AccessRequest
from mpkernel.core.session import LIVE
from mpkernel.core.states import Session

AgentRule = Callable[[AccessRequest, Session, Any], Rejection | None]
"""Of the request, the agent's session and the arguments: why not, or None."""


def authorize(request: AccessRequest, session_id: str | None) -> Rejection | None:
    """Why the agent that runs this session may not give this command, or None where it may."""
    envelope = request.envelope
    session = None if session_id is None else request.space.sessions.get(session_id)
    if session is None or envelope.session_id != session_id:
        return denied(envelope)
    if session.state not in LIVE:
        return Rejection(Code.SESSION_ENDED, f"session {session.id} is {session.state}")
    rule = RULES.get(envelope.type)
    return denied(envelope) if rule is None else rule(request, session, request.arguments)


def _no(request: AccessRequest, why: str) -> Rejection:
    return Rejection(Code.DENIED, f"{request.envelope.principal} may not {request.envelope.type}: {why}")


def _anything(_: AccessRequest, __: Session, ___: Any) -> None:
    return None


def _as_itself(request: AccessRequest, session: Session, arguments: Any) -> Rejection | None:
    if arguments.session_id in (None, session.id):
        return None
    return _no(request, "an agent claims for its own session")


def _holder(request: AccessRequest, session: Session, arguments: Any) -> Rejection | None:
    """With a fence that is not current the decision itself says so, which tells the caller more."""
    task = request.space.tasks.get(request.target)
    if task is None or task.fence != arguments.fence or not task.holder or task.session_id == session.id:
        return None
    return _no(request, "another holds the claim")


def _reviewer(request: AccessRequest, session: Session, _: Any) -> Rejection | None:
    """A lead judges the work of its descendants, never its own."""
    task = request.space.tasks.get(request.target)
    if task is None:
        return None
    holder = None if task.session_id is None else request.space.sessions[task.session_id]
    if holder is not None and session.id in holder.lineage:
        return None
    return _no(request, "the task is not held by a session below its own")


def _itself(request: AccessRequest, session: Session, _: Any) -> Rejection | None:
    return None if request.target == session.id else _no(request, "it is another session")


def _own_subtree(request: AccessRequest, session: Session, _: Any) -> Rejection | None:
    return _below(request, session, request.target)


def _own_child(request: AccessRequest, session: Session, arguments: Any) -> Rejection | None:
    if arguments.parent_id is None:
        return _no(request, "an agent spawns under its own session")
    return _below(request, session, arguments.parent_id)


def _below(request: AccessRequest, session: Session, other_id: str) -> Rejection | None:
    other = request.space.sessions.get(other_id)
    if other is None or other is session or session.id in other.lineage:
        return None
    return _no(request, f"session {other_id} is not below its own")


def _own_lineage(request: AccessRequest, session: Session, arguments: Any) -> Rejection | None:
    anchor = request.space.sessions.get(arguments.session_id)
    if anchor is None or anchor.root_id == session.root_id:
        return None
    return _no(request, f"session {anchor.id} is of another lineage")


RULES: Mapping[str, AgentRule] = {
    "task.create": _anything,
    "task.edit": _anything,
    "task.link": _anything,
    "task.block": _anything,
    "task.unblock": _anything,
    "task.claim": _as_itself,
    "task.renew": _holder,
    "task.release": _holder,
    "task.start": _holder,
    "task.submit": _holder,
    "task.accept": _reviewer,
    "task.reject": _reviewer,
    "task.complete": _reviewer,
    "task.cancel": _reviewer,
    "session.spawn": _own_child,
    "session.start": _itself,
    "session.pause": _itself,
    "session.resume": _itself,
    "session.complete": _own_subtree,
    "session.fail": _own_subtree,
    "channel.open": _own_lineage,
    "channel.post": _anything,
    "channel.ack": _anything,
}
"""The commands an agent may give, each with what it may give them for. A channel itself asks for membership."""

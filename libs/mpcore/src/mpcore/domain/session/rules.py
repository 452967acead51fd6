"""How the commands of a session are decided."""

from mpschema import session as words
from mpschema.ids import derived_id, is_id
from mpschema.levels import FIRST_LEVEL
from mpschema.rejections import Code, Rejection
from mpschema.session import SessionLimits, SessionState

from mpcore.domain.principal.state import AGENT_PREFIX
from mpcore.domain.project.rules import closed_around, closed_project
from mpcore.domain.session import agents
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import LIVE, Session
from mpcore.domain.task.claims import release_claims
from mpcore.domain.task.index import tasks
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import AccessRequest, Rule, Rules, Unasked
from mpcore.state.tenant import Tenant

REQUESTED, ACTIVE, PAUSED = SessionState.REQUESTED, SessionState.ACTIVE, SessionState.PAUSED
COMPLETED, FAILED, CANCELED = SessionState.COMPLETED, SessionState.FAILED, SessionState.CANCELED
LINEAGE_LIVE_MAX = 4_096
"""How many sessions of one lineage may live at once: a cascade over all of them still fits one commit."""


def _spawn(_: None, arguments: words.SpawnSession, request: AccessRequest) -> Decision:
    tenant, target = request.tenant, request.target
    if not is_id(AGENT_PREFIX + target):
        return Rejection(Code.SCHEMA_INVALID, f"a session's id has at most {128 - len(AGENT_PREFIX)} characters")
    if refused := _no_task(request, arguments.task_id):
        return refused
    parent = None
    if arguments.parent_id is not None:
        parent = sessions(tenant).by_id.get(arguments.parent_id)
        if parent is None:
            return Rejection(Code.NOT_FOUND, f"session {arguments.parent_id} does not exist")
        if refused := _over_limits(tenant, parent, arguments):
            return refused
    project_id = arguments.project_id or (parent.project_id if parent else None)
    if project_id is not None and (refused := closed_project(tenant, project_id)):
        return refused
    return (Fact("session", target, _spawned_event(target, parent, project_id, arguments)),)


def _no_task(request: AccessRequest, task_id: str | None) -> Rejection | None:
    """Why no session begins for this task, or None where it is about none, or one may."""
    if task_id is None:
        return None
    task = tasks(request.tenant).by_id.get(task_id)
    if task is None:
        return Rejection(Code.NOT_FOUND, f"task {task_id} does not exist")
    return closed_around(request, task.project_id)


def _over_limits(tenant: Tenant, parent: Session, arguments: words.SpawnSession) -> Rejection | None:
    """Why the parent may not have this child: authority of a child lies within its parent's (G6)."""
    limits, index = arguments.limits, sessions(tenant)
    if parent.state not in LIVE:
        return Rejection(Code.SESSION_ENDED, f"session {parent.id} is {parent.state}")
    if parent.depth >= parent.max_depth:
        return Rejection(Code.DEPTH_EXCEEDED, f"session {parent.id} is at the deepest level, {parent.max_depth}")
    if index.children.get(parent.id, 0) >= parent.max_children:
        return Rejection(
            Code.FANOUT_EXCEEDED, f"session {parent.id} has spawned all its {parent.max_children} children"
        )
    if index.live_in_lineage[parent.root_id] >= LINEAGE_LIVE_MAX:
        return Rejection(Code.FANOUT_EXCEEDED, f"{LINEAGE_LIVE_MAX} sessions of the lineage live already")
    if limits is not None and (limits.max_depth > parent.max_depth or limits.max_children > parent.max_children):
        return Rejection(Code.AUTHORITY_EXCEEDED, f"the limits are wider than those of session {parent.id}")
    if parent.project_id is not None and arguments.project_id not in (None, parent.project_id):
        return Rejection(Code.AUTHORITY_EXCEEDED, f"session {parent.id} works in project {parent.project_id} alone")
    return None


def _spawned_event(
    target: str, parent: Session | None, project_id: str | None, arguments: words.SpawnSession
) -> words.SessionSpawned:
    lineage = (*parent.lineage, parent.id) if parent else ()
    inherited = SessionLimits(parent.max_depth, parent.max_children) if parent else SessionLimits()
    return words.SessionSpawned(
        blueprint=arguments.blueprint,
        root_id=lineage[0] if lineage else target,
        depth=len(lineage),
        lineage=lineage,
        limits=arguments.limits or inherited,
        parent_id=arguments.parent_id,
        project_id=project_id,
        task_id=arguments.task_id,
        purpose=arguments.purpose,
        labels=arguments.labels,
    )


def _start(session: Session, _: words.StartSession, __: AccessRequest) -> Decision:
    return (Fact("session", session.id, words.SessionStarted()),)


def _pause(session: Session, arguments: words.PauseSession, _: AccessRequest) -> Decision:
    return (Fact("session", session.id, words.SessionPaused(arguments.reason)),)


def _resume(session: Session, _: words.ResumeSession, __: AccessRequest) -> Decision:
    return (Fact("session", session.id, words.SessionResumed()),)


def _complete(session: Session, arguments: words.CompleteSession, request: AccessRequest) -> Decision:
    children = sessions(request.tenant).live_children.get(session.id)
    if children:
        return Rejection(Code.INVALID_STATE, f"child {min(children)} of session {session.id} is live")
    completed = Fact("session", session.id, words.SessionCompleted(arguments.result))
    return (completed, *release_claims(request.tenant, (session.id,)))


def _fail(session: Session, arguments: words.FailSession, request: AccessRequest) -> Decision:
    failed = Fact("session", session.id, words.SessionFailed(arguments.failure, arguments.detail))
    return (failed, *_cascade(request.tenant, session.id))


def _cancel(session: Session, arguments: words.CancelSession, request: AccessRequest) -> Decision:
    canceled = Fact("session", session.id, words.SessionCanceled(session.id, arguments.reason))
    return (canceled, *_cascade(request.tenant, session.id))


def _cascade(tenant: Tenant, origin_id: str) -> tuple[Fact, ...]:
    """What ends with a session: its live descendants, nearest first, then the claims of all of them.

    The reason stands with the origin alone; `origin_id` leads to it.
    """
    below = _live_below(tenant, origin_id)
    canceled = (Fact("session", session_id, words.SessionCanceled(origin_id)) for session_id in below)
    return (*canceled, *release_claims(tenant, (origin_id, *below)))


def _live_below(tenant: Tenant, session_id: str) -> list[str]:
    """The live descendants, level by level, in the order of their ids."""
    live_children = sessions(tenant).live_children
    found: list[str] = []
    level = [session_id]
    while level:
        level = sorted(child for parent in level for child in live_children.get(parent, ()))
        found += level
    return found


def _issue_token(session: Session, arguments: words.IssueSessionToken, request: AccessRequest) -> Decision:
    token_id = derived_id("token", request.envelope.command_id)
    event = words.SessionTokenIssued(token_id, request.now_ms + arguments.ttl_seconds * 1_000)
    return (Fact("session", session.id, event),)


def _revoke_tokens(session: Session, arguments: words.RevokeSessionTokens, _: AccessRequest) -> Decision:
    return (Fact("session", session.id, words.SessionTokensRevoked(arguments.reason)),)


RULES: Rules = {
    words.SpawnSession: Rule(decide=_spawn, targets=(REQUESTED,), agents=agents.own_child),
    words.StartSession: Rule(decide=_start, sources=frozenset({REQUESTED}), targets=(ACTIVE,), agents=agents.itself),
    words.PauseSession: Rule(decide=_pause, sources=frozenset({ACTIVE}), targets=(PAUSED,), agents=agents.itself),
    words.ResumeSession: Rule(decide=_resume, sources=frozenset({PAUSED}), targets=(ACTIVE,), agents=agents.itself),
    words.CompleteSession: Rule(
        decide=_complete, sources=frozenset({ACTIVE, PAUSED}), targets=(COMPLETED,), agents=agents.own_subtree
    ),
    words.FailSession: Rule(decide=_fail, sources=LIVE, targets=(FAILED,), agents=agents.own_subtree),
    words.CancelSession: Rule(decide=_cancel, sources=LIVE, targets=(CANCELED,)),
    words.IssueSessionToken: Rule(decide=_issue_token, sources=LIVE),
    words.RevokeSessionTokens: Rule(decide=_revoke_tokens, sources=LIVE, ungated_since=FIRST_LEVEL),
}

UNASKED: Unasked = {"an ancestor fails or is canceled": (LIVE, CANCELED)}

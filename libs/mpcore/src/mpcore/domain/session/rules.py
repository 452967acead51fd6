"""The rules of a session's commands."""

from mpschema import session as words
from mpschema.base import Event
from mpschema.ids import derived_id, is_id
from mpschema.levels import FIRST_LEVEL, HOUSE_LEVEL
from mpschema.rejections import Code, Rejection
from mpschema.session import SessionLimits, SessionState

from mpcore.domain.principal.state import AGENT_PREFIX
from mpcore.domain.project.rules import closed_around, closed_project
from mpcore.domain.session import agents, liveness
from mpcore.domain.session.cascade import cascade
from mpcore.domain.session.index import sessions
from mpcore.domain.session.liveness import swept
from mpcore.domain.session.state import LIVE, Session
from mpcore.domain.task.claims import release_claims
from mpcore.domain.task.index import tasks
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import NOBODY, DecisionContext, Rule, Rules

REQUESTED, ACTIVE, PAUSED = SessionState.REQUESTED, SessionState.ACTIVE, SessionState.PAUSED
COMPLETED, FAILED, CANCELED = SessionState.COMPLETED, SessionState.FAILED, SessionState.CANCELED
LINEAGE_LIVE_MAX_BEFORE = 4_096
"""Sessions of one lineage that may live at once below feature level 4: a cascade over all of them fits one commit."""


def _spawn(_: None, arguments: words.SpawnSession, context: DecisionContext) -> Decision:
    tenant, target = context.draft.tenant, context.target
    if not is_id(AGENT_PREFIX + target):
        return Rejection(Code.SCHEMA_INVALID, f"a session's id has at most {128 - len(AGENT_PREFIX)} characters")
    if refused := _no_task(context, arguments.task_id):
        return refused
    parent = None
    if arguments.parent_id is not None:
        parent = sessions(tenant).by_id.get(arguments.parent_id)
        if parent is None:
            return Rejection(Code.NOT_FOUND, f"session {arguments.parent_id} does not exist")
        if refused := _over_limits(context, parent, arguments):
            return refused
    project_id = arguments.project_id or (parent.project_id if parent else None)
    if project_id is not None and (refused := closed_project(tenant, project_id)):
        return refused
    return (Fact("session", target, _spawned_event(target, parent, project_id, arguments)),)


def _no_task(context: DecisionContext, task_id: str | None) -> Rejection | None:
    """Refuse a session for a task that is not there or closed; None where one may begin."""
    if task_id is None:
        return None
    task = tasks(context.draft.tenant).by_id.get(task_id)
    if task is None:
        return Rejection(Code.NOT_FOUND, f"task {task_id} does not exist")
    return closed_around(context, task.project_id)


def _over_limits(context: DecisionContext, parent: Session, arguments: words.SpawnSession) -> Rejection | None:
    """Refuse a child that the parent may not have: its authority lies within its parent's (G6)."""
    limits, index = arguments.limits, sessions(context.draft.tenant)
    if refused := liveness.ended(context.draft.tenant, parent):
        return refused
    if parent.depth >= parent.max_depth:
        return Rejection(Code.DEPTH_EXCEEDED, f"session {parent.id} is at the deepest level, {parent.max_depth}")
    if index.children.get(parent.id, 0) >= parent.max_children:
        return Rejection(
            Code.FANOUT_EXCEEDED, f"session {parent.id} has spawned all its {parent.max_children} children"
        )
    most = context.draft.world.limits.lineage_live_max if _followed(context) else LINEAGE_LIVE_MAX_BEFORE
    if index.live_in_lineage[parent.root_id] >= most:
        return Rejection(Code.FANOUT_EXCEEDED, f"{most} sessions of the lineage live already")
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


def _start(session: Session, _: words.StartSession, __: DecisionContext) -> Decision:
    return (Fact("session", session.id, words.SessionStarted()),)


def _pause(session: Session, arguments: words.PauseSession, _: DecisionContext) -> Decision:
    return (Fact("session", session.id, words.SessionPaused(arguments.reason)),)


def _resume(session: Session, _: words.ResumeSession, __: DecisionContext) -> Decision:
    return (Fact("session", session.id, words.SessionResumed()),)


def _complete(session: Session, arguments: words.CompleteSession, context: DecisionContext) -> Decision:
    tenant = context.draft.tenant
    children = sessions(tenant).live_children.get(session.id)
    if children:
        return Rejection(Code.INVALID_STATE, f"child {min(children)} of session {session.id} is live")
    completed = Fact("session", session.id, words.SessionCompleted(arguments.result))
    return (completed,) if _followed(context) else (completed, *release_claims(tenant, (session.id,)))


def _fail(session: Session, arguments: words.FailSession, context: DecisionContext) -> Decision:
    return _end(session, words.SessionFailed(arguments.failure, arguments.detail), context)


def _cancel(session: Session, arguments: words.CancelSession, context: DecisionContext) -> Decision:
    return _end(session, words.SessionCanceled(session.id, arguments.reason), context)


def _end(session: Session, event: Event, context: DecisionContext) -> Decision:
    """End a session. What ends with it follows from the event, or is said here where the log is at an old level."""
    ended = Fact("session", session.id, event)
    return (ended,) if _followed(context) else (ended, *cascade(context.draft.tenant, session.id))


def _followed(context: DecisionContext) -> bool:
    """Tell whether the log is at the level from which follow-ups are recorded."""
    return context.draft.world.feature_level >= HOUSE_LEVEL


def _end_with(session: Session, arguments: words.EndSession, _: DecisionContext) -> Decision:
    return (Fact("session", session.id, words.SessionCanceled(arguments.origin_id)),)


def _issue_token(session: Session, arguments: words.IssueSessionToken, context: DecisionContext) -> Decision:
    token_id = derived_id("token", context.envelope.command_id)
    event = words.SessionTokenIssued(token_id, context.inputs.now_ms + arguments.ttl_seconds * 1_000)
    return (Fact("session", session.id, event),)


def _revoke_tokens(session: Session, arguments: words.RevokeSessionTokens, _: DecisionContext) -> Decision:
    return (Fact("session", session.id, words.SessionTokensRevoked(arguments.reason)),)


RULES: Rules = {
    words.SpawnSession: Rule(decide=_spawn, targets=(REQUESTED,), agents=agents.own_child),
    words.StartSession: Rule(
        decide=_start, sources=frozenset({REQUESTED}), targets=(ACTIVE,), guard=swept, agents=agents.itself
    ),
    words.PauseSession: Rule(
        decide=_pause, sources=frozenset({ACTIVE}), targets=(PAUSED,), guard=swept, agents=agents.itself
    ),
    words.ResumeSession: Rule(
        decide=_resume, sources=frozenset({PAUSED}), targets=(ACTIVE,), guard=swept, agents=agents.itself
    ),
    words.CompleteSession: Rule(
        decide=_complete,
        sources=frozenset({ACTIVE, PAUSED}),
        targets=(COMPLETED,),
        guard=swept,
        agents=agents.own_subtree,
    ),
    words.FailSession: Rule(decide=_fail, sources=LIVE, targets=(FAILED,), guard=swept, agents=agents.own_subtree),
    words.CancelSession: Rule(decide=_cancel, sources=LIVE, targets=(CANCELED,), guard=swept),
    words.EndSession: Rule(decide=_end_with, sources=LIVE, targets=(CANCELED,), roles=NOBODY, by_kernel=True),
    words.IssueSessionToken: Rule(decide=_issue_token, sources=LIVE, guard=swept),
    words.RevokeSessionTokens: Rule(decide=_revoke_tokens, sources=LIVE, guard=swept, ungated_since=FIRST_LEVEL),
}

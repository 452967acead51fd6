"""The rules of a task's commands."""

from typing import Any

from mpschema import task as words
from mpschema.ids import derived_id
from mpschema.levels import CHILDREN_LEVEL, HOUSE_LEVEL
from mpschema.rejections import Code, Rejection
from mpschema.session import SessionState
from mpschema.task import ReleaseCause, TaskState

from mpcore.domain.board.rules import full_column
from mpcore.domain.board.state import BoardState, boards
from mpcore.domain.naming import name_in
from mpcore.domain.project.rules import closed_around, closed_project
from mpcore.domain.session.agents import anything
from mpcore.domain.session.index import sessions
from mpcore.domain.session.liveness import ended_above
from mpcore.domain.session.state import LIVE
from mpcore.domain.task import agents, links
from mpcore.domain.task.claims import holder_ended, release_of
from mpcore.domain.task.index import tasks
from mpcore.domain.task.state import LEASED, OPEN, Task
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import NOBODY, DecisionContext, Rule, Rules
from mpcore.state.tenant import Tenant

DRAFT, READY, CLAIMED, IN_PROGRESS = TaskState.DRAFT, TaskState.READY, TaskState.CLAIMED, TaskState.IN_PROGRESS
IN_REVIEW, BLOCKED, DONE, CANCELED = TaskState.IN_REVIEW, TaskState.BLOCKED, TaskState.DONE, TaskState.CANCELED
_SESSION_ACTIVE = SessionState.ACTIVE


def _stale_fence(task: Task, context: DecisionContext) -> Rejection | None:
    """Guard what only the holder of a claim may do (G12): its token must be that of the live claim."""
    arguments: Any = context.arguments
    if arguments.fence == task.fence and task.holder and not _returned(task, context):
        return None
    return Rejection(Code.STALE_FENCE, f"fence {arguments.fence} is not of a live claim on task {task.id}")


def _other_claim(task: Task, context: DecisionContext) -> Rejection | None:
    """Guard the end of a claim by the kernel: it must be the one that it meant."""
    arguments: Any = context.arguments
    if arguments.fence == task.fence:
        return None
    return Rejection(Code.STALE_FENCE, f"fence {arguments.fence} is not of the claim on task {task.id}")


def _returned(task: Task, context: DecisionContext) -> bool:
    """Tell whether the claim has ended with its session, though no event of its own says so yet."""
    draft = context.draft
    return draft.world.feature_level >= HOUSE_LEVEL and holder_ended(draft.tenant, task)


def _blocked(tenant: Tenant, task: Task) -> Rejection | None:
    blockers = tasks(tenant).blockers.get(task.id)
    if not blockers:
        return None
    return Rejection(Code.BLOCKED, f"task {min(blockers)} is open and blocks task {task.id}")


def _create(_: None, arguments: words.CreateTask, context: DecisionContext) -> Decision:
    tenant, project_id, board_id = context.draft.tenant, arguments.project_id, arguments.board_id
    if refused := closed_project(tenant, project_id):
        return refused
    if board_id is not None:
        board = boards(tenant).get(board_id)
        if board is None or board.project_id != project_id:
            return Rejection(Code.NOT_FOUND, f"project {project_id} has no board {board_id}")
        if board.state is not BoardState.OPEN:
            return Rejection(Code.ARCHIVED, f"board {board_id} is archived")
    event = words.TaskCreated(
        project_id, arguments.title, arguments.description, board_id, arguments.priority, arguments.labels
    )
    return (Fact("task", context.target, event),)


def _edit(task: Task, arguments: words.EditTask, _: DecisionContext) -> Decision:
    event = words.TaskEdited(arguments.title, arguments.description, arguments.priority, arguments.labels)
    return (Fact("task", task.id, event),)


def _mark_ready(task: Task, _: words.MarkTaskReady, context: DecisionContext) -> Decision:
    refused = closed_around(context, task.project_id) or _blocked(context.draft.tenant, task)
    refused = refused or full_column(context.draft.tenant, task, READY)
    return refused or (Fact("task", task.id, words.TaskReady()),)


def _claim(task: Task, arguments: words.ClaimTask, context: DecisionContext) -> Decision:
    tenant, envelope, ttl_seconds = context.draft.tenant, context.envelope, arguments.ttl_seconds
    session_id = arguments.session_id or envelope.session_id
    refused = closed_around(context, task.project_id) or _blocked(tenant, task) or full_column(tenant, task, CLAIMED)
    if refused is None and session_id is not None:
        refused = _idle_session(tenant, session_id)
    if refused is not None:
        return refused
    lease_id = derived_id("lease", envelope.command_id)
    expires_at_ms = context.inputs.now_ms + ttl_seconds * 1_000
    fence = max(task.fence, context.draft.world.fence_floor) + 1
    event = words.TaskClaimed(envelope.principal, lease_id, fence, ttl_seconds, expires_at_ms, session_id)
    return (Fact("task", task.id, event),)


def _idle_session(tenant: Tenant, session_id: str) -> Rejection | None:
    """Refuse a session that may not claim; None where it may."""
    session = sessions(tenant).by_id.get(session_id)
    if session is None:
        return Rejection(Code.NOT_FOUND, f"session {session_id} does not exist")
    above = ended_above(tenant, session)
    if above is not None:
        return Rejection(Code.SESSION_ENDED, f"session {session_id} ended with {above}")
    if session.state is _SESSION_ACTIVE:
        return None
    code = Code.INVALID_STATE if session.state in LIVE else Code.SESSION_ENDED
    return Rejection(code, f"session {session_id} is {session.state}, not active")


def _renew(task: Task, arguments: words.RenewTask, context: DecisionContext) -> Decision:
    ttl_seconds = arguments.ttl_seconds
    event = words.TaskLeaseRenewed(task.fence, ttl_seconds, context.inputs.now_ms + ttl_seconds * 1_000)
    return (Fact("task", task.id, event),)


def _release(task: Task, _: words.ReleaseTask, __: DecisionContext) -> Decision:
    return (release_of(task, ReleaseCause.HOLDER),)


def _expire_lease(task: Task, _: words.ExpireTaskLease, __: DecisionContext) -> Decision:
    return (Fact("task", task.id, words.TaskLeaseExpired(task.fence, task.holder)),)


def _return(task: Task, _: words.ReturnTask, __: DecisionContext) -> Decision:
    return (release_of(task, ReleaseCause.SESSION_ENDED),)


def _start(task: Task, _: words.StartTask, context: DecisionContext) -> Decision:
    if refused := full_column(context.draft.tenant, task, IN_PROGRESS):
        return refused
    event = words.TaskStarted(task.fence, context.inputs.now_ms + task.ttl_seconds * 1_000)
    return (Fact("task", task.id, event),)


def _submit(task: Task, arguments: words.SubmitTask, context: DecisionContext) -> Decision:
    if refused := full_column(context.draft.tenant, task, IN_REVIEW):
        return refused
    return (Fact("task", task.id, words.TaskSubmitted(task.fence, arguments.evidence)),)


def _accept(task: Task, arguments: words.AcceptTask, _: DecisionContext) -> Decision:
    if task.accepted:
        return Rejection(Code.INVALID_STATE, f"task {task.id} is accepted already")
    return (Fact("task", task.id, words.TaskAccepted(arguments.note)),)


def _reject(task: Task, arguments: words.RejectTask, context: DecisionContext) -> Decision:
    draft = context.draft
    event = words.TaskRejected(arguments.reason, context.inputs.now_ms + task.ttl_seconds * 1_000)
    rejected = Fact("task", task.id, event)
    if CHILDREN_LEVEL <= draft.world.feature_level < HOUSE_LEVEL and holder_ended(draft.tenant, task):
        return (rejected, release_of(task, ReleaseCause.SESSION_ENDED))  # From that level on it follows by itself.
    return (rejected,)


def _block(task: Task, arguments: words.BlockTask, _: DecisionContext) -> Decision:
    return (Fact("task", task.id, words.TaskBlocked(arguments.reason)),)


def _unblock(task: Task, _: words.UnblockTask, context: DecisionContext) -> Decision:
    state = READY if task.offered else DRAFT
    refused = closed_around(context, task.project_id) if state is READY else None
    refused = refused or full_column(context.draft.tenant, task, state)
    return refused or (Fact("task", task.id, words.TaskUnblocked(state)),)


def _complete(task: Task, _: words.CompleteTask, __: DecisionContext) -> Decision:
    if not task.accepted:
        return Rejection(Code.INVALID_STATE, f"the evidence of task {task.id} is not accepted yet")
    return (Fact("task", task.id, words.TaskCompleted()),)


def _cancel(task: Task, arguments: words.CancelTask, _: DecisionContext) -> Decision:
    return (Fact("task", task.id, words.TaskCanceled(arguments.reason)),)


def _reopen(task: Task, arguments: words.ReopenTask, context: DecisionContext) -> Decision:
    refused = closed_around(context, task.project_id) or full_column(context.draft.tenant, task, DRAFT)
    return refused or (Fact("task", task.id, words.TaskReopened(arguments.reason)),)


def _of(*states: TaskState) -> frozenset[TaskState]:
    return frozenset(states)


RULES: Rules = {
    words.CreateTask: Rule(decide=_create, targets=(DRAFT,), names=name_in("title"), agents=anything),
    words.EditTask: Rule(decide=_edit, sources=OPEN, names=name_in("title"), agents=anything),
    words.LinkTask: Rule(decide=links.link, sources=OPEN, agents=anything),
    words.UnlinkTask: Rule(decide=links.unlink, sources=OPEN),
    words.MarkTaskReady: Rule(decide=_mark_ready, sources=_of(DRAFT), targets=(READY,)),
    words.ClaimTask: Rule(decide=_claim, sources=_of(READY), targets=(CLAIMED,), agents=agents.as_itself),
    words.RenewTask: Rule(decide=_renew, sources=LEASED, guard=_stale_fence, agents=agents.holder),
    words.ReleaseTask: Rule(
        decide=_release, sources=LEASED, targets=(READY,), guard=_stale_fence, agents=agents.holder
    ),
    words.ExpireTaskLease: Rule(
        decide=_expire_lease, sources=LEASED, targets=(READY,), guard=_other_claim, roles=NOBODY, by_kernel=True
    ),
    words.ReturnTask: Rule(
        decide=_return, sources=LEASED, targets=(READY,), guard=_other_claim, roles=NOBODY, by_kernel=True
    ),
    words.StartTask: Rule(
        decide=_start, sources=_of(CLAIMED), targets=(IN_PROGRESS,), guard=_stale_fence, agents=agents.holder
    ),
    words.SubmitTask: Rule(
        decide=_submit, sources=_of(IN_PROGRESS), targets=(IN_REVIEW,), guard=_stale_fence, agents=agents.holder
    ),
    words.AcceptTask: Rule(decide=_accept, sources=_of(IN_REVIEW), agents=agents.reviewer),
    words.RejectTask: Rule(
        decide=_reject, sources=_of(IN_REVIEW), targets=(IN_PROGRESS, READY), agents=agents.reviewer
    ),
    words.BlockTask: Rule(decide=_block, sources=OPEN - {BLOCKED}, targets=(BLOCKED,), agents=anything),
    words.UnblockTask: Rule(decide=_unblock, sources=_of(BLOCKED), targets=(DRAFT, READY), agents=anything),
    words.CompleteTask: Rule(decide=_complete, sources=_of(IN_REVIEW), targets=(DONE,), agents=agents.reviewer),
    words.CancelTask: Rule(decide=_cancel, sources=OPEN, targets=(CANCELED,), agents=agents.reviewer),
    words.ReopenTask: Rule(decide=_reopen, sources=_of(DONE, CANCELED), targets=(DRAFT,)),
}

"""A piece of work: offered, claimed by lease, handed in with evidence, accepted, done.

A claim is live while the task has a holder. Its lease runs while work is due from the holder (claimed, in progress) and
lives until its expiry is recorded: no decision compares a time with the clock.
"""

from collections.abc import Iterable, Mapping
from sys import intern

from mpschema import task as words
from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.ids import derived_id
from mpschema.levels import CHILDREN_LEVEL
from mpschema.rejections import Code, Rejection
from mpschema.session import SessionState
from mpschema.task import ReleaseCause, TaskState
from msgspec.structs import replace

from mpkernel.core import links
from mpkernel.core.board import OPEN as BOARD_OPEN
from mpkernel.core.board import full_column
from mpkernel.core.project import closed_around, closed_project
from mpkernel.core.rules import AccessRequest, Evolve, Rule, Rules, Unasked
from mpkernel.core.states import Task
from mpkernel.core.world import Decision, Fact, Space

DRAFT, READY, CLAIMED, IN_PROGRESS = TaskState.DRAFT, TaskState.READY, TaskState.CLAIMED, TaskState.IN_PROGRESS
IN_REVIEW, BLOCKED, DONE, CANCELED = TaskState.IN_REVIEW, TaskState.BLOCKED, TaskState.DONE, TaskState.CANCELED
OPEN = frozenset(TaskState) - {DONE, CANCELED}
LEASED = frozenset({CLAIMED, IN_PROGRESS})
"""States in which the lease runs."""
RELEASES_MAX = 4_096
"""How many claims one outcome ends at most. The rest end as their leases expire."""

_SESSION_ACTIVE = SessionState.ACTIVE
_SESSION_LIVE = frozenset({SessionState.REQUESTED, SessionState.ACTIVE, SessionState.PAUSED})


def release_claims(space: Space, session_ids: Iterable[str]) -> tuple[Fact, ...]:
    """The releases of what these sessions hold, because they end. Tasks in review stay: their work is handed in."""
    held = sorted(task_id for session_id in session_ids for task_id in space.index.claims.get(session_id, ()))
    return tuple(_release_of(space.tasks[task_id], ReleaseCause.SESSION_ENDED) for task_id in held[:RELEASES_MAX])


def _release_of(task: Task, cause: ReleaseCause) -> Fact:
    return Fact("task", task.id, words.TaskReleased(task.fence, task.holder, cause))


def _stale_fence(task: Task, arguments: words.ReleaseTask) -> Rejection | None:
    """The guard of whoever says it holds the claim (G12): its token must be the one of the live claim."""
    if arguments.fence == task.fence and task.holder:
        return None
    return Rejection(Code.STALE_FENCE, f"fence {arguments.fence} is not of a live claim on task {task.id}")


def _blocked(space: Space, task: Task) -> Rejection | None:
    blockers = space.index.blockers.get(task.id)
    if not blockers:
        return None
    return Rejection(Code.BLOCKED, f"task {min(blockers)} is open and blocks task {task.id}")


def _create(_: None, arguments: words.CreateTask, request: AccessRequest) -> Decision:
    space, project_id, board_id = request.space, arguments.project_id, arguments.board_id
    if refused := closed_project(space, project_id):
        return refused
    if board_id is not None:
        board = space.boards.get(board_id)
        if board is None or board.project_id != project_id:
            return Rejection(Code.NOT_FOUND, f"project {project_id} has no board {board_id}")
        if board.state is not BOARD_OPEN:
            return Rejection(Code.ARCHIVED, f"board {board_id} is archived")
    event = words.TaskCreated(
        project_id, arguments.title, arguments.description, board_id, arguments.priority, arguments.labels
    )
    return (Fact("task", request.target, event),)


def _edit(task: Task, arguments: words.EditTask, _: AccessRequest) -> Decision:
    event = words.TaskEdited(arguments.title, arguments.description, arguments.priority, arguments.labels)
    return (Fact("task", task.id, event),)


def _mark_ready(task: Task, _: words.MarkTaskReady, request: AccessRequest) -> Decision:
    refused = closed_around(request, task.project_id) or _blocked(request.space, task)
    refused = refused or full_column(request.space, task, READY)
    return refused or (Fact("task", task.id, words.TaskReady()),)


def _claim(task: Task, arguments: words.ClaimTask, request: AccessRequest) -> Decision:
    space, envelope, ttl_seconds = request.space, request.envelope, arguments.ttl_seconds
    session_id = arguments.session_id or envelope.session_id
    refused = closed_around(request, task.project_id) or _blocked(space, task) or full_column(space, task, CLAIMED)
    if refused is None and session_id is not None:
        refused = _idle_session(space, session_id)
    if refused is not None:
        return refused
    lease_id = derived_id("lease", envelope.command_id)
    expires_at_ms = request.now_ms + ttl_seconds * 1_000
    fence = max(task.fence, request.world.fence_floor) + 1
    event = words.TaskClaimed(envelope.principal, lease_id, fence, ttl_seconds, expires_at_ms, session_id)
    return (Fact("task", task.id, event),)


def _idle_session(space: Space, session_id: str) -> Rejection | None:
    """Why this session may not claim, or None where it may."""
    session = space.sessions.get(session_id)
    if session is None:
        return Rejection(Code.NOT_FOUND, f"session {session_id} does not exist")
    if session.state is _SESSION_ACTIVE:
        return None
    code = Code.INVALID_STATE if session.state in _SESSION_LIVE else Code.SESSION_ENDED
    return Rejection(code, f"session {session_id} is {session.state}, not active")


def _renew(task: Task, arguments: words.RenewTask, request: AccessRequest) -> Decision:
    ttl_seconds = arguments.ttl_seconds
    event = words.TaskLeaseRenewed(task.fence, ttl_seconds, request.now_ms + ttl_seconds * 1_000)
    return (Fact("task", task.id, event),)


def _release(task: Task, _: words.ReleaseTask, __: AccessRequest) -> Decision:
    return (_release_of(task, ReleaseCause.HOLDER),)


def _start(task: Task, _: words.StartTask, request: AccessRequest) -> Decision:
    if refused := full_column(request.space, task, IN_PROGRESS):
        return refused
    event = words.TaskStarted(task.fence, request.now_ms + task.ttl_seconds * 1_000)
    return (Fact("task", task.id, event),)


def _submit(task: Task, arguments: words.SubmitTask, request: AccessRequest) -> Decision:
    if refused := full_column(request.space, task, IN_REVIEW):
        return refused
    return (Fact("task", task.id, words.TaskSubmitted(task.fence, arguments.evidence)),)


def _accept(task: Task, arguments: words.AcceptTask, _: AccessRequest) -> Decision:
    if task.accepted:
        return Rejection(Code.INVALID_STATE, f"task {task.id} is accepted already")
    return (Fact("task", task.id, words.TaskAccepted(arguments.note)),)


def _reject(task: Task, arguments: words.RejectTask, request: AccessRequest) -> Decision:
    event = words.TaskRejected(arguments.reason, request.now_ms + task.ttl_seconds * 1_000)
    rejected = Fact("task", task.id, event)
    if request.world.feature_level >= CHILDREN_LEVEL and _holder_ended(request.space, task):
        return (rejected, _release_of(task, ReleaseCause.SESSION_ENDED))  # Nobody would take the work up again.
    return (rejected,)


def _holder_ended(space: Space, task: Task) -> bool:
    return task.session_id is not None and space.sessions[task.session_id].state not in _SESSION_LIVE


def _block(task: Task, arguments: words.BlockTask, _: AccessRequest) -> Decision:
    return (Fact("task", task.id, words.TaskBlocked(arguments.reason)),)


def _unblock(task: Task, _: words.UnblockTask, request: AccessRequest) -> Decision:
    state = READY if task.offered else DRAFT
    refused = closed_around(request, task.project_id) if state is READY else None
    refused = refused or full_column(request.space, task, state)
    return refused or (Fact("task", task.id, words.TaskUnblocked(state)),)


def _complete(task: Task, _: words.CompleteTask, __: AccessRequest) -> Decision:
    if not task.accepted:
        return Rejection(Code.INVALID_STATE, f"the evidence of task {task.id} is not accepted yet")
    return (Fact("task", task.id, words.TaskCompleted()),)


def _cancel(task: Task, arguments: words.CancelTask, _: AccessRequest) -> Decision:
    return (Fact("task", task.id, words.TaskCanceled(arguments.reason)),)


def _reopen(task: Task, arguments: words.ReopenTask, request: AccessRequest) -> Decision:
    refused = closed_around(request, task.project_id) or full_column(request.space, task, DRAFT)
    return refused or (Fact("task", task.id, words.TaskReopened(arguments.reason)),)


def _of(*states: TaskState) -> frozenset[TaskState]:
    return frozenset(states)


RULES: Rules = {
    words.CreateTask: Rule(decide=_create, targets=(DRAFT,)),
    words.EditTask: Rule(decide=_edit, sources=OPEN),
    words.LinkTask: Rule(decide=links.link, sources=OPEN),
    words.UnlinkTask: Rule(decide=links.unlink, sources=OPEN),
    words.MarkTaskReady: Rule(decide=_mark_ready, sources=_of(DRAFT), targets=(READY,)),
    words.ClaimTask: Rule(decide=_claim, sources=_of(READY), targets=(CLAIMED,)),
    words.RenewTask: Rule(decide=_renew, sources=LEASED, guard=_stale_fence),
    words.ReleaseTask: Rule(decide=_release, sources=LEASED, targets=(READY,), guard=_stale_fence),
    words.StartTask: Rule(decide=_start, sources=_of(CLAIMED), targets=(IN_PROGRESS,), guard=_stale_fence),
    words.SubmitTask: Rule(decide=_submit, sources=_of(IN_PROGRESS), targets=(IN_REVIEW,), guard=_stale_fence),
    words.AcceptTask: Rule(decide=_accept, sources=_of(IN_REVIEW)),
    words.RejectTask: Rule(decide=_reject, sources=_of(IN_REVIEW), targets=(IN_PROGRESS, READY)),
    words.BlockTask: Rule(decide=_block, sources=OPEN - {BLOCKED}, targets=(BLOCKED,)),
    words.UnblockTask: Rule(decide=_unblock, sources=_of(BLOCKED), targets=(DRAFT, READY)),
    words.CompleteTask: Rule(decide=_complete, sources=_of(IN_REVIEW), targets=(DONE,)),
    words.CancelTask: Rule(decide=_cancel, sources=OPEN, targets=(CANCELED,)),
    words.ReopenTask: Rule(decide=_reopen, sources=_of(DONE, CANCELED), targets=(DRAFT,)),
}

UNASKED: Unasked = {"lease expires": (LEASED, READY), "its session ends": (LEASED, READY)}


def _created(_: None, event: words.TaskCreated, record: EventRecord) -> Task:
    board_id = None if event.board_id is None else intern(event.board_id)
    return Task(record.aggregate_id, record.version, intern(event.project_id), board_id, DRAFT)


def _said(task: Task, _: words.TaskEdited, record: EventRecord) -> Task:
    return replace(task, version=record.version)


def _made_ready(task: Task, _: words.TaskReady, record: EventRecord) -> Task:
    return replace(task, version=record.version, state=READY, offered=True)


def _claimed(task: Task, event: words.TaskClaimed, record: EventRecord) -> Task:
    return replace(
        task,
        version=record.version,
        state=CLAIMED,
        fence=event.fence,
        holder=intern(event.holder),
        session_id=event.session_id,
        ttl_seconds=event.ttl_seconds,
        expires_at_ms=event.expires_at_ms,
    )


def _renewed(task: Task, event: words.TaskLeaseRenewed, record: EventRecord) -> Task:
    return replace(task, version=record.version, ttl_seconds=event.ttl_seconds, expires_at_ms=event.expires_at_ms)


def _unclaimed(task: Task, version: int, state: TaskState) -> Task:
    return replace(
        task, version=version, state=state, holder="", session_id=None, ttl_seconds=0, expires_at_ms=0, accepted=False
    )


def _released(task: Task, _: words.TaskReleased | words.TaskLeaseExpired, record: EventRecord) -> Task:
    return _unclaimed(task, record.version, READY)


def _started(task: Task, event: words.TaskStarted, record: EventRecord) -> Task:
    return replace(task, version=record.version, state=IN_PROGRESS, expires_at_ms=event.expires_at_ms)


def _submitted(task: Task, _: words.TaskSubmitted, record: EventRecord) -> Task:
    return replace(task, version=record.version, state=IN_REVIEW, expires_at_ms=0)


def _accepted(task: Task, _: words.TaskAccepted, record: EventRecord) -> Task:
    return replace(task, version=record.version, accepted=True)


def _rejected(task: Task, event: words.TaskRejected, record: EventRecord) -> Task:
    return replace(task, version=record.version, state=IN_PROGRESS, expires_at_ms=event.expires_at_ms, accepted=False)


def _was_blocked(task: Task, _: words.TaskBlocked, record: EventRecord) -> Task:
    return _unclaimed(task, record.version, BLOCKED)


def _unblocked(task: Task, event: words.TaskUnblocked, record: EventRecord) -> Task:
    return replace(task, version=record.version, state=event.state)


def _completed(task: Task, _: words.TaskCompleted, record: EventRecord) -> Task:
    return _unclaimed(task, record.version, DONE)


def _canceled(task: Task, _: words.TaskCanceled, record: EventRecord) -> Task:
    return _unclaimed(task, record.version, CANCELED)


def _reopened(task: Task, _: words.TaskReopened, record: EventRecord) -> Task:
    return replace(task, version=record.version, state=DRAFT, offered=False)


EVOLVE: Mapping[type[Event], Evolve] = {
    words.TaskCreated: _created,
    words.TaskEdited: _said,
    words.TaskLinked: links.linked,
    words.TaskUnlinked: links.unlinked,
    words.TaskReady: _made_ready,
    words.TaskClaimed: _claimed,
    words.TaskLeaseRenewed: _renewed,
    words.TaskLeaseExpired: _released,
    words.TaskReleased: _released,
    words.TaskStarted: _started,
    words.TaskSubmitted: _submitted,
    words.TaskAccepted: _accepted,
    words.TaskRejected: _rejected,
    words.TaskBlocked: _was_blocked,
    words.TaskUnblocked: _unblocked,
    words.TaskCompleted: _completed,
    words.TaskCanceled: _canceled,
    words.TaskReopened: _reopened,
}

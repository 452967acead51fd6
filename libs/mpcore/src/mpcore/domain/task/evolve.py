"""The events of a task, as they change its state."""

from sys import intern

from mpschema import task as words
from mpschema.envelope import EventRecord
from mpschema.session import SessionState
from mpschema.task import TaskState
from msgspec.structs import replace

from mpcore.domain.task import links
from mpcore.domain.task.state import Task
from mpcore.state.rules import Evolves

DRAFT, READY, CLAIMED, IN_PROGRESS = TaskState.DRAFT, TaskState.READY, TaskState.CLAIMED, TaskState.IN_PROGRESS
IN_REVIEW, BLOCKED, DONE, CANCELED = TaskState.IN_REVIEW, TaskState.BLOCKED, TaskState.DONE, TaskState.CANCELED
_SESSION_ACTIVE = SessionState.ACTIVE


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


EVOLVE: Evolves = {
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

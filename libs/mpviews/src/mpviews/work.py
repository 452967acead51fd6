"""Work: boards with their columns, tasks, and the links between tasks."""

from collections.abc import Sequence

import msgspec
from mpschema import board, task
from mpschema.board import Column
from mpschema.board.rows import BoardRow
from mpschema.envelope import EventRecord
from mpschema.task import TaskState
from mpschema.task.rows import LinkRow, TaskRow

from mpviews.changes import (
    CannotApply,
    Cases,
    Change,
    ColumnUpdate,
    Delete,
    Insert,
    Patch,
    Upsert,
    Values,
    View,
)
from mpviews.tables import aggregate_table, amend, created, key_of, patch, table

_BOARDS = aggregate_table("boards", BoardRow)
_TASKS = aggregate_table("tasks", TaskRow, 80, priority="integer")
_LINKS = table(
    "task_links", ("workspace_id", "task_id", "kind", "to_id"), LinkRow, "created_seq", hidden={"created_seq": "bigint"}
)
_columns = msgspec.json.Decoder(list[Column])
_encoder = msgspec.json.Encoder()


def _json(value: object) -> str:
    return _encoder.encode(value).decode()


class ColumnStep(ColumnUpdate, frozen=True):
    """A change to a board's columns, which are stored as one document."""

    def apply(self, current: str) -> str:
        return _json(self.change(_columns.decode(current)))

    def change(self, columns: list[Column]) -> list[Column]:
        """The columns after this step."""
        raise NotImplementedError


class AppendColumn(ColumnStep, frozen=True):
    """One more column at the right end."""

    column: Column

    def change(self, columns: list[Column]) -> list[Column]:
        return [*columns, self.column]


class ReplaceColumn(ColumnStep, frozen=True):
    """New settings for the column of that name."""

    name: str
    settings: dict[str, object]

    def change(self, columns: list[Column]) -> list[Column]:
        if self.name not in {column.name for column in columns}:
            raise CannotApply("the board has no column of that name")
        return [
            msgspec.structs.replace(column, **self.settings) if column.name == self.name else column
            for column in columns
        ]


class OrderColumns(ColumnStep, frozen=True):
    """The columns in this order."""

    names: tuple[str, ...]

    def change(self, columns: list[Column]) -> list[Column]:
        by_name = {column.name: column for column in columns}
        if set(by_name) != set(self.names):
            raise CannotApply("the board has others than those columns")
        return [by_name[name] for name in self.names]


def _board_created(record: EventRecord, data: board.BoardCreated) -> Sequence[Change]:
    values: Values = {
        "project_id": data.project_id,
        "name": data.name,
        "state": "open",
        "columns": _json(data.columns),
    }
    return (Insert("boards", key_of(record), values | created(record)),)


def _board(record: EventRecord, step: ColumnStep) -> Sequence[Change]:
    return (amend("boards", record, "columns", step),)


def _column_added(record: EventRecord, data: board.ColumnAdded) -> Sequence[Change]:
    return _board(record, AppendColumn(Column(name=data.column, states=data.states, wip_limit=data.wip_limit)))


def _task_created(record: EventRecord, data: task.TaskCreated) -> Sequence[Change]:
    time_ms, seq = record.time_ms, record.seq
    values: Values = {
        "project_id": data.project_id,
        "board_id": data.board_id,
        "title": data.title,
        "description": data.description,
        "priority": data.priority,
        "labels": list(data.labels),
        "state": TaskState.DRAFT,
        "holder": None,
        "session_id": None,
        "fence": 0,
        "lease_expires_at": None,
        "evidence": "[]",
        "accepted": False,
        "reason": "",
        "version": record.version,
        "created_seq": seq,
        "last_seq": seq,
        "created_at": time_ms,
        "updated_at": time_ms,
    }
    return (Insert("tasks", (record.workspace_id, record.aggregate_id), values),)


def _task_edited(record: EventRecord, data: task.TaskEdited) -> Sequence[Change]:
    labels = None if data.labels is None else list(data.labels)
    given = {"title": data.title, "description": data.description, "priority": data.priority, "labels": labels}
    return (_task(record, **{name: value for name, value in given.items() if value is not None}),)


def _task_claimed(record: EventRecord, data: task.TaskClaimed) -> Sequence[Change]:
    return (
        _task(
            record,
            state=TaskState.CLAIMED,
            holder=data.holder,
            session_id=data.session_id,
            fence=data.fence,
            lease_expires_at=data.expires_at_ms,
        ),
    )


def _task_linked(record: EventRecord, data: task.TaskLinked) -> Sequence[Change]:
    key = (record.workspace_id, record.aggregate_id, data.kind, data.to)
    return (Upsert("task_links", key, {"created_seq": record.seq}), _task(record))


def _task_unlinked(record: EventRecord, data: task.TaskUnlinked) -> Sequence[Change]:
    return (Delete("task_links", (record.workspace_id, record.aggregate_id, data.kind, data.to)), _task(record))


def _task(record: EventRecord, **values: object) -> Patch:
    return patch("tasks", record, **values)


def _free(record: EventRecord, state: TaskState, **values: object) -> Sequence[Change]:
    """Clear the holder of a task, and the acceptance of an unfinished one."""
    accepted = state is TaskState.DONE
    return (
        _task(
            record,
            state=state,
            holder=None,
            session_id=None,
            lease_expires_at=None,
            accepted=accepted,
            **values,
        ),
    )


def _submitted(record: EventRecord, data: task.TaskSubmitted) -> Sequence[Change]:
    """Put a task in review: it keeps its holder, whose lease is suspended until the verdict."""
    evidence = _json(data.evidence)
    return (_task(record, state=TaskState.IN_REVIEW, evidence=evidence, accepted=False, lease_expires_at=None),)


def _rejected(record: EventRecord, data: task.TaskRejected) -> Sequence[Change]:
    return (
        _task(
            record,
            state=TaskState.IN_PROGRESS,
            reason=data.reason,
            accepted=False,
            lease_expires_at=data.expires_at_ms,
        ),
    )


CASES = Cases(
    frozenset({"board", "task"}),
    {
        board.BoardCreated: _board_created,
        board.ColumnAdded: _column_added,
        board.ColumnMapped: lambda record, data: _board(record, ReplaceColumn(data.column, {"states": data.states})),
        board.ColumnLimited: lambda record, data: _board(
            record, ReplaceColumn(data.column, {"wip_limit": data.wip_limit})
        ),
        board.ColumnsReordered: lambda record, data: _board(record, OrderColumns(data.columns)),
        board.BoardArchived: lambda record, _: (patch("boards", record, state="archived"),),
        task.TaskCreated: _task_created,
        task.TaskEdited: _task_edited,
        task.TaskLinked: _task_linked,
        task.TaskUnlinked: _task_unlinked,
        task.TaskReady: lambda record, _: (_task(record, state=TaskState.READY),),
        task.TaskClaimed: _task_claimed,
        task.TaskLeaseRenewed: lambda record, data: (_task(record, lease_expires_at=data.expires_at_ms),),
        task.TaskLeaseExpired: lambda record, _: _free(record, TaskState.READY),
        task.TaskReleased: lambda record, _: _free(record, TaskState.READY),
        task.TaskStarted: lambda record, data: (
            _task(record, state=TaskState.IN_PROGRESS, lease_expires_at=data.expires_at_ms),
        ),
        task.TaskSubmitted: _submitted,
        task.TaskAccepted: lambda record, _: (_task(record, accepted=True),),
        task.TaskRejected: _rejected,
        task.TaskBlocked: lambda record, data: _free(record, TaskState.BLOCKED, reason=data.reason),
        task.TaskUnblocked: lambda record, data: (_task(record, state=data.state),),
        task.TaskCompleted: lambda record, _: _free(record, TaskState.DONE),
        task.TaskCanceled: lambda record, data: _free(record, TaskState.CANCELED, reason=data.reason),
        task.TaskReopened: lambda record, data: _free(record, TaskState.DRAFT, reason=data.reason, evidence="[]"),
    },
)
VIEW = View("work", 1, (_BOARDS, _TASKS, _LINKS), CASES)

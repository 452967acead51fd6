"""Sessions, their lineage as a closure table (every session with each session above it), and what sweeps end."""

from collections.abc import Sequence

from mpschema import session, sweep
from mpschema.envelope import EventRecord
from mpschema.session import SessionState
from mpschema.session.rows import SessionRow
from mpschema.sweep.rows import SweepRow

from mpviews.changes import Append, Cases, Change, Insert, Table, Values, View
from mpviews.tables import aggregate_table, created, key_of, patch

_SESSIONS = aggregate_table(
    "sessions", SessionRow, 80, asked=("ending",), depth="integer", max_depth="integer", max_children="integer"
)
_SWEEPS = aggregate_table("sweeps", SweepRow, 80)
_LINEAGE = Table(
    "session_lineage",
    ("workspace_id", "descendant_id", "ancestor_id"),
    {"workspace_id": "text", "descendant_id": "text", "ancestor_id": "text", "distance": "integer"},
    appended=True,
)


def _spawned(record: EventRecord, data: session.SessionSpawned) -> Sequence[Change]:
    values: Values = {
        "project_id": data.project_id,
        "task_id": data.task_id,
        "root_id": data.root_id,
        "parent_id": data.parent_id,
        "depth": data.depth,
        "lineage": list(data.lineage),
        "state": SessionState.REQUESTED,
        "blueprint_name": data.blueprint.name,
        "blueprint_version": data.blueprint.version,
        "blueprint_digest": data.blueprint.digest,
        "purpose": data.purpose,
        "labels": list(data.labels),
        "max_depth": data.limits.max_depth,
        "max_children": data.limits.max_children,
        "result": "",
        "failure": None,
        "reason": "",
    }
    above = [
        (record.workspace_id, record.aggregate_id, ancestor_id, distance)
        for distance, ancestor_id in enumerate(reversed(data.lineage), 1)
    ]
    return (Insert("sessions", key_of(record), values | created(record)), Append("session_lineage", above))


def _session(record: EventRecord, **values: object) -> Sequence[Change]:
    return (patch("sessions", record, **values),)


def _begun(record: EventRecord, data: sweep.SweepBegun) -> Sequence[Change]:
    values: Values = {"kind": data.kind, "scope": data.scope, "state": "running", "done": 0, "due_at": data.due_ms}
    return (Insert("sweeps", key_of(record), values | created(record)),)


CASES = Cases(
    frozenset({"session", "sweep"}),
    {
        session.SessionSpawned: _spawned,
        session.SessionStarted: lambda record, _: _session(record, state=SessionState.ACTIVE),
        session.SessionPaused: lambda record, data: _session(record, state=SessionState.PAUSED, reason=data.reason),
        session.SessionResumed: lambda record, _: _session(record, state=SessionState.ACTIVE),
        session.SessionCompleted: lambda record, data: _session(
            record, state=SessionState.COMPLETED, result=data.result
        ),
        session.SessionFailed: lambda record, data: _session(
            record, state=SessionState.FAILED, failure=data.failure, reason=data.detail
        ),
        session.SessionCanceled: lambda record, data: _session(record, state=SessionState.CANCELED, reason=data.reason),
        session.SessionTokenIssued: lambda record, _: _session(record),
        session.SessionTokensRevoked: lambda record, _: _session(record),
        sweep.SweepBegun: _begun,
        sweep.SweepAdvanced: lambda record, data: (patch("sweeps", record, done=data.done),),
        sweep.SweepEnded: lambda record, data: (patch("sweeps", record, done=data.done, state="ended"),),
    },
)
VIEW = View("sessions", 1, (_SESSIONS, _LINEAGE, _SWEEPS), CASES)

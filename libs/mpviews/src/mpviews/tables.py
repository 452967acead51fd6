"""The columns most tables share, and how an event fills them."""

from mpschema.envelope import EventRecord

from mpviews.changes import Amend, Key, Patch, Step, Table, Values

_IDENTITY = {"workspace_id": "text", "id": "text"}
_CHANGED = {
    "version": "bigint",
    "created_seq": "bigint",
    "last_seq": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}


def aggregate_table(name: str, columns: dict[str, str]) -> Table:
    """A table with a row for each aggregate of a kind."""
    return Table(name, ("workspace_id", "id"), _IDENTITY | columns | _CHANGED)


def key_of(record: EventRecord) -> Key:
    """The key of the aggregate's own row."""
    return (record.workspace_id, record.aggregate_id)


def created(record: EventRecord) -> Values:
    """What the event that makes a row says about every row."""
    time_ms, seq = record.time_ms, record.seq
    return {
        "version": record.version,
        "created_seq": seq,
        "last_seq": seq,
        "created_at": time_ms,
        "updated_at": time_ms,
    }


def patch(table: str, record: EventRecord, **values: object) -> Patch:
    """New values in the aggregate's own row, with the position and version they are from."""
    values["version"] = record.version
    values["last_seq"] = record.seq
    values["updated_at"] = record.time_ms
    return Patch(table, (record.workspace_id, record.aggregate_id), values)


def amend(table: str, record: EventRecord, column: str, step: Step) -> Amend:
    """A step on one column of the aggregate's own row."""
    change = patch(table, record)
    return Amend(table, change.key, change.values, column, step)

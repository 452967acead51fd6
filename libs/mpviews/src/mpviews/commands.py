"""Outcomes: one row for each command that was decided, accepted or refused.

The first event of an outcome carries the digest of its request; the events after it carry the same command id. An
outcome lies within one commit. Events that answer no command (elections, timers) have no digest and make no row.
"""

from collections.abc import Iterable
from typing import Any

from mpschema.envelope import EventRecord, Status
from mpschema.system import CommandRejected
from mpschema.system.rows import CommandRow

from mpviews.changes import Append, Change, CommitLike, View
from mpviews.tables import table

COMMANDS = table("commands", ("workspace_id", "id"), CommandRow, "first_seq", appended=True)


def changes(commit: CommitLike) -> Iterable[Change]:
    """The outcomes a commit holds."""
    rows = []
    first: EventRecord | None = None
    last = 0
    prefix = ""
    for record in commit.records:
        if record.digest is not None:
            if first is not None:
                rows.append(_row(first, last))
            first, last, prefix = record, record.seq, f"{record.command_id}:"
        elif first is not None and record.id.startswith(prefix):
            last = record.seq
    if first is not None:
        rows.append(_row(first, last))
    yield Append("commands", rows)


def _row(first: EventRecord, last_seq: int) -> tuple[Any, ...]:
    command_id = first.command_id
    refusal: CommandRejected | None = first.data if type(first.data) is CommandRejected else None
    return (
        first.workspace_id,
        command_id,
        first.idempotency_key or command_id,
        Status.REJECTED if refusal else Status.ACCEPTED,
        refusal.command_type if refusal else None,
        refusal.target if refusal else first.aggregate_id,
        refusal.code if refusal else None,
        refusal.detail if refusal else "",
        first.actor,
        first.seq,
        last_seq,
        first.epoch,
        first.time_ms,
    )


VIEW = View("commands", 1, (COMMANDS,), changes)

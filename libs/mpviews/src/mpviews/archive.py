"""The archive: the exact bytes and hash of every commit and every event, a second copy of the log.

A commit's bytes are its header, a newline, and the lines of its events in order of `seq`, each ended by a newline.
"""

import hashlib
from collections.abc import Iterable

from mpschema.system.rows import EventRow

from mpviews.changes import Append, Change, CommitLike, Table, View

COMMITS = Table(
    "log_commits",
    ("stream_seq",),
    {
        "stream_seq": "bigint",
        "first_seq": "bigint",
        "last_seq": "bigint",
        "epoch": "bigint",
        "subject": "text",
        "header": "bytea",
        "previous_hash": "text",
        "hash": "text",
        "committed_at": "timestamptz",
    },
    appended=True,
)
EVENTS = Table(
    "log_events",
    ("seq",),
    {
        "seq": "bigint",
        "workspace_id": "text",
        "id": "text",
        "event_type": "text",
        "aggregate": "text",
        "aggregate_id": "text",
        "version": "bigint",
        "epoch": "bigint",
        "actor": "text",
        "recorded_at": "timestamptz",
        "stream_seq": "bigint",
        "hash": "text",
        "event": "bytea",
    },
    EventRow,
    "seq",
    appended=True,
)


def changes(commit: CommitLike) -> Iterable[Change]:
    """A row for the commit and one for each of its events. The lines are stored as they stand in the log."""
    header, stream_seq, sha256 = commit.header, commit.stream_seq, hashlib.sha256
    yield Append(
        "log_commits",
        [
            (
                stream_seq,
                header.first_seq,
                header.first_seq + header.count - 1,
                header.epoch,
                commit.subject,
                commit.data.partition(b"\n")[0],
                header.previous_hash,
                commit.hash,
                header.time_ms,
            )
        ],
    )
    yield Append(
        "log_events",
        [
            (
                record.seq,
                record.workspace_id,
                record.id,
                record.event_type,
                record.aggregate,
                record.aggregate_id,
                record.version,
                record.epoch,
                record.actor,
                record.time_ms,
                stream_seq,
                sha256(line).hexdigest(),
                line,
            )
            for record, line in zip(commit.records, commit.lines, strict=True)
        ],
    )


VIEW = View("archive", 1, (COMMITS, EVENTS), changes)

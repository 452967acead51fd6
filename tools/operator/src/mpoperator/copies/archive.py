"""The second copy of the log: every commit and every event as the projector stored them in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import asyncpg
from mpschema import codec

from mpoperator.copies.chain import Stored

_PAGE = 256
_COMMITS = """
SELECT c.stream_seq, c.subject, c.hash, c.header, c.first_seq, c.last_seq, c.previous_hash, e.body, e.bad
FROM (SELECT * FROM mp.log_commits WHERE stream_seq > $1 AND stream_seq <= $2 ORDER BY stream_seq LIMIT $3) AS c
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(event || '\\x0a'::bytea, ''::bytea ORDER BY seq), ''::bytea) AS body,
           min(seq) FILTER (WHERE hash <> encode(sha256(event), 'hex') OR stream_seq <> c.stream_seq) AS bad
    FROM mp.log_events WHERE seq BETWEEN c.first_seq AND c.last_seq
) AS e
ORDER BY c.stream_seq
"""
_EVENTS = "SELECT seq, event FROM mp.log_events WHERE seq BETWEEN $1 AND $2 ORDER BY seq"
_HEAD = "SELECT coalesce(max(stream_seq), 0), coalesce(max(last_seq), 0) FROM mp.log_commits"
_NEWEST = "SELECT stream_seq, last_seq, hash, header FROM mp.log_commits ORDER BY stream_seq DESC LIMIT 1"
_BEYOND = "SELECT min(seq) FROM mp.log_events WHERE seq > $1"


@dataclass(frozen=True, slots=True)
class Archived:
    """One commit of the archive, put together from its rows, and what the rows say beside the bytes."""

    stored: Stored
    header: bytes
    first_seq: int
    last_seq: int
    previous_hash: str
    bad_event: int | None
    """The first event whose row states another hash than that of its bytes, or another commit."""


class CommitArchive:
    """Reads the archive as it is."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def head(self) -> tuple[int, int]:
        """The last commit's stream position and last event; zeros when the archive is empty."""
        row = await self._connection.fetchrow(_HEAD)
        assert row is not None
        return int(row[0]), int(row[1])

    async def newest(self) -> tuple[int, int, str, int] | None:
        """Stream position, last event, stated hash and epoch of the newest commit; None when the archive is empty.

        The epoch is 0 where its header cannot be read.
        """
        row = await self._connection.fetchrow(_NEWEST)
        return (row[0], row[1], row[2], _epoch(row[3])) if row else None

    async def read(self, after: int, last: int) -> AsyncGenerator[list[Archived], None]:
        """The commits after a stream position up to another, in pages."""
        while after < last:
            rows = await self._connection.fetch(_COMMITS, after, last, _PAGE)
            if not rows:
                return
            yield [_archived(row) for row in rows]
            after = rows[-1]["stream_seq"]

    async def events(self, first: int, last: int) -> dict[int, bytes]:
        """The bytes of single events."""
        return {row["seq"]: row["event"] for row in await self._connection.fetch(_EVENTS, first, last)}

    async def event_beyond(self, seq: int) -> int | None:
        """The first event row after a position; None if there is none."""
        found: int | None = await self._connection.fetchval(_BEYOND, seq)
        return found


def _epoch(header: bytes) -> int:
    try:
        return codec.split_commit(header + b"\n")[0].epoch
    except codec.MalformedCommit:
        return 0


def _archived(row: asyncpg.Record) -> Archived:
    data = row["header"] + b"\n" + row["body"]
    stored = Stored(row["stream_seq"], row["subject"], row["hash"], data)
    return Archived(stored, row["header"], row["first_seq"], row["last_seq"], row["previous_hash"], row["bad"])

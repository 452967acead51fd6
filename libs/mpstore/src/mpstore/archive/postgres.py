"""The archive as the projector stored it in PostgreSQL: a row for each commit, and one for each event."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator

import asyncpg
from mpschema import codec
from mpservice.database import DRIVER_ERRORS
from mpservice.postgres import why_unavailable

from mpstore.archive import Archived, ArchiveUnavailable
from mpstore.log import Stored

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
_HASH = "SELECT hash FROM mp.log_commits WHERE stream_seq = $1"
_BEYOND = "SELECT min(seq) FROM mp.log_events WHERE seq > $1"


@contextlib.contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        raise ArchiveUnavailable(why_unavailable(error)) from error


class PostgresArchive:
    """The `Archive` in the tables of the projector, by a connection that sees every row."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def head(self) -> tuple[int, int]:
        """See the port."""
        with _asked():
            row = await self._connection.fetchrow(_HEAD)
        assert row is not None
        return int(row[0]), int(row[1])

    async def newest(self) -> tuple[int, int, str, int] | None:
        """See the port."""
        with _asked():
            row = await self._connection.fetchrow(_NEWEST)
        return (row[0], row[1], row[2], _epoch(row[3])) if row else None

    async def read(self, after: int, last: int) -> AsyncGenerator[list[Archived], None]:
        """See the port."""
        while after < last:
            with _asked():
                rows = await self._connection.fetch(_COMMITS, after, last, _PAGE)
            if not rows:
                return
            yield [_archived(row) for row in rows]
            after = rows[-1]["stream_seq"]

    async def events(self, first: int, last: int) -> dict[int, bytes]:
        """See the port."""
        with _asked():
            return {row["seq"]: row["event"] for row in await self._connection.fetch(_EVENTS, first, last)}

    async def event_beyond(self, seq: int) -> int | None:
        """See the port."""
        with _asked():
            found: int | None = await self._connection.fetchval(_BEYOND, seq)
        return found

    async def hash_at(self, stream_seq: int) -> str | None:
        """See the port."""
        with _asked():
            found: str | None = await self._connection.fetchval(_HASH, stream_seq)
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

"""Helpers of the projector's tests: a real log to write to, a projector in this process, projections' positions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg
from mpbus.connect import connect
from mpbus.reader import GENESIS, HASH_HEADER, Commit, LogPosition, LogReader
from mpbus.streams import provision
from mpprojector.projector import Projector, ProjectorTiming
from mpprojector.worker import BatchLimits
from mpschema.subjects import log_subject
from mpstore.readmodels.ledger import PostgresLedger
from mpviews import VIEWS
from mpviews.changes import View
from nats.aio.client import Client

from services.projector.tests.log_story import LogStory
from tests.support import Database

LEASE_SECONDS = 1.0
ALL = set(VIEWS)


class Log:
    """The real log of one shard, and what was written to it."""

    def __init__(self, nc: Client, shard: str) -> None:
        self.nc = nc
        self.shard = shard
        self.written: list[Commit] = []

    @property
    def end(self) -> LogPosition:
        """The place of the next commit."""
        return self.written[-1].position if self.written else GENESIS

    async def write(self, commits: Sequence[Commit]) -> None:
        """Append these commits."""
        for commit in commits:
            await self.append(commit.data, commit.hash)
            self.written.append(commit)

    async def append(self, data: bytes, stated_hash: str) -> None:
        """Append bytes, whatever they are."""
        await self.nc.jetstream().publish(log_subject(self.shard), data, headers={HASH_HEADER: stated_hash})


def story(shard: str, count: int, seed: int = 11, per_commit: int = 20) -> list[Commit]:
    """A story told in the subject of this shard."""
    return list(LogStory(seed, workspaces=2, open_tasks=20, subject=log_subject(shard)).commits(count, per_commit))


@contextlib.asynccontextmanager
async def opened_log(nats_url: str, shard: str) -> AsyncIterator[Log]:
    """An empty log."""
    nc = await connect(nats_url, "test")
    await provision(nc, shard)
    yield Log(nc, shard)
    await nc.close()


@contextlib.asynccontextmanager
async def running(
    log: Log,
    database: Database,
    node: str = "a",
    *,
    limits: BatchLimits | None = None,
    patience_seconds: float = 5.0,
    views: Sequence[View] = tuple(VIEWS.values()),
) -> AsyncIterator[Projector]:
    """A projector in this process."""
    ledger = PostgresLedger(database.projector_dsn, lease_seconds=LEASE_SECONDS)
    pace = ProjectorTiming(0.1, stall_seconds=2.0, patience_seconds=patience_seconds, limits=limits or BatchLimits())
    projector = Projector(LogReader(log.nc, log.shard), ledger, views, node, pace)
    task = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        projector.stop()
        await task


async def projections(database: Database) -> dict[str, asyncpg.Record]:
    """Return the gateway's view of every projection that serves."""
    connection = await asyncpg.connect(database.gateway_dsn)
    rows = await connection.fetch("SELECT * FROM mp.projections WHERE phase = 'serving'")
    await connection.close()
    return {row["name"]: row for row in rows}


async def stand_at(database: Database, seq: int, names: set[str] = ALL) -> None:
    """These projections have folded this event; for `eventually`."""
    rows = await projections(database)
    assert {name: rows[name]["position"] for name in names} == dict.fromkeys(names, seq)

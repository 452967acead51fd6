"""The conditions of a restoration: an empty cluster, and in PostgreSQL nothing of another log."""

from __future__ import annotations

import asyncpg
from mpbus.streams import SNAPSHOT_BUCKET
from mpschema import subjects
from mpstore.readmodels.migrations import migrate
from mpstore.snapshots import SnapshotsUnavailable
from mpstore.snapshots.objects import ObjectSnapshots
from nats.aio.client import Client

from mpoperator.backup.manifest import Backup
from mpoperator.copies.checkpoints import Heads
from mpoperator.errors import ServerGone, ToolRefused, said
from mpoperator.log.access import HOLDER, must_not_be_led
from mpoperator.site.cluster import Cluster

_PLACES = "SELECT name, position, hash FROM mp.projections WHERE position > 0 ORDER BY position DESC"
_BUILDS = """
SELECT DISTINCT quote_ident(n.nspname) FROM mp.projections AS p JOIN pg_namespace AS n ON n.nspname = p.tables
"""


async def must_be_vacant(cluster: Cluster, backup: Backup, *, resume: bool) -> None:
    """Raise `ToolRefused` unless nothing of another log is in the streams, and no kernel leads.

    With `resume` the log stream may hold something: it is looked at when it is gone on with.
    """
    if cluster.nc is None:
        raise ServerGone(cluster.errors["nats"])
    if cluster.shard != backup.shard:
        raise ToolRefused(f"the backup is of shard {backup.shard}, and this is shard {cluster.shard}: set MP_SHARD")
    if not resume:
        why = "restore only into an empty cluster (--resume goes on with a restoration that was cut off)"
        await _must_be_empty(cluster, subjects.log_stream(backup.shard), why)
    await _must_be_empty(cluster, subjects.command_stream(backup.shard), "restore only into an empty cluster")
    feed = subjects.feed_stream(backup.shard)
    await _must_be_empty(cluster, feed, f"it is of another log; delete it: nats stream rm -f {feed}")
    await must_not_be_led(cluster, HOLDER)
    if await _has_snapshot(cluster.nc, backup.shard):
        raise ToolRefused(f"a snapshot of another log is stored; delete it: nats object rm -f {SNAPSHOT_BUCKET}")


async def must_fit(cluster: Cluster, backup: Backup, heads: Heads) -> None:
    """Raise `ToolRefused` where read models are of another log, or further than the backup: they would never fit."""
    if cluster.database is None:
        if cluster.settings.known_dsn is None:
            return
        raise ServerGone(cluster.errors["postgres"])
    try:
        rows = await cluster.database.fetch(_PLACES)
    except asyncpg.PostgresError as error:
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InvalidSchemaNameError):
            return
        raise ServerGone(f"PostgreSQL does not answer: {said(error)}") from error
    for row in rows:
        if row["position"] > backup.seq:
            raise ToolRefused(
                f"the archive in PostgreSQL knows of event {row['position']}, the backup ends with {backup.seq}. "
                "`mpctl log restore --from archive` loses less. To go on with the backup: --drop-read-models"
            )
        if heads.at(row["position"]) != row["hash"]:
            raise ToolRefused(f"the projection {row['name']} has folded another log: --drop-read-models makes all anew")


async def drop_read_models(cluster: Cluster) -> None:
    """Drop every table of ours and make them anew, empty. Raises `NotConfigured` without the owner's address."""
    dsn = cluster.settings.owner_dsn
    if cluster.database is None:
        raise ServerGone(cluster.errors["postgres"])
    async with cluster.database.transaction():
        known = await cluster.database.fetchval("SELECT to_regclass('mp.projections') IS NOT NULL")
        for row in await cluster.database.fetch(_BUILDS) if known else ():
            await cluster.database.execute(f"DROP SCHEMA {row[0]} CASCADE")
        await cluster.database.execute("DROP SCHEMA IF EXISTS mp CASCADE")
    await migrate(dsn)


async def _must_be_empty(cluster: Cluster, name: str, why: str) -> None:
    info = await cluster.stream(name)
    if info is not None and info["state"]["messages"]:
        raise ToolRefused(f"{name} holds {info['state']['messages']} messages: {why}")


async def _has_snapshot(nc: Client, shard: str) -> bool:
    try:
        return await ObjectSnapshots(nc, shard).load() is not None
    except SnapshotsUnavailable as error:
        raise ServerGone(f"whether a snapshot is stored is not known: {said(error)}") from error

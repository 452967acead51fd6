"""The projections, and whether this build knows everything that stands in the log."""

from __future__ import annotations

import asyncpg
from mpbus.errors import BusError, LogReplaced, LogUnavailable
from mpbus.reader import Commit, LogReader
from mpschema.codec import MalformedCommit
from mpschema.registry import EVENTS
from mpviews import VIEWS

from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, unknown, warning
from mpoperator.doctor.tail import LOG, newest, only_then
from mpoperator.site.cluster import Cluster

_PROJECTIONS = """
SELECT name, version, position, stream_seq, hash, state, error, owner, lag_seconds, build, phase,
    coalesce(lease_until > now(), false) AS owned
FROM mp.projections ORDER BY name, build
"""
_TYPES = "SELECT event_type, count(*) AS events, min(seq) AS first FROM mp.log_events GROUP BY event_type ORDER BY 1"
_LAG_WARNS_SECONDS = 30.0
_LAG_WARNS_EVENTS = 100_000
_SCAN_SECONDS = 20.0
_REPLACED = (LogReplaced.__name__, "the log has another commit at ")
"""The words by which a projection says that the log is not the one that it folded."""
_MOVING = ("filling", "following")
"""Phases of builds that do not serve yet."""


async def projection_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of each projection that serves."""
    if cluster.database is None:
        return [unknown("projections", "PostgreSQL does not answer", because="postgres")]
    try:
        rows = await cluster.database.fetch(_PROJECTIONS)
    except asyncpg.UndefinedTableError:
        return [unknown("projections", "the database has no tables of ours", because="schema")]
    head = await _head(cluster)
    end = head.position.seq if head else None
    serving = [row for row in rows if row["phase"] == "serving"]
    found = {row["name"] for row in serving}
    checks = [await _one(cluster, row, end, _being_filled(rows, row["name"])) for row in serving]
    checks += [_build(row) for row in rows if row["phase"] in _MOVING]
    mend = cluster.serve("projector")
    missing = [problem(f"projection {name}", "was never begun", mend) for name in sorted(set(VIEWS) - found)]
    return checks + missing


async def _head(cluster: Cluster) -> Commit | None:
    """The newest commit; None where it cannot be read, which other lines say."""
    try:
        return await newest(cluster) if cluster.nc else None
    except LogUnavailable:
        raise
    except (BusError, MalformedCommit):
        return None


async def event_type_checks(cluster: Cluster) -> list[DoctorCheck]:
    """The event types that stand in the archive."""
    if cluster.database is None:
        return [unknown("event types", "PostgreSQL, where the archive is, does not answer", because="postgres")]
    try:
        rows = await cluster.database.fetch(_TYPES, timeout=_SCAN_SECONDS)
    except (asyncpg.UndefinedTableError, TimeoutError) as error:
        return [unknown("event types", f"the archive cannot be read: {str(error) or 'it takes too long'}")]
    strange = [row for row in rows if row["event_type"] not in EVENTS]
    if strange:
        detail = ", ".join(f"{row['event_type']} ({row['events']} from event {row['first']})" for row in strange)
        return [problem("event types", f"this build does not know {detail}", "use a release that knows them")]
    return [ok("event types", f"this build knows all {len(rows)} that are archived")]


async def _one(cluster: Cluster, row: asyncpg.Record, end: int | None, filled: set[int]) -> DoctorCheck:
    name, at = f"projection {row['name']}", row["position"]
    if row["state"] == "halted":
        return judge_halt(row["name"], at, str(row["error"]))
    if not row["owned"]:
        behind = "" if end is None else f", {max(0, end - at):,} behind"
        detail = f"unowned: no projector folds it, it stands at event {at:,}{behind}"
        return follows(problem(name, detail, cluster.serve("projector")), _projector(cluster))
    view = VIEWS.get(row["name"])
    if view is not None and view.version != row["version"]:
        detail = f"version {row['version']} serves, this build has {view.version}"
        if view.version in filled:
            return warning(name, f"{detail}, which is being filled", f"mpctl projection switch {row['name']}")
        return problem(name, detail, cluster.migrate)
    if end is None:
        return unknown(name, f"at event {at:,}; the log cannot be read to compare", because=_unread(cluster))
    if wrong := await _of_another_log(cluster, row):
        return follows(problem(name, wrong, only_then(f"mpctl projection rebuild {row['name']}")), LOG)
    lag = max(0, end - at)
    detail = f"{row['state']} at event {at:,}, {lag:,} behind, owned by {row['owner']}"
    if lag and (row["lag_seconds"] > _LAG_WARNS_SECONDS or lag > _LAG_WARNS_EVENTS):
        return warning(name, detail, "`mpctl top` shows whether it catches up; more projectors share the work")
    return ok(name, detail)


def judge_halt(projection: str, at: int, error: str) -> DoctorCheck:
    """Return the remedy of a halted projection: by the kind of its error it is the log, and not the projection."""
    name, detail = f"projection {projection}", f"halted after event {at:,}: {error}"
    rebuild = f"mpctl projection rebuild {projection}"
    if _replaced(error):
        return follows(problem(name, detail, only_then(rebuild)), LOG)
    if any(kind in error for kind in ("ChainBroken", "ForeignMessage")):
        mend = "see the line `log chain` here: it goes on by itself once the log is put back"
        return follows(problem(name, detail, mend), "log chain")
    return problem(name, detail, f"deploy the fix and restart the projectors; where its rows are damaged: `{rebuild}`")


def _replaced(error: str) -> bool:
    return any(each in error for each in _REPLACED)


def _projector(cluster: Cluster) -> str:
    """The line of the first projector: where it is away, so is who folds."""
    return next((f"service {name}" for name in cluster.settings.services if name.startswith("projector")), "")


def _unread(cluster: Cluster) -> str:
    return "log chain" if cluster.nc else "nats"


def _being_filled(rows: list[asyncpg.Record], name: str) -> set[int]:
    """The versions of a projection that stand beside the one that serves."""
    return {row["version"] for row in rows if row["name"] == name and row["phase"] in _MOVING}


def _build(row: asyncpg.Record) -> DoctorCheck:
    """A build that does not serve yet: it hurts nobody, and must not be forgotten."""
    name, at = f"build {row['name']} {row['build']}", row["position"]
    if row["state"] == "halted":
        drop = f"mpctl projection drop {row['name']}@{row['build']}"
        detail = f"halted after event {at:,}: {row['error']}"
        if _replaced(str(row["error"])):
            return follows(problem(name, detail, only_then(drop)), LOG)
        return problem(name, detail, drop)
    if not row["owned"]:
        drop = f"`mpctl projection drop {row['name']}@{row['build']}`"
        mend = f"start a projector of version {row['version']}, or: {drop}"
        return warning(name, f"unowned: nobody folds it, it stands at event {at:,}", mend)
    return ok(name, f"{row['phase']} at event {at:,}, version {row['version']}")


async def _of_another_log(cluster: Cluster, row: asyncpg.Record) -> str:
    """Return the reason why a projection's place is not one of this log; empty where it is."""
    if cluster.nc is None or not row["stream_seq"]:
        return ""
    commit = await LogReader(cluster.nc, cluster.shard).commit_at(row["stream_seq"])
    if commit is None:
        return f"is at commit {row['stream_seq']:,}, which the log does not hold: it has folded another log"
    if commit.hash != row["hash"]:
        return f"has folded another commit {row['stream_seq']:,} than the one in the log"
    return ""

"""nats-server and Redis themselves: do they answer, do they flush, is there room, and are the clocks right?"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError

from mpoperator.doctor.report import DoctorCheck, ok, problem, unknown, warning
from mpoperator.site.cluster import Cluster, Stopwatch

NATS_NEEDED = (2, 14)
"""Taking over resets a consumer, which 2.14 brought."""
NATS_WANTED = (2, 15)
"""From here on a flush for each commit is affordable."""
SKEW_WARNS_SECONDS = 1.0
SKEW_FAILS_SECONDS = 5.0
FULL_WARNS = 0.8
FULL_FAILS = 0.95
_UPGRADE = "replace nats-server by 2.15 or newer, one node after the other"
_SYNC = "set `jetstream { sync_interval: always }` in nats-server's configuration, then: nats-server --signal reload"
_CLOCK = "timedatectl set-ntp true"


async def nats_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of nats-server."""
    if cluster.nc is None:
        return [problem("nats", cluster.errors["nats"], cluster.mend_server("nats"))]
    found = [_version(cluster.nc.connected_server_version)]
    varz = await cluster.monitor("/varz")
    if varz is None:
        why = "does not answer" if cluster.settings.nats_monitor_url else "is not known: set MP_NATS_MONITOR_URL"
        found.append(unknown("nats sync", f"the monitoring address {why}; whether commits are flushed is not known"))
        found.append(unknown("nats storage", f"the monitoring address {why}"))
    else:
        found += [*_sync(varz), *_storage(varz)]
    found.append(await _account_limit(cluster))
    return found


async def redis_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of Redis, which keeps the lease where there is one."""
    if cluster.settings.redis_url is None:
        return [unknown("redis", cluster.errors["redis"])]
    if cluster.redis is None:
        return [problem("redis", cluster.errors["redis"], cluster.mend_server("redis"))]
    return [ok("redis", "answers")]


async def clock_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Compare the servers' clocks with this machine's."""
    checks = []
    for name, read in (("nats", _nats_time), ("postgres", _postgres_time), ("redis", _redis_time)):
        watch = Stopwatch()
        theirs = await read(cluster)
        label = f"clock {name}"
        if theirs is None:
            checks.append(unknown(label, f"{name} does not answer", because=name))
        else:
            checks.append(judge_skew(label, watch.skew_seconds(theirs)))
    return checks


def judge_skew(name: str, seconds: float) -> DoctorCheck:
    """Judge a clock that is so far ahead of this machine's."""
    detail = f"{seconds:+.3f} s from this machine's"
    if abs(seconds) > SKEW_FAILS_SECONDS:
        return problem(name, detail, _CLOCK)
    if abs(seconds) > SKEW_WARNS_SECONDS:
        return warning(name, detail, _CLOCK)
    return ok(name, detail)


def judge_room(name: str, used: int, limit: int, what: str, mend: str) -> DoctorCheck:
    """Judge how full something is, in bytes."""
    share = used / limit if limit else 1.0
    detail = f"{used / 1e6:,.0f} of {limit / 1e6:,.0f} MB {what} ({share:.0%})"
    if share > FULL_FAILS:
        return problem(name, detail, mend)
    return warning(name, detail, mend) if share > FULL_WARNS else ok(name, detail)


def _version(version: object) -> DoctorCheck:
    numbers = re.search(r"(\d+)\.(\d+)[.\w-]*", str(version))
    if numbers is None:
        return unknown("nats", f"says it is version {version}")
    found = (int(numbers[1]), int(numbers[2]))
    if found < NATS_NEEDED:
        return problem("nats", f"version {numbers[0]}: a new leader cannot take over before 2.14", _UPGRADE)
    if found < NATS_WANTED:
        return warning("nats", f"version {numbers[0]}: flushing each commit is slow before 2.15", _UPGRADE)
    return ok("nats", f"answers, version {numbers[0]}")


def _sync(varz: dict[str, Any]) -> Iterator[DoctorCheck]:
    config = varz.get("jetstream", {}).get("config")
    if config is None:
        yield problem("nats sync", "JetStream is not enabled", "add `jetstream {}` to nats-server's configuration")
    elif config.get("sync_always"):
        yield ok("nats sync", "always: an answered command is on disk")
    else:
        seconds = config.get("sync_interval", 0) / 1e9
        yield problem("nats sync", f"every {seconds:g} s: answered commands can be lost in a crash", _SYNC)


def _storage(varz: dict[str, Any]) -> Iterator[DoctorCheck]:
    jetstream = varz.get("jetstream", {})
    limit = jetstream.get("config", {}).get("max_storage", 0)
    used = jetstream.get("stats", {}).get("storage", 0)
    if limit > 0:
        mend = "raise `jetstream { max_file_store: … }` in nats-server's configuration, or give it a larger disk"
        yield judge_room("nats storage", used, limit, "of JetStream's storage are used", mend)


async def _account_limit(cluster: Cluster) -> DoctorCheck:
    info = await cluster.api("INFO")
    limit, used = info.get("limits", {}).get("max_storage", -1), info.get("storage", 0)
    if limit <= 0:
        return ok("nats account", f"no limit on storage, {used / 1e6:,.1f} MB are used")
    mend = "raise the account's `max_file` in nats-server's configuration"
    return judge_room("nats account", used, limit, "of the account's storage are used", mend)


async def _nats_time(cluster: Cluster) -> float | None:
    """JetStream puts its own time into what it says of a stream."""
    if cluster.nc is None:
        return None
    stamp = (await cluster.api("STREAM.INFO.MP_LEASE")).get("ts")
    return _seconds(stamp) if stamp else None


async def _postgres_time(cluster: Cluster) -> float | None:
    if cluster.database is None:
        return None
    return float(await cluster.database.fetchval("SELECT extract(epoch FROM clock_timestamp())"))


async def _redis_time(cluster: Cluster) -> float | None:
    if cluster.redis is None:
        return None
    try:
        seconds, micros = await cluster.redis.time()
    except (RedisError, OSError):
        return None
    return float(seconds) + float(micros) / 1e6


def _seconds(stamp: str) -> float:
    """An RFC 3339 time with nanoseconds, which Python reads to microseconds only."""
    whole = re.sub(r"(\.\d{1,6})\d*", r"\1", stamp).replace("Z", "+00:00")
    return dt.datetime.fromisoformat(whole).timestamp()

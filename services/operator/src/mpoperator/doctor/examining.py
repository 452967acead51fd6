"""The whole examination, in the order in which things rest on each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
from mpbus.errors import BusError
from mpschema.codec import MalformedCommit
from redis.exceptions import RedisError

from mpoperator.cluster import GONE, Cluster, cluster
from mpoperator.doctor import credentials, database, folding, leading, log, machine, servers, streams
from mpoperator.doctor.report import Check, Report, State, problem, unknown
from mpoperator.settings import OperatorSettings

_LOOKS: tuple[Callable[[Cluster], Awaitable[list[Check]]], ...] = (
    servers.nats_checks,
    servers.redis_checks,
    credentials.credential_checks,
    servers.clock_checks,
    streams.stream_checks,
    log.log_checks,
    streams.intake_checks,
    leading.leader_checks,
    streams.feed_checks,
    database.database_checks,
    folding.projection_checks,
    folding.event_type_checks,
    machine.service_checks,
)


async def examine(settings: OperatorSettings, *, strict: bool) -> Report:
    """Look at everything. With `strict`, warnings and what is not known count as problems."""
    checks: list[Check] = []
    async with cluster(settings) as found:
        for look in _LOOKS:
            checks += await _looked(look, found)
        checks += machine.disk_checks(found) + machine.secret_checks(found)
    report = Report.of(checks)
    return report if not strict or not (report.warnings or report.unknown) else _strict(checks)


async def _looked(look: Callable[[Cluster], Awaitable[list[Check]]], found: Cluster) -> list[Check]:
    """One look. A server that goes away meanwhile is itself a finding."""
    try:
        return await look(found)
    except (*GONE, BusError, MalformedCommit, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        name = look.__name__.removesuffix("_checks").replace("_", " ")
        return [unknown(name, f"could not be looked at: {str(error) or type(error).__name__}")]


def _strict(checks: list[Check]) -> Report:
    lenient = {State.WARNING, State.UNKNOWN}
    return Report.of(problem(c.name, c.detail, c.mend) if c.state in lenient else c for c in checks)

"""The whole examination, in the order in which things rest on each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mpbus.database import DRIVER_ERRORS
from mpbus.errors import BusError
from mpschema.codec import MalformedCommit
from msgspec.structs import replace
from redis.exceptions import RedisError

from mpoperator.cluster import GONE, Cluster, cluster
from mpoperator.doctor import counting, credentials, database, folding, leading, log, machine, servers, streams
from mpoperator.doctor.report import Check, Report, State, unknown
from mpoperator.settings import OperatorSettings

_LOOKS: tuple[tuple[str, Callable[[Cluster], Awaitable[list[Check]]]], ...] = (
    ("nats", servers.nats_checks),
    ("redis", servers.redis_checks),
    ("credential servers", credentials.credential_checks),
    ("clock servers", servers.clock_checks),
    ("streams", streams.stream_checks),
    ("log chain", log.log_checks),
    ("intake", streams.intake_checks),
    ("leader", leading.leader_checks),
    ("feed", streams.feed_checks),
    ("postgres", database.database_checks),
    ("projections", folding.projection_checks),
    ("event types", folding.event_type_checks),
    ("services", machine.service_checks),
    ("counts services", counting.count_checks),
)
"""Each look, and the line that says why it could not be looked."""


async def examine(settings: OperatorSettings, *, strict: bool) -> Report:
    """Look at everything. With `strict`, warnings and what is not known count as problems."""
    checks: list[Check] = []
    async with cluster(settings) as found:
        for name, look in _LOOKS:
            checks += await _looked(name, look, found)
        checks += machine.disk_checks(found) + machine.secret_checks(found)
    report = Report.of(checks)
    return report if not strict or not (report.warnings or report.unknown) else _strict(report.checks)


async def _looked(name: str, look: Callable[[Cluster], Awaitable[list[Check]]], found: Cluster) -> list[Check]:
    """One look. A server that goes away meanwhile is itself a finding."""
    try:
        return await look(found)
    except (*GONE, *DRIVER_ERRORS, BusError, MalformedCommit, RedisError) as error:
        return [unknown(name, f"could not be looked at: {str(error) or type(error).__name__}")]


def _strict(checks: list[Check]) -> Report:
    lenient = {State.WARNING, State.UNKNOWN}
    return Report.of(replace(c, state=State.PROBLEM) if c.state in lenient else c for c in checks)

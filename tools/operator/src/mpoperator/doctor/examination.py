"""The whole examination, in the order in which things rest on each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mpbus.errors import BusError, ChainBroken
from mpschema.codec import MalformedCommit
from mpservice.database import DRIVER_ERRORS
from msgspec.structs import replace
from redis.exceptions import RedisError

from mpoperator.doctor import (
    counts,
    credentials,
    database,
    folds,
    follow_ups,
    leadership,
    log,
    machine,
    servers,
    streams,
    tail,
)
from mpoperator.doctor.report import DoctorCheck, DoctorReport, State, follows, unknown
from mpoperator.errors import said
from mpoperator.site.cluster import GONE, Cluster, cluster
from mpoperator.site.settings import OperatorSettings

_LOOKS: tuple[tuple[str, str, Callable[[Cluster], Awaitable[list[DoctorCheck]]]], ...] = (
    ("nats", "nats", servers.nats_checks),
    ("redis", "redis", servers.redis_checks),
    ("credential servers", "nats", credentials.credential_checks),
    ("clock servers", "nats", servers.clock_checks),
    ("streams", "nats", streams.stream_checks),
    ("mending", "nats", tail.mending_checks),
    ("log chain", "nats", log.log_checks),
    ("intake", "nats", streams.intake_checks),
    ("leader", "nats", leadership.leader_checks),
    ("feed", "nats", streams.feed_checks),
    ("postgres", "postgres", database.database_checks),
    ("projections", "postgres", folds.projection_checks),
    ("event types", "postgres", folds.event_type_checks),
    ("follow-ups", "postgres", follow_ups.follow_up_checks),
    ("services", "services", machine.service_checks),
    ("counts services", "services", counts.count_checks),
)
"""Each look, the line that says why it could not be looked, and that of the server it rests on."""

_DOOR_CLOSED = "the door is closed"
"""The beginning of the concern of a gateway that lets no stranger in."""


async def examine(settings: OperatorSettings, *, strict: bool) -> DoctorReport:
    """Look at everything. With `strict`, warnings and what is not known count as problems."""
    checks: list[DoctorCheck] = []
    async with cluster(settings) as found:
        for name, server, look in _LOOKS:
            checks += await _looked(name, server, look, found)
        checks += machine.disk_checks(found) + machine.secret_checks(found)
    report = DoctorReport.of(deduced(checks))
    return report if not strict or not (report.warnings or report.unknown) else _strict(report.checks)


async def _looked(
    name: str, server: str, look: Callable[[Cluster], Awaitable[list[DoctorCheck]]], found: Cluster
) -> list[DoctorCheck]:
    """One look. A server that goes away meanwhile is itself a finding, and so is a log that nobody can read."""
    try:
        return await look(found)
    except (ChainBroken, MalformedCommit) as error:
        return [unknown(name, f"could not be looked at: {error}", because="log chain")]
    except (*GONE, *DRIVER_ERRORS, BusError, RedisError) as error:
        return [unknown(name, f"could not be looked at: {said(error)}", because=server)]


def deduced(checks: list[DoctorCheck]) -> list[DoctorCheck]:
    """The same, where what no kernel does follows from the line of a kernel: where none of them is well.

    A gateway's door is closed while it cannot read the log to its end, as without NATS. What rests on the whole log
    waits until it is whole.
    """
    checks = _waiting(checks)
    kernels = [check for check in checks if check.name.startswith("service kernel-")]
    well = not kernels or any(check.state is State.OK for check in kernels)
    bad = {check.name for check in checks if check.state is not State.OK}
    causes = {"leader": "" if well else kernels[0].name}
    causes["progress"] = "leader" if "leader" in bad else causes["leader"]
    causes |= {check.name: "nats" for check in checks if check.detail.startswith(_DOOR_CLOSED)}
    return [follows(check, check.because or causes.get(check.name, "")) for check in checks]


def _waiting(checks: list[DoctorCheck]) -> list[DoctorCheck]:
    """The same, where nobody is told to mend by itself what follows from a log that is not whole."""
    states = {check.name: check.state for check in checks}
    mending, log_state = states.get(tail.MENDING, State.OK), states.get(tail.LOG, State.OK)
    begun = tail.MENDING if mending is State.PROBLEM else ""
    unwhole = tail.MENDING if mending is not State.OK else tail.LOG if log_state is not State.OK else ""
    causes = {tail.MENDING: begun, tail.LOG: unwhole}
    waiting = [_waits(check, causes[check.because]) if check.because in causes else check for check in checks]
    half = begun or (tail.LOG if log_state is State.PROBLEM else "")
    return [_waits(check, half) if half and _would_lead(check) else check for check in waiting]


def _would_lead(check: DoctorCheck) -> bool:
    """Return whether its remedy lets a kernel lead, which on half a log goes on where something is missing."""
    of_kernels = check.name == "leader" or check.name.startswith("service kernel-")
    return of_kernels and check.state is State.PROBLEM and not check.because


def _waits(check: DoctorCheck, cause: str) -> DoctorCheck:
    return replace(check, because=cause, mend=tail.waits_for(cause) if cause and check.mend else check.mend)


def _strict(checks: list[DoctorCheck]) -> DoctorReport:
    lenient = {State.WARNING, State.UNKNOWN}
    return DoctorReport.of(replace(c, state=State.PROBLEM) if c.state in lenient else c for c in checks)

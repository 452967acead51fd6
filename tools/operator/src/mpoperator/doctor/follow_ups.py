"""The commands that the kernel gives itself: refused ones, and sweeps that run for too long."""

from __future__ import annotations

import asyncpg

from mpoperator.doctor.report import DoctorCheck, ok, unknown, warning
from mpoperator.site.cluster import Cluster

_REFUSED = """
SELECT count(*) AS refused, min(seq) AS first FROM mp.log_events WHERE event_type = 'mp.command.FollowUpRefused.v1'
"""
_SWEEPS = """
SELECT count(*) AS running, count(*) FILTER (WHERE due_at < now()) AS late, min(created_at) AS first
FROM mp.sweeps WHERE state = 'running'
"""
_SCAN_SECONDS = 20.0


async def follow_up_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Look for follow-ups and sweeps in the read models."""
    if cluster.database is None:
        return [unknown(name, "PostgreSQL does not answer", because="postgres") for name in ("follow-ups", "sweeps")]
    try:
        refused = await cluster.database.fetchrow(_REFUSED, timeout=_SCAN_SECONDS)
        running = await cluster.database.fetchrow(_SWEEPS, timeout=_SCAN_SECONDS)
    except (asyncpg.UndefinedTableError, TimeoutError):
        return [unknown(name, "the read models cannot be read", because="schema") for name in ("follow-ups", "sweeps")]
    assert refused is not None
    assert running is not None
    return [judge_follow_ups(refused["refused"], refused["first"]), judge_sweeps(running["running"], running["late"])]


def judge_follow_ups(refused: int, first: int | None) -> DoctorCheck:
    """Judge the commands that the kernel gave itself: one that was refused is a fault of ours."""
    if not refused:
        return ok("follow-ups", "no command of the kernel's own was ever refused")
    detail = f"{refused:,} commands of the kernel's own were refused, the first at event {first:,}"
    mend = "mpctl events list --event-type FollowUpRefused shows them: report it; what caused them stands"
    return warning("follow-ups", detail, mend)


def judge_sweeps(running: int, late: int) -> DoctorCheck:
    """Judge the sweeps that still run."""
    if late:
        mend = "mpctl sweep list --state running shows them; they go on while a kernel leads, see the line `leader`"
        return warning("sweeps", f"{late:,} of {running:,} run for longer than they should", mend)
    return ok("sweeps", f"{running:,} run" if running else "none runs")

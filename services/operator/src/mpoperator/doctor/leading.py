"""Who leads, in which epoch, and whether what waits is decided."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from mpbus.streams import INTAKE_CONSUMER, LEASE_STREAM
from mpschema import subjects
from nats.js.errors import NotFoundError
from redis.exceptions import RedisError

from mpoperator.cluster import GONE, Cluster
from mpoperator.doctor.report import Check, ok, problem, unknown, warning

_RELEASED = b"released"
_MOVES_SECONDS = 1.0
_AHEAD_WARNS_SECONDS = 1.0


@dataclass(frozen=True)
class Lease:
    """What a keeper says of the leader's lease: who holds it, or why that is not known."""

    keeper: str
    holder: str | None = None
    error: str | None = None


async def leader_checks(cluster: Cluster) -> list[Check]:
    """Who holds the lease, and what the newest commit says."""
    checks = [_judge(cluster, await leases(cluster))]
    if cluster.nc is None:
        return [*checks, unknown("log", "NATS does not answer")]
    head = await cluster.head()
    if head is None:
        return [*checks, warning("log", "is empty: no kernel has ever led here", cluster.module("mpkernel"))]
    checks.append(ok("log", f"event {head.position.seq:,}, commit {head.stream_seq:,}, epoch {head.header.epoch}"))
    ahead = head.header.time_ms / 1_000 - time.time()
    if ahead > _AHEAD_WARNS_SECONDS:
        detail = f"the newest commit says it was made {ahead:.1f} s from now: the clock of a kernel's machine is ahead"
        checks.append(warning("clock kernel", detail, "timedatectl set-ntp true"))
    checks.append(await _progress(cluster))
    return checks


async def leases(cluster: Cluster) -> list[Lease]:
    """What each keeper there may be says."""
    found = []
    if cluster.settings.redis_url is not None:
        found.append(await _redis_lease(cluster))
    if cluster.nc is not None:
        found.append(await _jetstream_lease(cluster))
    return found


async def _redis_lease(cluster: Cluster) -> Lease:
    if cluster.redis is None:
        return Lease("redis", error=cluster.errors["redis"])
    try:
        holder = await cluster.redis.get(f"mp:lease:kernel-{cluster.shard}")
    except (RedisError, OSError) as error:
        return Lease("redis", error=f"Redis does not answer: {error}")
    return Lease("redis", holder.decode() if isinstance(holder, bytes) else holder)


async def _jetstream_lease(cluster: Cluster) -> Lease:
    assert cluster.nc is not None
    try:
        last = await cluster.nc.jetstream().get_last_msg(
            LEASE_STREAM, subjects.lease_subject(f"kernel-{cluster.shard}")
        )
    except NotFoundError:
        return Lease("jetstream")
    except GONE as error:
        return Lease("jetstream", error=str(error))
    free = (last.headers or {}).get("Nats-Marker-Reason") or last.data == _RELEASED
    return Lease("jetstream", None if free else (last.data or b"").decode())


def _judge(cluster: Cluster, found: list[Lease]) -> Check:
    for lease in found:
        if lease.holder:
            return ok("leader", f"{lease.holder} holds the lease (in {lease.keeper})")
    errors = [lease.error for lease in found if lease.error]
    if errors or not found:
        return unknown("leader", f"nobody says who holds the lease: {'; '.join(errors) or 'no keeper answers'}")
    return problem("leader", "no kernel holds the lease: commands wait and are not decided", cluster.module("mpkernel"))


async def _progress(cluster: Cluster) -> Check:
    """Commands that wait while the log stands still are a leader that hangs."""
    before = await _waiting_and_head(cluster)
    if not before[0]:
        return ok("progress", "nothing waits to be decided")
    await asyncio.sleep(_MOVES_SECONDS)
    after = await _waiting_and_head(cluster)
    if after[0] and after[1] == before[1]:
        detail = f"{after[0]:,} messages wait, and nothing was recorded for {_MOVES_SECONDS:g} s"
        return problem("progress", detail, "restart the kernel that leads; another takes over")
    return ok("progress", f"event {before[1]:,} to {after[1]:,} within {_MOVES_SECONDS:g} s")


async def _waiting_and_head(cluster: Cluster) -> tuple[int, int]:
    info = await cluster.api(f"CONSUMER.INFO.{subjects.command_stream(cluster.shard)}.{INTAKE_CONSUMER}")
    head = await cluster.head()
    return int(info.get("num_pending", 0)) + int(info.get("num_ack_pending", 0)), head.position.seq if head else 0

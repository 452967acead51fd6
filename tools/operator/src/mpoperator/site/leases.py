"""The holder of the leader's lease, as its keepers say: read as the kernels read it."""

from __future__ import annotations

from dataclasses import dataclass

from mpbus.streams import leader_lease
from mpstore.leases import LeadershipLease, LeaseUnavailable
from mpstore.leases.jetstream import JetStreamLease
from mpstore.leases.redis import RedisLease

from mpoperator.site.cluster import Cluster

_NOBODY = ""
_NEVER_TAKEN_SECONDS = 1.0


@dataclass(frozen=True)
class Holder:
    """A keeper's word on the leader's lease: who holds it, or why that is not known."""

    keeper: str
    holder: str | None = None
    error: str | None = None


async def deciding_holder(cluster: Cluster) -> Holder:
    """Ask JetStream: its holder may lead."""
    if cluster.nc is None:
        return Holder("jetstream", error=cluster.errors["nats"])
    lease = JetStreamLease(cluster.nc, _name(cluster), _NOBODY, _NEVER_TAKEN_SECONDS)
    return await _seen("jetstream", lease)


async def holder_in_redis(cluster: Cluster) -> Holder | None:
    """Ask Redis: its holder tries first. None where it keeps no lease."""
    if cluster.settings.redis_url is None:
        return None
    if cluster.redis is None:
        return Holder("redis", error=cluster.errors["redis"])
    return await _seen("redis", RedisLease(cluster.redis, _name(cluster), _NOBODY, _NEVER_TAKEN_SECONDS))


def _name(cluster: Cluster) -> str:
    return leader_lease(cluster.shard)


async def _seen(keeper: str, lease: LeadershipLease) -> Holder:
    try:
        await lease.free()
    except LeaseUnavailable as error:
        return Holder(keeper, error=f"it does not answer: {error}")
    return Holder(keeper, lease.holder or None)

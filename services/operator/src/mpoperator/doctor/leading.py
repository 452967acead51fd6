"""Who leads, in which epoch, and whether what waits is decided."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mpbus.errors import BusError
from mpbus.streams import INTAKE_CONSUMER, LEASE_STREAM
from mpschema import subjects
from mpschema.codec import MalformedCommit
from nats.js.errors import NotFoundError
from redis.exceptions import RedisError

from mpoperator.cluster import GONE, Cluster
from mpoperator.doctor.electing import election_checks
from mpoperator.doctor.report import Check, ok, problem, unknown, warning

_RELEASED = b"released"
_MOVES_SECONDS = 1.0
_LOOKS = 4
"""Longer than what is answered may wait for its discard."""


@dataclass(frozen=True)
class Lease:
    """What a keeper says of the leader's lease: who holds it, or why that is not known."""

    keeper: str
    holder: str | None = None
    error: str | None = None


async def leader_checks(cluster: Cluster) -> list[Check]:
    """Who holds the lease, and what the newest commit says."""
    checks = _judge(cluster, await leases(cluster))
    if cluster.nc is None:
        return [*checks, unknown("log", "NATS does not answer")]
    try:
        head = await cluster.head()
    except (BusError, MalformedCommit) as error:
        return [*checks, unknown("log", f"its newest commit cannot be read: {error}")]
    if head is None:
        return [*checks, warning("log", "is empty: no kernel has ever led here", cluster.module("mpkernel"))]
    checks.append(ok("log", f"event {head.position.seq:,}, commit {head.stream_seq:,}, epoch {head.header.epoch}"))
    checks += await election_checks(cluster, head)
    checks.append(await _progress(cluster))
    return checks


async def leases(cluster: Cluster) -> list[Lease]:
    """What each keeper there may be says: JetStream, who decides, and then Redis, where there is one."""
    found = []
    if cluster.nc is not None:
        found.append(await _jetstream_lease(cluster))
    if cluster.settings.redis_url is not None:
        found.append(await _redis_lease(cluster))
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
    headers = last.headers or {}
    free = "Nats-TTL" not in headers or headers.get("Nats-Marker-Reason") or last.data == _RELEASED
    return Lease("jetstream", None if free else (last.data or b"").decode())


def _judge(cluster: Cluster, found: list[Lease]) -> list[Check]:
    """Who leads is who holds the lease in JetStream. Another's key in Redis only slows a change down."""
    said = {lease.keeper: lease for lease in found}
    right, turn = said.get("jetstream"), said.get("redis")
    if right is None:
        return [unknown("leader", "nobody says who holds the lease: NATS does not answer")]
    if right.error:
        detail = f"JetStream does not say who holds the lease, and nobody can lead: {right.error}"
        return [problem("leader", detail, cluster.start_command)]
    if not right.holder:
        detail = "no kernel holds the lease: commands wait and are not decided"
        mend = f"see `log chain` and the kernels here; where none runs: {cluster.module('mpkernel')}"
        return [problem("leader", detail, mend)]
    checks = [ok("leader", f"{right.holder} holds the lease")]
    if turn is not None and turn.holder not in (None, right.holder):
        detail = f"{turn.holder} holds the key in Redis: a change of the leader is slower meanwhile"
        mend = f"if it does not go by itself: redis-cli -u URL DEL mp:lease:kernel-{cluster.shard}"
        checks.append(warning("lease redis", detail, mend))
    return checks


async def _progress(cluster: Cluster) -> Check:
    """Commands that wait while nothing moves are a leader that hangs. What only waits for its discard moves."""
    before = await _work(cluster)
    for _ in range(_LOOKS):
        if not before.waiting:
            return ok("progress", "nothing waits to be decided")
        await asyncio.sleep(_MOVES_SECONDS)
        after = await _work(cluster)
        if after.moved_since(before):
            return ok("progress", f"{before.waiting:,} messages wait and move, at event {after.head_seq:,}")
    seconds = _LOOKS * _MOVES_SECONDS
    detail = f"{before.waiting:,} messages wait, and nothing was taken, recorded or discarded for {seconds:g} s"
    return problem("progress", detail, "see the lines of leader, log and services here, and the log of who leads")


@dataclass(frozen=True)
class _Work:
    """What waits in the command stream, and three places that move when a leader works."""

    waiting: int
    first: int
    taken: int
    head_seq: int

    def moved_since(self, before: _Work) -> bool:
        return (self.first, self.taken, self.head_seq) != (before.first, before.taken, before.head_seq)


async def _work(cluster: Cluster) -> _Work:
    name = subjects.command_stream(cluster.shard)
    state = (await cluster.api(f"STREAM.INFO.{name}")).get("state", {})
    consumer = await cluster.api(f"CONSUMER.INFO.{name}.{INTAKE_CONSUMER}")
    head = await cluster.head()
    taken = int(consumer.get("delivered", {}).get("stream_seq", 0))
    seq = head.position.seq if head else 0
    return _Work(int(state.get("messages", 0)), int(state.get("first_seq", 0)), taken, seq)

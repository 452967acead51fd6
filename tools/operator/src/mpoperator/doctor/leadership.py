"""The leader, its epoch, and its progress."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mpbus.errors import BusError, LogUnavailable, NoLog
from mpbus.streams import INTAKE_CONSUMER, leader_lease
from mpschema import subjects
from mpschema.codec import MalformedCommit

from mpoperator.doctor.elections import election_checks
from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, unknown, warning
from mpoperator.doctor.tail import LOG, MENDING, beyond, ends_seen, judge_tail
from mpoperator.log.access import HOLDER
from mpoperator.site.cluster import Cluster
from mpoperator.site.leases import Holder, deciding_holder, holder_in_redis

_MOVES_SECONDS = 1.0
_LOOKS = 4
"""Longer than what is answered may wait for its discard."""
_TOOL = (
    "wait for it; a run that was cut off is typed again: `mpctl log mend DIR`, or what put the log back, "
    "with --resume; see context/operations/prove-the-log.md"
)


async def leader_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Look at the holder of the lease, and at the newest commit."""
    checks = _judge(cluster, await deciding_holder(cluster), await holder_in_redis(cluster))
    if cluster.nc is None:
        return [*checks, unknown("log", "NATS does not answer", because="nats")]
    seen = await ends_seen(cluster)
    try:
        head = await cluster.head()
    except NoLog:
        name = subjects.log_stream(cluster.shard)
        return [*checks, unknown(LOG, "there is no log stream", because=f"stream {name}")]
    except LogUnavailable:
        raise
    except (BusError, MalformedCommit) as error:
        return [*checks, unknown("log", f"its newest commit cannot be read: {error}", because="log chain")]
    lost = judge_tail(head.position.seq if head else 0, await beyond(cluster, seen, head))
    if head is None:
        start = cluster.serve("kernel")
        empty = warning("log", "is empty: no kernel has ever led here", start)
        return [*checks, lost or follows(empty, MENDING)]
    whole = ok("log", f"event {head.position.seq:,}, commit {head.stream_seq:,}, epoch {head.header.epoch}")
    checks.append(lost or whole)
    checks += await election_checks(cluster, head)
    checks.append(await _progress(cluster))
    return checks


def _judge(cluster: Cluster, right: Holder, turn: Holder | None) -> list[DoctorCheck]:
    """Judge the leases: the leader is the holder in JetStream. Another's key in Redis only slows a change down."""
    if cluster.nc is None:
        return [unknown("leader", "nobody says who holds the lease: NATS does not answer", because="nats")]
    if right.error:
        detail = f"JetStream does not say who holds the lease, and nobody can lead: {right.error}"
        return [problem("leader", detail, cluster.start("nats"))]
    if not right.holder:
        detail = "no kernel holds the lease: commands wait and are not decided"
        return [problem("leader", detail, cluster.serve("kernel"))]
    checks = [judge_holder(right.holder)]
    if turn is not None and turn.holder not in (None, right.holder):
        detail = f"{turn.holder} holds the key in Redis: a change of the leader is slower meanwhile"
        mend = f"if it does not go by itself: redis-cli -u URL DEL mp:lease:{leader_lease(cluster.shard)}"
        checks.append(warning("lease redis", detail, mend))
    return checks


def judge_holder(holder: str) -> DoctorCheck:
    """Judge the holder of the lease: a tool of ours holds it so that nobody does."""
    if not holder.startswith(HOLDER):
        return ok("leader", f"{holder} holds the lease")
    detail = f"a tool holds it ({holder}): no kernel leads until it is done or for an hour"
    return follows(warning("leader", detail, _TOOL), MENDING)


async def _progress(cluster: Cluster) -> DoctorCheck:
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
    """Look at the command stream, and at three places that move when a leader works."""

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

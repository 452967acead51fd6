"""The composition of a kernel process: its loop, and the adapters around it."""

import asyncio
import gc
import secrets
import time

import redis.asyncio as redis
from mpbus.marks import lacking
from mpbus.reader import LogReader
from mpbus.streams import leader_lease
from mpbus.tasks import end, watched
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.commit import LOOK_BYTES
from mpschema import subjects
from mpservice.lifecycle import UNREADABLE, Lifecycle
from mpservice.program import run_service
from mpservice.settings import read_settings
from mpstore.leases.jetstream import JetStreamLease
from mpstore.leases.redis import RedisLease
from mpstore.log.jetstream import JetStreamLogWriter
from mpstore.snapshots.objects import ObjectSnapshots
from mpstore.snapshots.reducers import reducer_digest
from nats.aio.client import Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mpkernel.adapters.clock import SystemClock
from mpkernel.adapters.core_replies import CoreReplies
from mpkernel.adapters.jetstream_clock import JetStreamClock
from mpkernel.adapters.jetstream_intake import JetStreamIntake
from mpkernel.adapters.surroundings import Surroundings
from mpkernel.answers import Answers
from mpkernel.leadership import Kernel, Memory
from mpkernel.leases import KeptLease, PairedLease
from mpkernel.loop import Candidacy, Leader
from mpkernel.metrics import KernelMetrics
from mpkernel.ports import Clock, CommandsRenumbered
from mpkernel.sealing import Sealing
from mpkernel.settings import KernelSettings
from mpkernel.signing import CheckpointSigner, read_signing_key
from mpkernel.spec import SERVICE
from mpkernel.standing import KernelStatus
from mpkernel.timekeeping import Timekeeper

_REDIS_SECONDS = 0.25
"""Redis is asked beside the keeper that decides: it must answer quickly, or is done without."""


def _keepers(settings: KernelSettings, nc: Client, metrics: KernelMetrics) -> list[KeptLease]:
    """The keepers of the lease: JetStream, and Redis where there is one."""
    name, holder = leader_lease(settings.shard), f"{settings.node}-{secrets.token_hex(4)}"
    ttl = settings.lease_ttl_seconds
    keepers = [KeptLease(JetStreamLease(nc, name, holder, ttl), "jetstream", metrics, time.monotonic)]
    if settings.lease == "redis":
        client = redis.Redis.from_url(
            settings.redis_url,
            **settings.redis_options(),
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        keepers.append(KeptLease(RedisLease(client, name, holder, ttl), "redis", metrics, time.monotonic))
    return keepers


def _signer(settings: KernelSettings) -> CheckpointSigner | None:
    path = settings.signing_key_file
    return CheckpointSigner(read_signing_key(path), settings.shard) if path else None


def compose(settings: KernelSettings, nc: Client, clock: Clock) -> Kernel:
    """A kernel on real servers. Raises `UnusableKey`."""
    signer = _signer(settings)
    source = LogReader(nc, settings.shard)
    snapshots = ObjectSnapshots(nc, settings.shard)
    writer = JetStreamLogWriter(nc, settings.shard)  # One for all leaderships: it listens for its acknowledgements.
    authorizer, digest, metrics = RoleAuthorizer(), reducer_digest(), KernelMetrics()
    right, *turn = _keepers(settings, nc, metrics)
    lease = PairedLease(right, turn[0], settings.lease_ttl_seconds, time.monotonic) if turn else right
    server_clock = JetStreamClock(nc, settings.shard)
    timekeeper = Timekeeper(clock, server_clock, metrics, bound_seconds=settings.clock_bound_seconds)
    candidacy = Candidacy(
        process=f"{settings.node}-{secrets.token_hex(4)}",
        node=settings.node,
        subject=subjects.log_subject(settings.shard),
        operators=settings.operators,
        commit_deadline_seconds=max(5.0, settings.lease_ttl_seconds * 2),
        turn_seconds=settings.turn_budget_ms / 1000,
        look_bytes=LOOK_BYTES,
    )

    def make_leader(memory: Memory) -> Leader:
        wake = asyncio.Event()
        return Leader(
            candidacy,
            memory.shard,
            memory.position,
            clock=timekeeper,
            writer=writer,
            intake=JetStreamIntake(nc, settings.shard, wake),
            answers=Answers(source, CoreReplies(nc), memory.places),
            authorizer=authorizer,
            sealing=Sealing(snapshots, digest, settings.snapshot_every, wake, signer, memory.access),
            metrics=metrics,
            wake=wake,
        )

    return Kernel(
        source,
        lease,
        snapshots,
        make_leader,
        timekeeper=timekeeper,
        standing=KernelStatus(lease, right, turn, timekeeper, metrics, patience_seconds=settings.lease_ttl_seconds),
        reducer_digest=digest,
        renew_seconds=settings.lease_ttl_seconds / 3,
        metrics=metrics,
        lacking=lambda head: lacking(nc, settings.shard, head),
    )


async def serve(settings: KernelSettings, life: Lifecycle, clock: Clock) -> int:
    """Run one kernel, by a clock, until a signal asks it to stop. Returns the exit code."""
    async with life.bus(SERVICE.name, settings, writer=True) as nc:
        around = Surroundings(nc, settings.shard)
        looking = watched(around.look_for_ever(), "looking around", lambda _: around.unknown())
        try:
            halts = (*UNREADABLE, CommandsRenumbered)
            await life.keep(lambda: compose(settings, nc, clock), needs=nc.vital, halts=halts)
        finally:
            await end(looking)
    return 0


def main(clock: Clock | None = None) -> int:
    """Entry point: settings from the environment. The clock is the system's, unless a test brings another."""
    # States hold no cycles and say so (`gc=False`); the collector need not walk through all of them again and again.
    gc.set_threshold(50_000, 20, 100)
    told = clock or SystemClock()
    return run_service(
        SERVICE.name, read_settings(KernelSettings), lambda settings, life: serve(settings, life, told), _signer
    )

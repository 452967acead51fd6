"""The streams' settings, and the one function that makes them so."""

import asyncio

from mpschema import subjects
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

COMMAND_MESSAGES_MAX = 100_000
COMMAND_BYTES_MAX = 512 * 1024 * 1024
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
LEASE_STREAM = "MP_LEASE"
INTAKE_CONSUMER = "kernel"
SNAPSHOT_BUCKET = "MP_SNAPSHOTS"
_HOUR_SECONDS = 3600.0
_NO_PEERS = 10005
"""The server's code for: too few nodes are there to hold the copies, as in a cluster that has just started."""
_CLUSTER_SECONDS = 30.0
_AGAIN_SECONDS = 0.5


def command_stream(shard: str, replicas: int) -> api.StreamConfig:
    """Where commands wait: a bounded work queue that refuses what does not fit, instead of dropping what waits."""
    return api.StreamConfig(
        name=subjects.command_stream(shard),
        subjects=[subjects.command_subject(shard), subjects.service_subjects(shard)],
        retention=api.RetentionPolicy.WORK_QUEUE,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_msgs=COMMAND_MESSAGES_MAX,
        max_bytes=COMMAND_BYTES_MAX,
        max_msg_size=MESSAGE_BYTES_MAX,
        num_replicas=replicas,
        duplicate_window=1,
    )


def log_stream(shard: str, replicas: int) -> api.StreamConfig:
    """What happened: appended only. Neither deletion, purge nor roll-up is possible through the server's API."""
    return api.StreamConfig(
        name=subjects.log_stream(shard),
        subjects=[subjects.log_subject(shard)],
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_msg_size=MESSAGE_BYTES_MAX,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
        allow_rollup_hdrs=False,
        allow_direct=True,
        duplicate_window=1,
    )


def feed_stream(shard: str, replicas: int) -> api.StreamConfig:
    """The log once more, one message per event: position n holds event n. Derived; may be deleted and made anew."""
    return api.StreamConfig(
        name=subjects.feed_stream(shard),
        subjects=[subjects.feed_subjects(shard)],
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.OLD,
        max_msg_size=MESSAGE_BYTES_MAX,
        num_replicas=replicas,
        deny_delete=True,
        allow_atomic=True,
        allow_direct=True,
        duplicate_window=1,
    )


def lease_stream(replicas: int) -> api.StreamConfig:
    """Leases: one message a name, gone after its time to live, with a marker that tells the waiting."""
    return api.StreamConfig(
        name=LEASE_STREAM,
        subjects=[subjects.lease_subject("x").removesuffix("x") + ">"],
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        max_msgs_per_subject=1,
        allow_msg_ttl=True,
        allow_rollup_hdrs=True,
        subject_delete_marker_ttl=1,
        duplicate_window=1,
    )


def intake_consumer() -> api.ConsumerConfig:
    """The one consumer of a command stream. Only the leader pulls; acknowledgement is by purge after the commit."""
    return api.ConsumerConfig(
        durable_name=INTAKE_CONSUMER,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=_HOUR_SECONDS,
        max_ack_pending=COMMAND_MESSAGES_MAX,
        max_waiting=16,
    )


async def provision(nc: Client, shard: str, replicas: int = 1) -> None:
    """Make the streams of a shard what they should be. Safe to repeat. Waits for a cluster that has just started.

    Raises `nats.js.errors.APIError` where the server refuses, say when fewer servers run than `replicas`, and
    `nats.errors.TimeoutError` where none answers.
    """
    deadline = asyncio.get_running_loop().time() + _CLUSTER_SECONDS
    while True:
        try:
            return await _provision(nc, shard, replicas)
        except (APIError, NatsTimeout) as error:
            passing = isinstance(error, NatsTimeout) or error.err_code == _NO_PEERS
            if replicas == 1 or not passing or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_AGAIN_SECONDS)


async def _provision(nc: Client, shard: str, replicas: int) -> None:
    js = nc.jetstream(timeout=10)
    for config in (
        command_stream(shard, replicas),
        log_stream(shard, replicas),
        feed_stream(shard, replicas),
        lease_stream(replicas),
    ):
        try:
            await js.stream_info(str(config.name))
        except NotFoundError:
            await js.add_stream(config)
        else:
            await js.update_stream(config)
    await js.add_consumer(subjects.command_stream(shard), intake_consumer())
    await _provision_bucket(js, replicas)


async def _provision_bucket(js: JetStreamContext, replicas: int) -> None:
    """The client makes the stream below a bucket, with settings of its own: all but the copies are left to it."""
    try:
        info = await js.stream_info(f"OBJ_{SNAPSHOT_BUCKET}")
    except NotFoundError:
        await js.create_object_store(SNAPSHOT_BUCKET, api.ObjectStoreConfig(replicas=replicas))
    else:
        if info.config.num_replicas != replicas:
            await js.update_stream(info.config.evolve(num_replicas=replicas))

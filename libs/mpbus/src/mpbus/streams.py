"""The streams' settings, and the one function that makes them so."""

import asyncio
import json
from typing import Any

from mpschema import codec, levels, packs, subjects
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from mpbus.errors import Unusable
from mpbus.ingest import ingest_of, new_ingest

COMMAND_MESSAGES_MAX = 100_000
COMMAND_BYTES_MAX = 512 * 1024 * 1024
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
HEADERS_BYTES_MAX = 4 * 1024
"""Room for what a command message has beside its lines: where its outcomes are awaited."""
LEASE_STREAM = "MP_LEASE"
INTAKE_CONSUMER = "kernel"
SNAPSHOT_BUCKET = "MP_SNAPSHOTS"
SNAPSHOT_STREAM = f"OBJ_{SNAPSHOT_BUCKET}"
READER_SECONDS = 30.0
"""The time after which the server forgets a consumer of the log that nobody asks anything: of a reader that is gone."""
_AT_ONCE = 50
_HOUR_SECONDS = 3600.0
_NO_PEERS = 10005
"""The server's code for: too few nodes are there to hold the copies, as in a cluster that has just started."""
_OUTLIVES = 10069
"""The server's code for: a consumer of an earlier release's log wants to outlive its reader."""
_CLUSTER_SECONDS = 30.0
_AGAIN_SECONDS = 0.5


def leader_lease(shard: str) -> str:
    """The name of the lease that a shard's leader holds, in JetStream and in Redis."""
    return f"kernel-{shard}"


def command_stream(shard: str, replicas: int) -> api.StreamConfig:
    """The stream in which commands wait: a bounded work queue that refuses what does not fit."""
    return api.StreamConfig(
        name=subjects.command_stream(shard),
        subjects=[subjects.command_subject(shard), subjects.service_subjects(shard)],
        retention=api.RetentionPolicy.WORK_QUEUE,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_msgs=COMMAND_MESSAGES_MAX,
        max_bytes=COMMAND_BYTES_MAX,
        max_msg_size=packs.BYTES_MAX + HEADERS_BYTES_MAX,
        num_replicas=replicas,
        duplicate_window=1,
    )


def log_stream(shard: str, replicas: int, ingest: str = "", *, also_plain: bool = False) -> api.StreamConfig:
    """The events: appended only. Neither deletion, purge nor roll-up is possible through the server's API.

    It takes commits on `ingest` and stores them under the log's subject; without one it listens on that subject.
    No consumer may ask to outlive its reader: consumers are counted, and what a lost credential made would stay.
    """
    plain = subjects.log_subject(shard)
    return api.StreamConfig(
        name=subjects.log_stream(shard),
        subjects=[*([ingest] if ingest else []), *([plain] if also_plain or not ingest else [])],
        subject_transform=api.SubjectTransform(src=ingest, dest=plain) if ingest else None,
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
        consumer_limits=api.StreamConsumerLimits(inactive_threshold=READER_SECONDS),
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


def reader_consumer(start: int) -> api.ConsumerConfig:
    """A consumer of the log from a stream position on, for one reader: it is in memory, and ends with its reader."""
    return api.ConsumerConfig(
        ack_policy=api.AckPolicy.NONE,
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        mem_storage=True,
        inactive_threshold=READER_SECONDS,
        num_replicas=1,
    )


async def provision(
    nc: Client, shard: str, replicas: int = 1, *, guarded: bool = False, renew_ingest: bool = False
) -> None:
    """Make the streams of a shard what they should be. Safe to repeat. Waits for a cluster that has just started.

    `guarded` has the log listen where nobody can guess; what is so stays so. `renew_ingest` gives it another place.

    Raises `nats.js.errors.APIError` where the server refuses, say when fewer servers run than `replicas`,
    `nats.errors.TimeoutError` where none answers, and `Unusable` where consumers must be ended first.
    """
    deadline = asyncio.get_running_loop().time() + _CLUSTER_SECONDS
    while True:
        try:
            await _provision(nc, shard, replicas)
            return await _provision_log(nc.jetstream(timeout=10), shard, replicas, guarded, renew_ingest)
        except (APIError, NatsTimeout) as error:
            passing = isinstance(error, NatsTimeout) or error.err_code == _NO_PEERS
            if replicas == 1 or not passing or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_AGAIN_SECONDS)


async def end_readers(nc: Client, shard: str) -> int:
    """Delete every consumer of the log and of the snapshots, and return how many. Readers that live make others.

    A stream has 1,000 at most, and who was given a credential could make them all: they outlive the credential. Raises
    what the client raises.
    """
    ended = 0
    for stream in (subjects.log_stream(shard), SNAPSHOT_STREAM):
        names = await _consumers(nc, stream)
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            await asyncio.gather(*(_api(nc, f"CONSUMER.DELETE.{stream}.{name}") for name in some))
        ended += len(names)
    return ended


async def _consumers(nc: Client, stream: str) -> list[str]:
    names: list[str] = []
    while True:
        page = await _api(nc, f"CONSUMER.NAMES.{stream}", {"offset": len(names)})
        names += page.get("consumers") or []
        if len(names) >= page.get("total", 0) or not page.get("consumers"):
            return names


async def _api(nc: Client, subject: str, asked: dict[str, int] | None = None) -> dict[str, Any]:
    body = json.dumps(asked).encode() if asked else b""
    return dict(json.loads((await nc.request(f"$JS.API.{subject}", body, timeout=10)).data))


async def _provision(nc: Client, shard: str, replicas: int) -> None:
    js = nc.jetstream(timeout=10)
    for config in (
        command_stream(shard, replicas),
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


async def _provision_log(js: JetStreamContext, shard: str, replicas: int, guarded: bool, renew: bool) -> None:
    try:
        found = (await js.stream_info(subjects.log_stream(shard))).config
    except NotFoundError:
        await js.add_stream(log_stream(shard, replicas, new_ingest(shard) if guarded else ""))
        return
    ingest = ingest_of(found, shard)
    if renew or (guarded and not ingest):
        ingest = new_ingest(shard)
    also_plain = bool(ingest) and subjects.log_subject(shard) in (found.subjects or ())
    also_plain = also_plain and await _older_builds_may_lead(js, shard)
    try:
        await js.update_stream(log_stream(shard, replicas, ingest, also_plain=also_plain))
    except APIError as error:
        if error.err_code != _OUTLIVES:
            raise
        raise Unusable(
            f"{error.description}; end them with `python -m mpservice provision --end-readers` first"
        ) from error


async def _older_builds_may_lead(js: JetStreamContext, shard: str) -> bool:
    """Tell whether the log is below the level of the first build that asks where to publish."""
    try:
        last = await js.get_last_msg(subjects.log_stream(shard), subjects.log_subject(shard))
        return codec.split_commit(last.data or b"")[0].feature_level < levels.ASKS_WHERE_LEVEL
    except (NotFoundError, codec.MalformedCommit):
        return False  # Nothing, or nothing that anybody could lead on.


async def _provision_bucket(js: JetStreamContext, replicas: int) -> None:
    """The client makes the stream below a bucket, with settings of its own: all but the copies are left to it."""
    try:
        info = await js.stream_info(SNAPSHOT_STREAM)
    except NotFoundError:
        await js.create_object_store(SNAPSHOT_BUCKET, api.ObjectStoreConfig(replicas=replicas))
    else:
        if info.config.num_replicas != replicas:
            await js.update_stream(info.config.evolve(num_replicas=replicas))

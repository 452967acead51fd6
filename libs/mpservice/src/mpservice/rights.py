"""The rights of users on NATS, as subjects by what is done with them, and the rights on keys of Redis.

A service's descriptor is put together from these. What is not listed the servers refuse.
See `context/operations/credentials.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mpbus.marks import mark_subject
from mpbus.streams import INTAKE_CONSUMER, LEASE_STREAM, SNAPSHOT_BUCKET, SNAPSHOT_STREAM, leader_lease
from mpschema import subjects

OPERATOR, PROVISION, RESTORE = "operator", "provision", "restore"
"""The users that are no services: who looks, who makes streams, and who puts a log back."""
API = "$JS.API"
REDIS_READS = "+@read +@connection +time -@dangerous -scan -randomkey -select"
_REDIS_WRITES = f"+@write {REDIS_READS} +@transaction -@scripting +eval +evalsha +script|load"


def _nothing(_: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class NatsRights:
    """The rights of one user on NATS: subjects by shard. It may always subscribe to its own inbox."""

    purpose: str
    """The purpose, as the page of credentials states it."""
    publish: Callable[[str], tuple[str, ...]] = _nothing
    subscribe: Callable[[str], tuple[str, ...]] = _nothing
    keeps_streams: bool = False
    """True for a user that may access every stream: an answer to its request may go to any subject."""
    pushed_snapshots: bool = False
    """True for a user that reads snapshots from another account, by a push consumer, as the client library does."""
    commands_as_service: bool = False
    """True for a user that sends commands on the subject of its own instance, and receives their outcomes."""


def read(stream: str) -> tuple[str, ...]:
    """Follow a stream by a consumer that nobody else uses and the server forgets, and look things up in it."""
    return (
        stream_info(stream),
        f"{API}.STREAM.MSG.GET.{stream}",
        f"{API}.CONSUMER.CREATE.{stream}",
        f"{API}.CONSUMER.MSG.NEXT.{stream}.*",
    )


def stream_info(stream: str) -> str:
    """Ask a stream what it holds, and how it is set up."""
    return f"{API}.STREAM.INFO.{stream}"


def log_read(shard: str) -> tuple[str, ...]:
    """Follow the log, without the stream's own description, which holds the subject on which the log takes commits."""
    return read(subjects.log_stream(shard))[1:]


def log_appended(shard: str) -> tuple[str, ...]:
    """Append to the log as the holder of the leader's lease."""
    return (
        subjects.ingest_subject(shard),
        subjects.log_subject(shard),
        subjects.lease_subject(leader_lease(shard)),
    )


def log_asked(shard: str) -> str:
    """Ask the log for its stream's description."""
    return stream_info(subjects.log_stream(shard))


def commands_taken(shard: str) -> tuple[str, ...]:
    """Take what waits in the command stream, and purge what is committed."""
    commands = subjects.command_stream(shard)
    return (
        stream_info(commands),
        f"{API}.STREAM.MSG.GET.{commands}",
        f"{API}.STREAM.PURGE.{commands}",
        f"{API}.CONSUMER.RESET.{commands}.{INTAKE_CONSUMER}",
        f"{API}.CONSUMER.MSG.NEXT.{commands}.{INTAKE_CONSUMER}",
    )


def feed_written(shard: str) -> tuple[str, ...]:
    """Write the feed, and find its end."""
    feed = subjects.feed_stream(shard)
    return (subjects.feed_subjects(shard), stream_info(feed), f"{API}.STREAM.MSG.GET.{feed}")


def lease_read() -> tuple[str, ...]:
    """Read who holds the lease, and the mark of a log that is being put back."""
    return (stream_info(LEASE_STREAM), mark_read())


def mark_read() -> str:
    """Read the mark of a log that is being put back."""
    return f"{API}.STREAM.MSG.GET.{LEASE_STREAM}"


def mark_written(shard: str) -> str:
    """Write that mark."""
    return mark_subject(shard)


def snapshots_read() -> tuple[str, ...]:
    """Read an object store as the client library does. It looks the stream up by its subject first."""
    return (
        f"{API}.STREAM.NAMES",
        *read(SNAPSHOT_STREAM)[:3],
        f"{API}.DIRECT.GET.{SNAPSHOT_STREAM}.$O.{SNAPSHOT_BUCKET}.M.*",
        f"{API}.CONSUMER.CREATE.{SNAPSHOT_STREAM}.>",
        f"{API}.CONSUMER.DELETE.{SNAPSHOT_STREAM}.*",
        f"$JS.FC.{SNAPSHOT_STREAM}.>",
    )


def snapshots_written() -> tuple[str, ...]:
    """Store snapshots. The purge is of the one that is replaced: snapshots are disposable."""
    return (f"$O.{SNAPSHOT_BUCKET}.>", f"{API}.STREAM.PURGE.{SNAPSHOT_STREAM}")


def looked_at(shard: str) -> tuple[str, ...]:
    """Look at every stream of a shard, and change none."""
    commands, feed = subjects.command_stream(shard), subjects.feed_stream(shard)
    return (
        log_asked(shard),
        *log_read(shard),
        stream_info(commands),
        f"{API}.CONSUMER.INFO.{commands}.{INTAKE_CONSUMER}",
        stream_info(feed),
        f"{API}.STREAM.MSG.GET.{feed}",
    )


def streams_made(shard: str) -> tuple[str, ...]:
    """Make every stream of a shard, and end those who read it. The log is never deleted."""
    commands, log, feed = subjects.command_stream(shard), subjects.log_stream(shard), subjects.feed_stream(shard)
    streams = (commands, log, feed, LEASE_STREAM, SNAPSHOT_STREAM)
    return (
        *(f"{API}.STREAM.{verb}.{stream}" for stream in streams for verb in ("INFO", "CREATE", "UPDATE")),
        *(f"{API}.STREAM.DELETE.{stream}" for stream in streams if stream != log),
        f"{API}.STREAM.MSG.GET.{log}",
        f"{API}.CONSUMER.DURABLE.CREATE.{commands}.{INTAKE_CONSUMER}",
        f"{API}.CONSUMER.CREATE.{commands}.{INTAKE_CONSUMER}",
        *(f"{API}.CONSUMER.{what}" for stream in (log, SNAPSHOT_STREAM) for what in _ended(stream)),
    )


def _ended(stream: str) -> tuple[str, ...]:
    return f"NAMES.{stream}", f"DELETE.{stream}.*"


def redis_written(room: str) -> str:
    """The rule of a user of Redis that reads and writes the keys of one room, and no others."""
    return f"~mp:{room}:* {_REDIS_WRITES}"

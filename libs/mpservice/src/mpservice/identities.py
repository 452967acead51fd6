"""The rights of each user on NATS: the one table from which server configurations, documents and tests are made.

Every process of ours is a user with a key of its own. What is not listed is refused by the server. Each user hears
answers under an inbox prefix that is its own, so that nobody overhears or forges another's.
See `context/operations/credentials.md`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mpbus.accounts import ABOUT_US, STREAMS_ACCOUNT, Entry, inbox_prefix
from mpbus.streams import INTAKE_CONSUMER, LEASE_STREAM, SNAPSHOT_BUCKET, SNAPSHOT_STREAM
from mpschema import subjects

KERNEL, GATEWAY, PROJECTOR, WEBHOOKS, RELAY = "kernel", "gateway", "projector", "webhooks", "relay"
OPERATOR, PROVISION, RESTORE = "operator", "provision", "restore"
KEEPERS = frozenset({KERNEL, PROVISION, RESTORE})
"""Users that may have every stream: an answer that they ask for is sent on any subject."""
SNAPSHOT_READERS = frozenset({GATEWAY, OPERATOR})
"""Users outside of that account whose object store is read by a consumer that pushes: the client library's way."""
DEFAULT_INSTANCE = "main"
"""Of a service that has one instance."""
_API = "$JS.API"


@dataclass(frozen=True)
class NatsUser:
    """One user of nats-server: every subject it may publish, and every subject it may subscribe to."""

    name: str
    purpose: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def account(self) -> str:
        """Its account: who keeps the streams is with them, everybody else alone."""
        return account_of(self.name)

    def entry(self, public_key: str) -> Entry:
        """What nats-server is told of it."""
        return Entry(self.account, public_key, self.publish, self.subscribe, pushed=self.name in SNAPSHOT_READERS)


def account_of(user: str) -> str:
    """The account of a user in the table."""
    return STREAMS_ACCOUNT if user in KEEPERS else f"MP_{user.upper()}"


def nats_users(shards: Sequence[str] = ("0",), instances: Sequence[str] = (DEFAULT_INSTANCE,)) -> tuple[NatsUser, ...]:
    """The users of an installation: what it has by its shards, and by the instances of webhooks."""
    return (
        NatsUser(
            KERNEL,
            "decides: takes commands, appends to the log, answers, leads by its lease",
            _flat(_kernel_publishes, shards) + _snapshots_read() + _snapshots_written(),
            (_inbox(KERNEL), *_each(subjects.command_subject, shards), *_each(subjects.service_subjects, shards)),
        ),
        NatsUser(
            GATEWAY,
            "sends commands for its clients, hears their outcomes, reads the log and who may enter",
            _flat(lambda shard: (subjects.command_subject(shard), *_log_read(shard)), shards)
            + _snapshots_read()
            + _lease_read()[1:],
            (_inbox(GATEWAY), subjects.reply_subjects(GATEWAY)),
        ),
        NatsUser(PROJECTOR, "reads the log", _flat(_log_read, shards), (_inbox(PROJECTOR),)),
        NatsUser(
            WEBHOOKS,
            "sends the few commands it is for on the subject of its instance",
            tuple(subjects.service_subject(shard, WEBHOOKS, each) for shard in shards for each in instances),
            (_inbox(WEBHOOKS), subjects.reply_subjects(WEBHOOKS)),
        ),
        NatsUser(RELAY, "copies the log to the feed", _flat(_relayed, shards), (_inbox(RELAY),)),
        NatsUser(
            OPERATOR,
            "looks: doctor, top, log verify, replay, backup create",
            (f"{_API}.INFO", ABOUT_US, *_flat(_looked_at, shards), *_lease_read(), *_snapshots_read()),
            (_inbox(OPERATOR),),
        ),
        NatsUser(PROVISION, "makes the streams, and the feed anew", _provided(shards), (_inbox(PROVISION),)),
        NatsUser(
            RESTORE,
            "puts a log back into empty streams, while no kernel leads; its key is kept offline",
            _unique(
                [
                    f"{_API}.INFO",
                    *_provided(shards),
                    *_each(subjects.ingest_subject, shards),
                    *_each(subjects.log_subject, shards),
                    *_each(lambda shard: f"{_API}.STREAM.DELETE.{subjects.log_stream(shard)}", shards),
                    *_each(lambda shard: subjects.lease_subject(f"kernel-{shard}"), shards),
                    *_each(lambda shard: subjects.lease_subject(f"mending-{shard}"), shards),
                    *_flat(_looked_at, shards),
                    *_lease_read(),
                    *_snapshots_read(),
                    *_snapshots_written(),
                ]
            ),
            (_inbox(RESTORE),),
        ),
    )


def _inbox(user: str) -> str:
    return f"{inbox_prefix(user)}.>"


def _unique(subjects_of: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subjects_of))


def _each(make: Callable[[str], str], shards: Sequence[str]) -> tuple[str, ...]:
    return tuple(make(shard) for shard in shards)


def _flat(of_shard: Callable[[str], Iterable[str]], shards: Sequence[str]) -> tuple[str, ...]:
    return _unique(subject for shard in shards for subject in of_shard(shard))


def _read(stream: str) -> tuple[str, ...]:
    """To follow a stream by a consumer that nobody else uses and the server forgets, and to look things up in it."""
    return (
        f"{_API}.STREAM.INFO.{stream}",
        f"{_API}.STREAM.MSG.GET.{stream}",
        f"{_API}.CONSUMER.CREATE.{stream}",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.*",
    )


def _log_read(shard: str) -> tuple[str, ...]:
    """Without what the stream says of itself: among it is where the log takes commits."""
    return _read(subjects.log_stream(shard))[1:]


def _log_asked(shard: str) -> str:
    return f"{_API}.STREAM.INFO.{subjects.log_stream(shard)}"


def _lease_read() -> tuple[str, ...]:
    return (f"{_API}.STREAM.INFO.{LEASE_STREAM}", f"{_API}.STREAM.MSG.GET.{LEASE_STREAM}")


def _snapshots_read() -> tuple[str, ...]:
    """The requests of the client library to read from an object store. It looks the stream up by its subject first."""
    return (
        f"{_API}.STREAM.NAMES",
        *_read(SNAPSHOT_STREAM)[:3],
        f"{_API}.DIRECT.GET.{SNAPSHOT_STREAM}.$O.{SNAPSHOT_BUCKET}.M.*",
        f"{_API}.CONSUMER.CREATE.{SNAPSHOT_STREAM}.>",
        f"{_API}.CONSUMER.DELETE.{SNAPSHOT_STREAM}.*",
        f"$JS.FC.{SNAPSHOT_STREAM}.>",
    )


def _snapshots_written() -> tuple[str, ...]:
    """The purge is of the snapshot that a new one replaces. Snapshots are disposable: the log makes them anew."""
    return (f"$O.{SNAPSHOT_BUCKET}.>", f"{_API}.STREAM.PURGE.{SNAPSHOT_STREAM}")


def _kernel_publishes(shard: str) -> tuple[str, ...]:
    commands = subjects.command_stream(shard)
    return (
        subjects.ingest_subject(shard),
        subjects.log_subject(shard),
        subjects.lease_subject(f"kernel-{shard}"),
        subjects.every_reply(),
        _log_asked(shard),
        *_log_read(shard),
        f"{_API}.STREAM.INFO.{commands}",
        f"{_API}.STREAM.MSG.GET.{commands}",
        f"{_API}.STREAM.PURGE.{commands}",
        f"{_API}.CONSUMER.RESET.{commands}.{INTAKE_CONSUMER}",
        f"{_API}.CONSUMER.MSG.NEXT.{commands}.{INTAKE_CONSUMER}",
        *_lease_read(),
    )


def _relayed(shard: str) -> tuple[str, ...]:
    feed = subjects.feed_stream(shard)
    return (
        *_log_read(shard),
        subjects.feed_subjects(shard),
        *(f"{_API}.STREAM.{verb}.{feed}" for verb in ("INFO", "MSG.GET")),
    )


def _looked_at(shard: str) -> tuple[str, ...]:
    commands = subjects.command_stream(shard)
    return (
        _log_asked(shard),
        *_log_read(shard),
        f"{_API}.STREAM.INFO.{commands}",
        f"{_API}.CONSUMER.INFO.{commands}.{INTAKE_CONSUMER}",
        f"{_API}.STREAM.INFO.{subjects.feed_stream(shard)}",
        f"{_API}.STREAM.MSG.GET.{subjects.feed_stream(shard)}",
    )


def _provided(shards: Sequence[str]) -> tuple[str, ...]:
    made = [
        (subjects.command_stream(shard), subjects.log_stream(shard), subjects.feed_stream(shard)) for shard in shards
    ]
    streams = [*(name for names in made for name in names), LEASE_STREAM, SNAPSHOT_STREAM]
    intakes = [f"{subjects.command_stream(shard)}.{INTAKE_CONSUMER}" for shard in shards]
    kept = {subjects.log_stream(shard) for shard in shards}
    return (
        *(f"{_API}.STREAM.{verb}.{stream}" for stream in streams for verb in ("INFO", "CREATE", "UPDATE")),
        *(f"{_API}.STREAM.DELETE.{stream}" for stream in streams if stream not in kept),
        *(f"{_API}.STREAM.MSG.GET.{stream}" for stream in sorted(kept)),
        *(f"{_API}.CONSUMER.DURABLE.CREATE.{intake}" for intake in intakes),
        *(f"{_API}.CONSUMER.CREATE.{intake}" for intake in intakes),
        *(f"{_API}.CONSUMER.{what}" for read in (*sorted(kept), SNAPSHOT_STREAM) for what in _ended(read)),
    )


def _ended(stream: str) -> tuple[str, ...]:
    """To end those who read a stream."""
    return f"NAMES.{stream}", f"DELETE.{stream}.*"

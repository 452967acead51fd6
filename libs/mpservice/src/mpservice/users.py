"""Every user of NATS and Redis: the one table from which server configurations, documents and tests are made.

Every process of ours is a user with a key of its own: a service by its descriptor, the others by this page. Each user
gets answers under an inbox prefix of its own, so that nobody can subscribe to another's or forge them.
See `context/operations/credentials.md`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mpbus.accounts import ABOUT_US, STREAMS_ACCOUNT, Entry, inbox_prefix
from mpschema import subjects

from mpservice import rights
from mpservice.rights import OPERATOR, PROVISION, RESTORE, NatsRights
from mpservice.services import SERVICES

DEFAULT_INSTANCE = "main"
"""The instance of a service that has one."""


@dataclass(frozen=True)
class NatsUser:
    """One user of nats-server: every subject it may publish, and every subject it may subscribe to."""

    name: str
    rights: NatsRights
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def account(self) -> str:
        """The account: shared with the streams for their keepers, an own one for every other user."""
        return STREAMS_ACCOUNT if self.rights.keeps_streams else f"MP_{self.name.upper()}"

    def entry(self, public_key: str) -> Entry:
        """Return the user's entry in nats-server's configuration."""
        return Entry(self.account, public_key, self.publish, self.subscribe, pushed=self.rights.pushed_snapshots)


def _restoring(shard: str) -> tuple[str, ...]:
    log = subjects.log_stream(shard)
    return (
        f"{rights.API}.INFO",
        *rights.streams_made(shard),
        *rights.log_appended(shard),
        f"{rights.API}.STREAM.DELETE.{log}",
        rights.mark_written(shard),
        *rights.looked_at(shard),
        *rights.lease_read(),
        *rights.snapshots_read(),
        *rights.snapshots_written(),
    )


_OTHERS: Mapping[str, NatsRights] = {
    OPERATOR: NatsRights(
        "looks: doctor, top, log verify, replay, backup create",
        publish=lambda shard: (
            f"{rights.API}.INFO",
            ABOUT_US,
            *rights.looked_at(shard),
            *rights.lease_read(),
            *rights.snapshots_read(),
        ),
        pushed_snapshots=True,
    ),
    PROVISION: NatsRights("makes the streams, and the feed anew", publish=rights.streams_made, keeps_streams=True),
    RESTORE: NatsRights(
        "puts a log back into empty streams, while no kernel leads; its key is kept offline",
        publish=_restoring,
        keeps_streams=True,
    ),
}
"""The users that are no services."""


def nats_users(
    shards: Sequence[str] = ("0",),
    instances: Sequence[str] = (DEFAULT_INSTANCE,),
) -> tuple[NatsUser, ...]:
    """The users of an installation: what it has by its shards, and by the instances of services that command."""
    known = {**{service.name: service.nats for service in SERVICES}, **_OTHERS}
    return tuple(_user(name, found, shards, instances) for name, found in known.items())


def account_of(user: str) -> str:
    """The account of a user in the table."""
    return next(each.account for each in nats_users() if each.name == user)


def redis_rules() -> dict[str, str]:
    """The rules of each user of Redis, in the words of its access lists. Nobody else is let in."""
    return {each.name: each.redis for each in SERVICES if each.redis} | {OPERATOR: f"%R~mp:* {rights.REDIS_READS}"}


def _user(name: str, found: NatsRights, shards: Sequence[str], instances: Sequence[str]) -> NatsUser:
    publish, subscribe = _flat(found.publish, shards), (f"{inbox_prefix(name)}.>", *_flat(found.subscribe, shards))
    if found.commands_as_service:
        publish += tuple(subjects.service_subject(shard, name, each) for shard in shards for each in instances)
        subscribe += (subjects.reply_subjects(name),)
    return NatsUser(name, found, publish, subscribe)


def _flat(of_shard: Callable[[str], Iterable[str]], shards: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subject for shard in shards for subject in of_shard(shard)))

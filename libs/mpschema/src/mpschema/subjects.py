"""The subject grammar: written and parsed only here."""

import functools
import re

PREFIX = "mp.v1"
_SHARD = re.compile(r"^[A-Za-z0-9_-]{1,64}\Z")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}\Z")
"""A service, an instance of one, a user of NATS: one token of a subject, and part of a principal's id."""
_REPLY = re.compile(rf"^{re.escape(PREFIX)}\.reply(\.[A-Za-z0-9_-]{{1,64}}){{1,3}}\Z")
SYSTEM_PREFIX = "system:"
"""A principal of this form is a service of the system itself. It has no role and no key: nobody can be it."""
UNNAMED_SENDER = "system:unnamed"
"""The sender of messages on a service's subject that names none. No table knows it."""


def _checked(shard: str) -> str:
    if not _SHARD.match(shard):
        raise ValueError(f"shard {shard!r} is not 1 to 64 letters, digits, _ or -")
    return shard


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not 1 to 50 letters, digits, _ or -")
    return name


def command_stream(shard: str) -> str:
    """Name of the stream in which commands wait."""
    return f"MP_CMD_{_checked(shard)}"


def log_stream(shard: str) -> str:
    """Name of the stream that holds the log."""
    return f"MP_LOG_{_checked(shard)}"


def command_subject(shard: str) -> str:
    """Subject of packed commands."""
    return f"{PREFIX}.cmd.{_checked(shard)}"


def service_subject(shard: str, service: str, instance: str) -> str:
    """Subject of packed commands of one service's instance, which nobody else may publish."""
    return f"{PREFIX}.svc.{_checked(shard)}.{_name(service)}.{_name(instance)}"


def service_subjects(shard: str, service: str = "*") -> str:
    """Subject filter of what all services command, or all instances of one."""
    return f"{PREFIX}.svc.{_checked(shard)}.{service}.*"


@functools.lru_cache(1_024)
def sender(subject: str) -> str:
    """The principal whose subject it is: `system:{service}:{instance}`; empty where a gateway sends."""
    prefix, _, rest = subject.partition(".svc.")
    if prefix != PREFIX or not rest:
        return ""
    shard, *names = rest.split(".")
    if len(names) != 2 or not all(_NAME.match(name) for name in names) or not _SHARD.match(shard):
        return UNNAMED_SENDER
    return SYSTEM_PREFIX + ":".join(names)


def log_subject(shard: str) -> str:
    """Subject of commits."""
    return f"{PREFIX}.log.{_checked(shard)}"


def ingest_subject(shard: str, place: str = "*") -> str:
    """Subject on which a guarded log takes commits; it stores them under `log_subject`. Who knows it can write."""
    return f"{PREFIX}.ingest.{_checked(shard)}.{place}"


def lease_subject(name: str) -> str:
    """Subject whose last message is the lease of that name."""
    return f"{PREFIX}.lease.{_checked(name)}"


def reply_subject(user: str, producer_id: str) -> str:
    """Return the core subject of a producer's outcomes. Only the user of the connection may subscribe to it."""
    return f"{PREFIX}.reply.{_name(user)}.{producer_id}"


def reply_subjects(user: str) -> str:
    """Subject filter of every answer to one user's producers."""
    return f"{PREFIX}.reply.{_name(user)}.>"


def every_reply() -> str:
    """Subject filter of all answers. Whoever decides publishes them, nobody else."""
    return f"{PREFIX}.reply.>"


@functools.lru_cache(1_024)
def answerable(reply_to: str, sender: str) -> bool:
    """Tell whether answers may go there. The message names the subject, so it could be the log's or another's inbox."""
    if not _REPLY.match(reply_to):
        return False
    return not sender or reply_to.startswith(f"{PREFIX}.reply.{sender.split(':')[1]}.")


def feed_stream(shard: str) -> str:
    """Name of the stream that repeats the log with one message per event."""
    return f"MP_EVT_{_checked(shard)}"


def feed_subjects(shard: str, workspace_id: str = "") -> str:
    """Subject filter of a shard's feed, or of one workspace in it."""
    return f"{PREFIX}.evt.{_checked(shard)}.{workspace_id + '.' if workspace_id else ''}>"


def feed_subject(shard: str, workspace_id: str, aggregate: str, aggregate_id: str) -> str:
    """Subject of one event on the feed stream."""
    return f"{PREFIX}.evt.{_checked(shard)}.{workspace_id}.{aggregate}.{aggregate_id}"

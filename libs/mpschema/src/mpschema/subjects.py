"""The subject grammar: written and parsed only here."""

import re

PREFIX = "mp.v1"
_SHARD = re.compile(r"^[A-Za-z0-9_-]{1,64}\Z")


def _checked(shard: str) -> str:
    if not _SHARD.match(shard):
        raise ValueError(f"shard {shard!r} is not 1 to 64 letters, digits, _ or -")
    return shard


def command_stream(shard: str) -> str:
    """Name of the stream in which commands wait."""
    return f"MP_CMD_{_checked(shard)}"


def log_stream(shard: str) -> str:
    """Name of the stream that holds the log."""
    return f"MP_LOG_{_checked(shard)}"


def command_subject(shard: str) -> str:
    """Subject of packed commands."""
    return f"{PREFIX}.cmd.{_checked(shard)}"


def log_subject(shard: str) -> str:
    """Subject of commits."""
    return f"{PREFIX}.log.{_checked(shard)}"


def lease_subject(name: str) -> str:
    """Subject whose last message is the lease of that name."""
    return f"{PREFIX}.lease.{_checked(name)}"


def reply_subject(producer_id: str) -> str:
    """Core subject on which a producer hears outcomes."""
    return f"{PREFIX}.reply.{producer_id}"


def feed_stream(shard: str) -> str:
    """Name of the stream that repeats the log with one message per event."""
    return f"MP_EVT_{_checked(shard)}"


def feed_subjects(shard: str, workspace_id: str = "") -> str:
    """Subject filter of a shard's feed, or of one workspace in it."""
    return f"{PREFIX}.evt.{_checked(shard)}.{workspace_id + '.' if workspace_id else ''}>"


def feed_subject(shard: str, workspace_id: str, aggregate: str, aggregate_id: str) -> str:
    """Subject of one event on the feed stream."""
    return f"{PREFIX}.evt.{_checked(shard)}.{workspace_id}.{aggregate}.{aggregate_id}"

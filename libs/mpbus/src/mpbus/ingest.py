"""The subject on which the log takes commits: nobody can guess it. Users that may query the log stream learn it.

JetStream sends its answers, and what a consumer delivers, to whatever subject a request names, and asks no permission
for that. So the subject under which commits are stored is not the one on which the stream listens.
See `context/decisions/0016-the-log-listens-where-nobody-can-guess.md`.
"""

import secrets

from mpschema import subjects
from nats.js import JetStreamContext, api

SECRET_BYTES = 16


def new_ingest(shard: str) -> str:
    """A fresh subject."""
    return subjects.ingest_subject(shard, secrets.token_hex(SECRET_BYTES))


def ingest_of(config: api.StreamConfig, shard: str) -> str:
    """The subject on which a log stream takes commits; empty where it listens on the plain one alone."""
    prefix = subjects.ingest_subject(shard, "")
    return next((each for each in config.subjects or [] if each.startswith(prefix)), "")


async def log_ingest(js: JetStreamContext, shard: str) -> str:
    """Ask for the subject on which to publish commits now. Raises what `stream_info` raises."""
    info = await js.stream_info(subjects.log_stream(shard))
    return ingest_of(info.config, shard) or subjects.log_subject(shard)

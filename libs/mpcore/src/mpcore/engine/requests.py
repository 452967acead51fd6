"""Requests by name: the hash under which an outcome is found, and the id under which a command is recorded."""

import functools
import hashlib
from hashlib import blake2b

from mpschema.envelope import CommandEnvelope
from mpschema.ids import uuid8

KEY_BYTES = 16
AHEAD_MS = 3_600_000
"""The time by which the clock of whoever makes ids may be ahead of recorded time."""
_DATE_LENGTH = 13


def hashed(workspace_id: str, name: str) -> int:
    """The hash of a command's id, or of an idempotency key before it is made a principal's own."""
    return int.from_bytes(blake2b(f"{workspace_id} {name}".encode(), digest_size=KEY_BYTES).digest(), "big")


@functools.lru_cache(65_536)
def veil(principal: str) -> int:
    """The number that makes the hash of a key a principal's own."""
    return int.from_bytes(hashlib.sha256(principal.encode()).digest()[8 : 8 + KEY_BYTES], "big")


@functools.lru_cache(16)
def date(time_ms: int) -> str:
    """The beginning of a UUIDv7 that is made at a time: such beginnings have the order of their times."""
    digits = f"{time_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def made_by(command_id: str, time_ms: int) -> bool:
    """Tell whether a dated id was made by then, as far as clocks agree."""
    return command_id[:_DATE_LENGTH] <= date(time_ms + AHEAD_MS)


def made_id(envelope: CommandEnvelope, key: str, seq: int) -> str:
    """The id under which a command with a key is recorded. It rests on its place in the log, so there is no other."""
    given = f"{envelope.workspace_id}\n{envelope.principal}\n{key}\n{seq}"
    return uuid8(hashlib.sha256(given.encode()).digest())

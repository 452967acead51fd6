"""Identifiers: made of what is given (time, randomness, a cause), never of what is looked up here."""

import re

from mpschema.base import ID_PATTERN

_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """Whether `text` may name an aggregate, a principal or a workspace."""
    return _ID.match(text) is not None


def uuid7(time_ms: int, random: bytes) -> str:
    """A UUIDv7 (RFC 9562, 5.7) of a time in milliseconds and ten random bytes, in its usual hyphenated form."""
    bits = int.from_bytes(random[:10], "big")
    head, low = 0x7000 | bits >> 68 & 0xFFF, bits & 0xFFFF_FFFF_FFFF
    time = f"{time_ms & 0xFFFF_FFFF_FFFF:012x}"
    return f"{time[:8]}-{time[8:]}-{head:04x}-{0x8000 | bits >> 54 & 0x3FFF:04x}-{low:012x}"


def derived_id(aggregate: str, command_id: str) -> str:
    """The id of an aggregate that a command creates without naming it: a pure function of the command's id."""
    return f"{aggregate}_{command_id.replace('-', '')}"[:128]

"""Identifiers: made of what is given (time, randomness, a cause), never of what is looked up here."""

import re

from mpschema.base import ID_PATTERN

_ID = re.compile(ID_PATTERN)
DATED, RESERVED = "7", "8"
"""Versions of UUIDs: the first says when it was made, the other is that of ids that the kernel makes."""
_UUID_LENGTH, _VERSION_AT = 36, 14
_VARIANT = {f"{bits:x}": f"{0b1000 | bits & 0b11:x}" for bits in range(16)}
"""The map from four bits in hex to the same with the variant of RFC 9562 in the first two."""


def is_id(text: str) -> bool:
    """Tell whether `text` may name an aggregate, a principal or a workspace."""
    return _ID.match(text) is not None


def uuid7(time_ms: int, random: bytes) -> str:
    """A UUIDv7 (RFC 9562, 5.7) of a time in milliseconds and ten random bytes, in its usual hyphenated form."""
    time, digits = f"{time_ms & 0xFFFF_FFFF_FFFF:012x}", random.hex()
    return f"{time[:8]}-{time[8:]}-7{digits[:3]}-{_VARIANT[digits[3]]}{digits[4:7]}-{digits[8:20]}"


def uuid_version(text: str) -> str:
    """Return the version of a UUID in its usual form, as a hex digit; empty for what is not as long as one."""
    return text[_VERSION_AT] if len(text) == _UUID_LENGTH else ""


def uuid8(digest: bytes) -> str:
    """A UUIDv8 (RFC 9562, 5.8) of the first 16 bytes of a digest."""
    digits = digest[:16].hex()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def derived_id(aggregate: str, command_id: str) -> str:
    """The id of an aggregate that a command creates without naming it: a pure function of the command's id."""
    return f"{aggregate}_{command_id.replace('-', '')}"[:128]

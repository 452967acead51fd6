"""The two kinds of message, and the field types they are made of.

A `Command` is an order: what someone wants to happen. An `Event` is a fact: what happened. Both are frozen and decode
strictly: an unknown field or a wrong type is an error. Times are integers, milliseconds since the Unix epoch, named
`*_ms`; durations are named `*_seconds`. No floats travel: they have no canonical form.
"""

from typing import Annotated, ClassVar

import msgspec

from mpschema.levels import FIRST_LEVEL

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_:@-]{0,127}\Z"
INT_MAX = 2**53 - 1
TIME_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999 (RFC 3339 cannot write a later one)."""

Id = Annotated[str, msgspec.Meta(pattern=ID_PATTERN, description="1 to 128 of letters, digits, _ : @ -")]
"""Names one aggregate inside its workspace. Safe as a subject token and as a path segment."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=32_768)]
Reason = Annotated[str, msgspec.Meta(max_length=2_000)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Labels = Annotated[tuple[Label, ...], msgspec.Meta(max_length=32)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256, lower-case hex")]
Fence = Annotated[int, msgspec.Meta(ge=1, le=INT_MAX, description="fencing token of the claim the caller holds")]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)]
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=TIME_MS_MAX, description="milliseconds since the Unix epoch")]
TtlSeconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class Command(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every command's arguments: strictness, and nothing else."""


class Event(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every event's data: strictness, and the feature level that introduced it."""

    since_level: ClassVar[int] = FIRST_LEVEL
    """Builds of lower levels cannot read it."""

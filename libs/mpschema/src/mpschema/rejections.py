"""Every reason to say no. A refusal is a value: part of the contract, recorded like any outcome."""

import enum
from typing import final

import msgspec

from mpschema.levels import CHILDREN_LEVEL, TRIED_LEVEL


class Code(enum.StrEnum):
    """The stable code of a refusal, as it appears in problems, events, metrics and exit codes."""

    SCHEMA_INVALID = "schema_invalid"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_VERSION = "unknown_version"
    TOO_LARGE = "too_large"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    NAME_TAKEN = "name_taken"
    INVALID_STATE = "invalid_state"
    STALE_VERSION = "stale_version"
    STALE_FENCE = "stale_fence"
    STALE_EPOCH = "stale_epoch"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    FROZEN = "frozen"
    BLOCKED = "blocked"
    CYCLE = "cycle"
    WIP_LIMIT_REACHED = "wip_limit_reached"
    DEPTH_EXCEEDED = "depth_exceeded"
    FANOUT_EXCEEDED = "fanout_exceeded"
    AUTHORITY_EXCEEDED = "authority_exceeded"
    SESSION_ENDED = "session_ended"
    NOT_A_MEMBER = "not_a_member"
    LAST_OWNER = "last_owner"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    UNDECIDABLE = "undecidable"
    ARCHIVED = "archived"


SINCE_LEVEL: dict[Code, tuple[int, Code]] = {
    Code.UNDECIDABLE: (TRIED_LEVEL, Code.INVALID_STATE),
    Code.ARCHIVED: (CHILDREN_LEVEL, Code.INVALID_STATE),
}
"""The feature level that each code came with, where it is not the first, and the code that stands in for it below."""


@final
class Rejection(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The reason of a refusal: a stable code and one sentence for a person."""

    code: Code
    detail: str

    def as_of(self, level: int) -> "Rejection":
        """The same, as builds of a feature level can read it: below its code's level another code stands in for it."""
        since = SINCE_LEVEL.get(self.code)
        if since is None or since[0] <= level:
            return self
        return Rejection(since[1], f"{self.code}: {self.detail}")

"""Exit codes that mean something, and every way to fail with its code."""

from __future__ import annotations

import enum

from mpschema.problems import EdgeCode
from mpschema.rejections import Code


class Exit(enum.IntEnum):
    """The end of a run of `mpctl`."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    REJECTED = 3
    DENIED = 4
    NOT_FOUND = 5
    OVERLOADED = 6
    UNREACHABLE = 7
    DISPROVED = 8


MEANING = {
    Exit.OK: "done",
    Exit.INTERNAL: "something broke that is not your fault",
    Exit.USAGE: "the request is wrong: usage, configuration, or it does not fit the schema",
    Exit.REJECTED: "rejected: a conflict with the state of things, recorded as such",
    Exit.DENIED: "denied, or not authenticated",
    Exit.NOT_FOUND: "not found",
    Exit.OVERLOADED: "overloaded or unavailable: try again",
    Exit.UNREACHABLE: "no server could be reached",
    Exit.DISPROVED: "a proof failed: the log, a copy of it or its state is not what it should be",
}
"""The meaning of each code, in the words of the help."""

_EXITS: dict[str, Exit] = {
    Code.SCHEMA_INVALID: Exit.USAGE,
    Code.UNKNOWN_TYPE: Exit.USAGE,
    Code.UNKNOWN_VERSION: Exit.USAGE,
    Code.TOO_LARGE: Exit.USAGE,
    Code.DENIED: Exit.DENIED,
    Code.NOT_FOUND: Exit.NOT_FOUND,
    Code.ALREADY_EXISTS: Exit.REJECTED,
    Code.NAME_TAKEN: Exit.REJECTED,
    Code.INVALID_STATE: Exit.REJECTED,
    Code.STALE_VERSION: Exit.REJECTED,
    Code.STALE_FENCE: Exit.REJECTED,
    Code.STALE_EPOCH: Exit.REJECTED,
    Code.IDEMPOTENCY_CONFLICT: Exit.REJECTED,
    Code.FROZEN: Exit.REJECTED,
    Code.BLOCKED: Exit.REJECTED,
    Code.CYCLE: Exit.REJECTED,
    Code.WIP_LIMIT_REACHED: Exit.REJECTED,
    Code.DEPTH_EXCEEDED: Exit.REJECTED,
    Code.FANOUT_EXCEEDED: Exit.REJECTED,
    Code.AUTHORITY_EXCEEDED: Exit.DENIED,
    Code.SESSION_ENDED: Exit.REJECTED,
    Code.NOT_A_MEMBER: Exit.DENIED,
    Code.LAST_OWNER: Exit.REJECTED,
    Code.OVERLOADED: Exit.OVERLOADED,
    Code.UNAVAILABLE: Exit.OVERLOADED,
    Code.ARCHIVED: Exit.REJECTED,
    Code.UNDECIDABLE: Exit.INTERNAL,
    EdgeCode.MALFORMED: Exit.USAGE,
    EdgeCode.UNAUTHENTICATED: Exit.DENIED,
    EdgeCode.METHOD_NOT_ALLOWED: Exit.USAGE,
    EdgeCode.NOT_ACCEPTABLE: Exit.USAGE,
    EdgeCode.UNSUPPORTED_MEDIA_TYPE: Exit.USAGE,
    EdgeCode.REQUEST_TIMEOUT: Exit.OVERLOADED,
    EdgeCode.OUTCOME_UNKNOWN: Exit.OVERLOADED,
    EdgeCode.INTERNAL: Exit.INTERNAL,
}


def exit_of(code: str) -> Exit:
    """The exit code of a refusal's code; a code this build does not know is a rejection."""
    return _EXITS.get(code, Exit.REJECTED)

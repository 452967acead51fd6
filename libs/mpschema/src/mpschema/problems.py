"""Refusals over HTTP (RFC 9457): every code with its one status and title, and the body that carries it.

Shared by the writer of problems (the gateway), their documents (OpenAPI) and their reader (the SDK).
"""

import enum
from http import HTTPStatus

import msgspec

from mpschema.rejections import Code

MEDIA_TYPE = "application/problem+json"
TYPE_URN = "urn:moduprompt:problem:"
"""The prefix of every problem's `type`; the code follows."""


class EdgeCode(enum.StrEnum):
    """Refusals of the request pipeline, before or after a command: no command's recorded outcome carries them."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    REQUEST_TIMEOUT = "request_timeout"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERNAL = "internal"


STATUS: dict[str, HTTPStatus] = {
    Code.SCHEMA_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.UNKNOWN_TYPE: HTTPStatus.NOT_FOUND,
    Code.UNKNOWN_VERSION: HTTPStatus.BAD_REQUEST,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.DENIED: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Code.NAME_TAKEN: HTTPStatus.CONFLICT,
    Code.INVALID_STATE: HTTPStatus.CONFLICT,
    Code.STALE_VERSION: HTTPStatus.PRECONDITION_FAILED,
    Code.STALE_FENCE: HTTPStatus.CONFLICT,
    Code.STALE_EPOCH: HTTPStatus.CONFLICT,
    Code.IDEMPOTENCY_CONFLICT: HTTPStatus.CONFLICT,
    Code.FROZEN: HTTPStatus.CONFLICT,
    Code.BLOCKED: HTTPStatus.CONFLICT,
    Code.CYCLE: HTTPStatus.CONFLICT,
    Code.WIP_LIMIT_REACHED: HTTPStatus.CONFLICT,
    Code.DEPTH_EXCEEDED: HTTPStatus.FORBIDDEN,
    Code.FANOUT_EXCEEDED: HTTPStatus.FORBIDDEN,
    Code.AUTHORITY_EXCEEDED: HTTPStatus.FORBIDDEN,
    Code.SESSION_ENDED: HTTPStatus.CONFLICT,
    Code.NOT_A_MEMBER: HTTPStatus.FORBIDDEN,
    Code.LAST_OWNER: HTTPStatus.CONFLICT,
    Code.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.ARCHIVED: HTTPStatus.CONFLICT,
    Code.UNDECIDABLE: HTTPStatus.INTERNAL_SERVER_ERROR,
    EdgeCode.MALFORMED: HTTPStatus.BAD_REQUEST,
    EdgeCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    EdgeCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    EdgeCode.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    EdgeCode.REQUEST_TIMEOUT: HTTPStatus.REQUEST_TIMEOUT,
    EdgeCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    EdgeCode.OUTCOME_UNKNOWN: HTTPStatus.GATEWAY_TIMEOUT,
    EdgeCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Every code's HTTP status."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is not a success."""

    type: str
    """`urn:moduprompt:problem:<code>`"""
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    """The path of the request."""
    command_id: str = ""
    epoch: int | None = None
    seq: int | None = None
    """With `epoch`: the place of the refusal in the log, if it was recorded."""
    trace_id: str = ""


def title(code: str) -> str:
    """Return a code in words: `wip_limit_reached` is "Wip limit reached"."""
    return code.replace("_", " ").capitalize()

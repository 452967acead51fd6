"""The problem responses: one component per status, which names the codes that come with it."""

from collections.abc import Iterable
from http import HTTPStatus

from mpschema.openapi.parts import Json, headers, plain, ref
from mpschema.problems import MEDIA_TYPE, STATUS, TYPE_URN, EdgeCode, Problem, title
from mpschema.rejections import Code


def _codes(status: HTTPStatus) -> list[str]:
    return [str(code) for code, its_status in STATUS.items() if its_status is status]


def _name(status: HTTPStatus) -> str:
    # Not the phrase: Python releases word it differently.
    return f"Problem{int(status)}"


def _problem(status: HTTPStatus) -> Json:
    codes = _codes(status)
    example = Problem(
        type=TYPE_URN + codes[0],
        title=title(codes[0]),
        status=status,
        detail="The reason, in one sentence.",
        code=codes[0],
    )
    names = {HTTPStatus.UNAUTHORIZED: "WWW-Authenticate"} | dict.fromkeys(
        (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE), "Retry-After"
    )
    body: Json = {
        "description": "Refused: " + ", ".join(f"`{code}`" for code in codes) + ".",
        # One type for all: generators make an error type of it. Which codes come with the status stands beside it.
        "content": {MEDIA_TYPE: {"schema": ref("schemas", "Problem"), "example": plain(example)}},
        "x-codes": codes,
    }
    return body | ({"headers": headers(names[status])} if status in names else {})


RESPONSES: Json = {_name(status): _problem(status) for status in sorted(set(STATUS.values()))}

COMMON_CODES: tuple[str, ...] = (
    EdgeCode.MALFORMED,
    EdgeCode.UNAUTHENTICATED,
    Code.DENIED,
    Code.NOT_FOUND,
    Code.SCHEMA_INVALID,
    Code.OVERLOADED,
    EdgeCode.INTERNAL,
    Code.UNAVAILABLE,
)
"""The codes with which any request may be refused."""


def problems(codes: Iterable[str] = ()) -> Json:
    """The problem responses of an operation: the common ones, and those of these codes."""
    statuses = {STATUS[code] for code in (*COMMON_CODES, *codes)}
    return {str(int(status)): ref("responses", _name(status)) for status in sorted(statuses)}

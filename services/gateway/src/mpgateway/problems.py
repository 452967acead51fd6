"""From whatever went wrong to an RFC 9457 problem: the only place where HTTP and the domain meet.

Text of exceptions of unknown origin never leaves the house: it goes to the log, and the caller gets `internal`.
"""

import msgspec
import structlog
from litestar.exceptions import HTTPException
from mpbus.errors import BusError, IntakeFull, LogUnavailable, OutcomeTimeout, PermissionsViolation
from mpschema.envelope import Outcome
from mpschema.problems import STATUS, TYPE_URN, EdgeCode, Problem, title
from mpschema.rejections import Code, Rejection
from nats.errors import Error as NatsError

from mpgateway.auth.oidc import KeysUnavailable
from mpgateway.database import ReadModelsUnavailable
from mpgateway.gathering import TooMuchAtOnce
from mpgateway.http import BadRequest, BodyTooLarge, Headers, Response, TooSlow, retry_after

MEDIA_TYPE_HEADER = (b"content-type", b"application/problem+json")
UNAVAILABLE_RETRY_SECONDS = 1
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger(__name__)

_LITESTAR_DETAILS = {404: "there is nothing at this path"}
_LITESTAR: dict[int, Code | EdgeCode] = {
    400: EdgeCode.MALFORMED,
    404: Code.NOT_FOUND,
    405: EdgeCode.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
    415: EdgeCode.UNSUPPORTED_MEDIA_TYPE,
}


class RequestRefused(Exception):
    """A request that goes no further, with what its sender is told."""

    def __init__(self, code: Code | EdgeCode, detail: str, *, headers: Headers = (), command_id: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.headers = headers
        self.command_id = command_id


def problem(code: Code | EdgeCode, detail: str, **fields: object) -> Problem:
    """The problem of a code."""
    values: dict[str, object] = {"type": TYPE_URN + code, "title": title(code), "status": int(STATUS[code])}
    return msgspec.convert({**values, "detail": detail, "code": str(code), **fields}, Problem)


def of_outcome(outcome: Outcome, instance: str = "", trace_id: str = "") -> Problem:
    """The problem of a recorded refusal, with where it stands in the log."""
    assert outcome.code is not None, "a refusal has a code"
    place = {"command_id": outcome.command_id, "epoch": outcome.epoch, "seq": outcome.last_seq}
    return problem(outcome.code, outcome.detail, **place, instance=instance, trace_id=trace_id)


def of_rejection(rejection: Rejection) -> RequestRefused:
    """A refusal made before anything was sent."""
    return RequestRefused(rejection.code, rejection.detail)


def refusal_of(error: Exception) -> RequestRefused:
    """Return the refusal that answers an exception. An unforeseen one is logged, and answered as `internal`."""
    match error:
        case RequestRefused():
            return error
        case HTTPException():
            return _of_litestar(error)
        case BadRequest():
            return RequestRefused(EdgeCode.MALFORMED, str(error))
        case BodyTooLarge():
            return RequestRefused(Code.TOO_LARGE, str(error))
        case TooSlow():
            return RequestRefused(EdgeCode.REQUEST_TIMEOUT, str(error))
        case TooMuchAtOnce():
            return RequestRefused(Code.OVERLOADED, str(error), headers=retry_after(1))
    return _of_the_world(error) or _bug(error)


def _of_the_world(error: Exception) -> RequestRefused | None:
    match error:
        case IntakeFull():
            return RequestRefused(Code.OVERLOADED, str(error), headers=retry_after(error.retry_after_seconds))
        case OutcomeTimeout():
            detail = "the command is recorded or will be; repeat it with the same Idempotency-Key to learn its outcome"
            return RequestRefused(EdgeCode.OUTCOME_UNKNOWN, detail, command_id=error.command_id)
        case PermissionsViolation():
            return _unavailable("NATS refuses this gateway the command stream: whoever operates it has to look")
        case LogUnavailable():
            return _unavailable("the log does not answer")
        case BusError():
            return _unavailable("the command stream does not answer; repeating with the same Idempotency-Key is safe")
        case NatsError():
            return _unavailable("the log does not answer")
        case KeysUnavailable():
            return _unavailable("the keys of the identity provider could not be fetched")
        case ReadModelsUnavailable():
            return _unavailable("the read models do not answer")
    return None


def _bug(error: Exception) -> RequestRefused:
    log.error("gateway.bug", exc_info=error)
    return RequestRefused(EdgeCode.INTERNAL, "something went wrong here; it has been logged")


def answer_of(refused: RequestRefused, instance: str, trace_id: str = "") -> Response:
    """The HTTP answer that carries a refusal."""
    fields = {"instance": instance, "trace_id": trace_id, "command_id": refused.command_id}
    body = problem(refused.code, refused.detail, **{name: value for name, value in fields.items() if value})
    return problem_answer(body, refused.headers)


def problem_answer(body: Problem, headers: Headers = ()) -> Response:
    """The HTTP answer of a problem that is made already."""
    return Response(body.status, _encode(body), (MEDIA_TYPE_HEADER, *headers))


def _unavailable(detail: str) -> RequestRefused:
    return RequestRefused(Code.UNAVAILABLE, detail, headers=retry_after(UNAVAILABLE_RETRY_SECONDS))


def _of_litestar(error: HTTPException) -> RequestRefused:
    code = _LITESTAR.get(error.status_code)
    if code is None:
        return _bug(error)
    detail = _LITESTAR_DETAILS.get(error.status_code, "the request is not one that HTTP allows here")
    allowed = (error.headers or {}).get("allow", "")
    return RequestRefused(code, detail, headers=((b"allow", allowed.encode()),) if allowed else ())

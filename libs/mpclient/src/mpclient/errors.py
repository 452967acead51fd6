"""Everything the SDK raises.

ClientError
 ├─ Unreachable             no answer came, after all attempts
 ├─ UnexpectedAnswer        an answer that is not of this API
 ├─ ResyncRequired          the event stream cannot go on from this position: .reason, .head
 └─ ProblemError            the server said no: .code, .status, .detail, .problem
     ├─ Rejected            for what was asked: asking again changes nothing until something else does
     │   ├─ Denied          403: not allowed to
     │   └─ NotFound        404: there is no such thing, or none that you may see
     ├─ Unauthenticated     401: the key or token is missing, wrong or expired
     ├─ Overloaded          429: .retry_after_seconds
     ├─ Unavailable         503: .retry_after_seconds
     ├─ OutcomeUnknown      504: the command may or may not be decided; repeat it with the same key
     └─ ServerFault         500: a bug of the server; .problem.trace_id finds it in its log
"""

from http import HTTPStatus

from mpschema.problems import Problem


class ClientError(Exception):
    """The root of the SDK's errors: a call has no answer."""


class Unreachable(ClientError):
    """No answer came: the address does not resolve, nobody listens, or the connection broke. The cause is chained."""


class UnexpectedAnswer(ClientError):
    """The answer is not one of this API: perhaps the URL leads to something else."""


class ResyncRequired(ClientError):
    """The position does not belong to the server's log any more: read state anew, then follow from `head`."""

    def __init__(self, reason: str, head: str) -> None:
        super().__init__(f"the event stream cannot go on from here ({reason}); read state anew and follow after {head}")
        self.reason = reason
        self.head = head


class ProblemError(ClientError):
    """The server answered with a problem (RFC 9457)."""

    def __init__(self, problem: Problem, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds
        """The wait that the server asks for; None where it asks for none."""

    @property
    def code(self) -> str:
        """The stable code, such as `stale_fence`."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def detail(self) -> str:
        """The reason, in one sentence."""
        return self.problem.detail


class Rejected(ProblemError):
    """The answer to what was asked is no."""


class Denied(Rejected):
    """A refusal by policy."""


class NotFound(Rejected):
    """A target that does not exist, or that the caller may not see."""


class Unauthenticated(ProblemError):
    """The server does not know who asks."""


class Overloaded(ProblemError):
    """A refusal of too many requests at once."""


class Unavailable(ProblemError):
    """The server cannot answer now."""


class OutcomeUnknown(ProblemError):
    """The command is on its way, but its outcome did not come in time."""


class ServerFault(ProblemError):
    """A fault in the server."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Denied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.TOO_MANY_REQUESTS: Overloaded,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: OutcomeUnknown,
}


def error_of(problem: Problem, retry_after_seconds: float | None = None) -> ProblemError:
    """The exception for a problem."""
    otherwise = ServerFault if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else Rejected
    return _BY_STATUS.get(problem.status, otherwise)(problem, retry_after_seconds)

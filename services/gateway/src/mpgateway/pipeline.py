"""The way of every request: read headers, identify, take a permit, answer, count. Whatever goes wrong is a problem.

Litestar calls this as a plain ASGI handler: per command there is no dependency injection, no response class and no
hook, which together would cost more than the rest of the way.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mpschema.problems import EdgeCode
from mpschema.rejections import Code

from mpgateway.auth.authenticator import Authenticator
from mpgateway.auth.door import Door
from mpgateway.gathering import Gathering
from mpgateway.http import Disconnected, HttpRequest, Receive, Response, Scope, Send, retry_after, send_answer, trace_id
from mpgateway.limits import RateLimiter
from mpgateway.metrics import RATE_LIMITED, OperationMetrics
from mpgateway.problems import RequestRefused, answer_of, refusal_of
from mpgateway.tracing import Tracing


class Streamed(Protocol):
    """An answer that is written bit by bit."""

    async def run(self, receive: Receive, send: Send) -> None:
        """Write the whole answer, until it ends or its reader leaves."""


Handler = Callable[[HttpRequest], Awaitable[Response | Streamed]]


@dataclass(frozen=True)
class Operation:
    """The work for one method of one path.

    `public`: nobody has to say who they are. `operators`: it is for those who operate the installation alone.
    `refuse` may answer a refusal in its own way.
    """

    name: str
    handler: Handler
    public: bool = False
    operators: bool = False
    refuse: Callable[[HttpRequest, RequestRefused], Awaitable[Response | None]] | None = None


class Pipeline:
    """The request pipeline that all operations of this process share."""

    def __init__(
        self,
        authenticator: Authenticator,
        door: Door,
        limiter: RateLimiter,
        gathering: Gathering,
        tracing: Tracing | None,
    ) -> None:
        self.authenticator = authenticator
        self._gathering = gathering
        self._door = door
        self._limiter = limiter
        self._tracing = tracing

    def route(self, operations: Mapping[str, Operation]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """The ASGI handler of one path, for its operations by method."""
        bound = {method: (operation, OperationMetrics(operation.name)) for method, operation in operations.items()}
        if "GET" in bound:
            bound["HEAD"] = bound["GET"]  # The server leaves the body out.
        allowed = ((b"allow", ", ".join(sorted({*bound, "OPTIONS"})).encode()),)

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await send({"type": "websocket.close", "code": 1008, "reason": "this path speaks HTTP"})
                return
            request = HttpRequest(scope, receive, time.perf_counter(), self._gathering)
            found = bound.get(request.method)
            if found is None and request.method == "OPTIONS":
                await send_answer(send, Response(204, b"", allowed))
                return
            if found is None:
                refused = RequestRefused(EdgeCode.METHOD_NOT_ALLOWED, "this path has no such method", headers=allowed)
                await send_answer(send, answer_of(refused, request.path))
                return
            await self._handle(*found, request, receive, send)

        return handle

    async def _handle(
        self, operation: Operation, metrics: OperationMetrics, request: HttpRequest, receive: Receive, send: Send
    ) -> None:
        try:
            answer = await self._answer(operation, request)
        except Disconnected:
            return
        except Exception as error:
            refused = refusal_of(error)
            own = await operation.refuse(request, refused) if operation.refuse else None
            answer = own or answer_of(refused, request.path, trace_id(request))
        finally:
            if request.held:
                request.let_go()
        status = answer.status if isinstance(answer, Response) else 200
        metrics.observe(status, time.perf_counter() - request.started)
        if isinstance(answer, Response):
            await send_answer(send, answer)
        else:
            await answer.run(receive, send)

    async def _answer(self, operation: Operation, request: HttpRequest) -> Response | Streamed:
        request.read_headers()
        if not operation.public:
            await self.admit(request)
        if operation.operators:
            await self._door.operate(request)
        if self._tracing is None:
            return await operation.handler(request)
        with self._tracing.span(operation.name, request):
            return await operation.handler(request)

    async def admit(self, request: HttpRequest, permits: int = 1) -> None:
        """Establish who asks, take their permits, let them into the workspace of the path. Raises `RequestRefused`."""
        authorization = request.headers.get(b"authorization", b"")
        identity = self.authenticator.remembered(authorization)
        request.identity = identity or await self.authenticator.authenticate(request)
        await self.charge(request, permits)
        workspace_id = request.params.get("workspace_id")
        if workspace_id is not None and not self._door.open_to(request, workspace_id):
            await self._door.enter(request, workspace_id)

    async def charge(self, request: HttpRequest, permits: int) -> None:
        """Take permits of the request's principal. Raises `RequestRefused`."""
        subject = request.identity.subject
        if self._limiter.spend(subject, permits):
            return
        if seconds := await self._limiter.take(subject, permits):
            RATE_LIMITED.inc()
            raise RequestRefused(Code.OVERLOADED, "too many requests", headers=retry_after(seconds))

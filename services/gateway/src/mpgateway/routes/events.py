"""The routes of the event stream: server-sent events and WebSocket."""

import asyncio
from collections.abc import Awaitable, Callable

from mpschema.openapi.doors import EVENT_SOCKET, EVENT_STREAM
from mpschema.problems import EdgeCode
from mpschema.rejections import Code

from mpgateway.auth.refusals import Refusals
from mpgateway.commanding import check_path_id
from mpgateway.http import HttpRequest, Receive, Response, Scope, Send, retry_after, send_answer
from mpgateway.pipeline import Operation, Pipeline
from mpgateway.problems import RequestRefused, answer_of, refusal_of
from mpgateway.routes.domain import Route
from mpgateway.streaming.clients import CROWDED_SECONDS, Clients, Subscriber
from mpgateway.streaming.cursor import Cursor
from mpgateway.streaming.filters import FILTERS, wanted
from mpgateway.streaming.shares import Who
from mpgateway.streaming.sse import SseStream, farewell
from mpgateway.streaming.tail import Tail
from mpgateway.streaming.websocket import refuse_socket, serve_socket

_PARAMETERS = FILTERS | {"after"}
SOCKET_PATH = EVENT_SOCKET
PASSING = frozenset({Code.OVERLOADED, Code.UNAVAILABLE, EdgeCode.INTERNAL})
"""Refusals that pass by themselves."""
OURS = frozenset({Code.UNAVAILABLE, EdgeCode.INTERNAL})
"""Refusals that say nothing of who asked."""
HELD_SECONDS = 1.0
"""The wait before the answer to who is refused again and again: so often, at most, a connection asks."""
AWAY_SECONDS = 60.0
"""For how long an event source that is refused again and again stays away, at least."""


class EventRoutes:
    """Opens streams for those who may read the workspace."""

    def __init__(self, clients: Clients, tail: Tail, refusals: Refusals) -> None:
        self._clients = clients
        self._tail = tail
        self._refusals = refusals

    def sse(self) -> Route:
        """The route of server-sent events."""
        return EVENT_STREAM, "GET", Operation("events.stream", self._sse, refuse=self._refuse)

    def socket(self, pipeline: Pipeline) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """The ASGI handler of the WebSocket."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            request = HttpRequest(scope, receive, 0.0)
            try:
                request.read_headers()
                if scope["type"] != "websocket":
                    raise RequestRefused(EdgeCode.MALFORMED, "this path speaks WebSocket")
                await pipeline.admit(request)
                client = await self._client(request)
            except Exception as error:
                refused = refusal_of(error)
                await self._slow_down(request, refused)
                await _refuse(scope, answer_of(refused, request.path), send)
                return
            await serve_socket(self._clients, client, receive, send)

        return handle

    async def _sse(self, request: HttpRequest) -> SseStream:
        client = await self._client(request)
        return SseStream(self._clients, client, client.after or self._clients.feed.ring.cursor, request.abort)

    async def _refuse(self, request: HttpRequest, refused: RequestRefused) -> Response | None:
        """The answer to an event source that will be served another time; None where the refusal is for good."""
        away = AWAY_SECONDS if await self._slow_down(request, refused) else 1.0
        if refused.code not in PASSING or not request.accepts(b"text/event-stream"):
            return None
        asked = [float(value) for name, value in refused.headers if name == b"retry-after"]
        return farewell(str(refused.code), max([away, *asked]))

    async def _slow_down(self, request: HttpRequest, refused: RequestRefused) -> bool:
        """Let who is refused again and again wait for the answer. Returns whether that is so."""
        often = refused.code not in OURS and await self._refusals.count_opening(request)
        if often:
            await asyncio.sleep(HELD_SECONDS)
        return often

    async def _client(self, request: HttpRequest) -> Subscriber:
        workspace_id = request.params["workspace_id"]
        check_path_id(workspace_id)
        query = request.query(_PARAMETERS, repeatable=FILTERS)
        want, after = wanted(query), _after(request, query)
        if not self._tail.ready or self._clients.feed.ring.ending is not None:
            raise RequestRefused(Code.UNAVAILABLE, "event streams are not open now", headers=retry_after(1))
        who = Who(workspace_id, request.identity.subject)
        if (why := self._clients.refusal(who)) is not None:
            raise RequestRefused(Code.OVERLOADED, why, headers=retry_after(CROWDED_SECONDS))
        return Subscriber(request, who, want, after)


async def _refuse(scope: Scope, answer: Response, send: Send) -> None:
    if scope["type"] == "websocket":
        await refuse_socket(scope, answer, send)
    else:
        await send_answer(send, answer)


def _after(request: HttpRequest, query: dict[str, list[str]]) -> Cursor | None:
    """Return the cursor to begin after. The header is newer: a browser that reconnects repeats its first URL."""
    text = request.header(b"last-event-id") or query.get("after", [""])[0]
    if not text and "after" not in query:
        return None
    cursor = Cursor.parse(text)
    if cursor is None:
        raise RequestRefused(Code.SCHEMA_INVALID, "a position is EPOCH:SEQ, such as 3:1042")
    return cursor

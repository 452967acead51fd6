"""The event stream as server-sent events."""

from collections.abc import Callable

import msgspec
from mpschema.api import POSITION_HEADER

from mpgateway.http import Receive, Response, Send
from mpgateway.streaming.clients import ByeData, Clients, ResyncData, Subscriber, retry_ms
from mpgateway.streaming.cursor import Cursor
from mpgateway.streaming.feed import Bye, Delivery, Resync, Step

_encode = msgspec.json.Encoder().encode
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class SseStream:
    """One client's stream, as an answer."""

    def __init__(self, clients: Clients, client: Subscriber, begins: Cursor, abort: Callable[[], None]) -> None:
        self._clients = clients
        self._client = client
        self._begins = begins
        self._abort = abort

    async def run(self, receive: Receive, send: Send) -> None:
        """Write the stream until the client leaves or the server says goodbye."""
        position = (POSITION_HEADER.lower().encode(), str(self._begins).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, position]})
        if self._client.request.method == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await send({"type": "http.response.body", "body": b"retry: %d\n\n" % retry_ms(), "more_body": True})

        async def write(step: Step) -> None:
            await send({"type": "http.response.body", "body": sse_bytes(step), "more_body": True})

        await self._clients.serve(self._client, "sse", receive, write)
        if self._client.stuck:
            self._abort()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def sse_bytes(step: Step) -> bytes:
    """A step on the wire. An empty delivery is a comment that still carries a cursor."""
    match step:
        case Delivery(cursor, []):
            return b": heartbeat\nid: %d:%d\n\n" % cursor
        case Delivery(_, frames):
            return b"".join([frame.sse for frame in frames])
        case Resync(reason, head):
            # With the id, a standard client comes back at the head, and not for ever with the position it had.
            return b"event: resync\nid: %d:%d\ndata: %b\n\n" % (*head, _encode(ResyncData(reason, str(head))))
        case Bye(reason, pause_seconds):
            retry = retry_ms(pause_seconds)
            return b"retry: %d\nevent: bye\ndata: %b\n\n" % (retry, _encode(ByeData(reason, retry)))


def farewell(reason: str, pause_seconds: float) -> Response:
    """A stream that only says goodbye.

    A standard event source ends for good on every status but 200; after this one it comes back.
    """
    return Response(200, sse_bytes(Bye(reason, pause_seconds)), _HEADERS)

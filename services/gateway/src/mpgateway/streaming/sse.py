"""The event stream as server-sent events."""

from collections.abc import Callable

import msgspec
from mpschema.api import POSITION_HEADER

from mpgateway.http import Receive, Send
from mpgateway.streaming.clients import RETRY_MS, STALLED, ByeData, Client, Clients, ResyncData
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

    def __init__(self, clients: Clients, client: Client, begins: Cursor, abort: Callable[[], None]) -> None:
        self._clients = clients
        self._client = client
        self._begins = begins
        self._abort = abort

    async def run(self, receive: Receive, send: Send) -> None:
        """Write the stream until the client leaves or the server says goodbye."""
        position = (POSITION_HEADER.lower().encode(), str(self._begins).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, position]})
        await send({"type": "http.response.body", "body": b"retry: %d\n\n" % RETRY_MS, "more_body": True})

        async def write(step: Step) -> None:
            await send({"type": "http.response.body", "body": sse_bytes(step), "more_body": True})

        if await self._clients.serve(self._client, "sse", receive, write) == STALLED:
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
            return b"event: resync\ndata: %b\n\n" % _encode(ResyncData(reason, str(head)))
        case Bye(reason):
            return b"event: bye\ndata: %b\n\n" % _encode(ByeData(reason))

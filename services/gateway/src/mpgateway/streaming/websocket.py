"""The event stream over a WebSocket: the same events as JSON text frames `{"id", "event", "data"}`."""

import msgspec

from mpgateway.http import Receive, Response, Scope, Send
from mpgateway.streaming.clients import ByeData, Clients, ResyncData, Subscriber, retry_ms
from mpgateway.streaming.feed import Bye, Delivery, Resync, Step

SERVICE_RESTART = 1012
NORMAL = 1000
_encode = msgspec.json.Encoder().encode


class SocketFrame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One text frame. `event` is the event's type, or `heartbeat`, `resync`, `bye`."""

    event: str
    id: str = ""
    data: msgspec.Raw | ByeData | ResyncData | None = None


async def serve_socket(clients: Clients, client: Subscriber, receive: Receive, send: Send) -> None:
    """Accept the socket and write to it until the client leaves or the server says goodbye."""
    await receive()
    await send({"type": "websocket.accept"})

    async def write(step: Step) -> None:
        for text in socket_frames(step):
            await send({"type": "websocket.send", "text": text})

    reason = await clients.serve(client, "websocket", receive, write)
    if client.stuck:
        client.request.abort()
    elif reason != "left":
        code = NORMAL if reason == "resync" else SERVICE_RESTART
        await send({"type": "websocket.close", "code": code, "reason": reason})


async def refuse_socket(scope: Scope, answer: Response, send: Send) -> None:
    """Refuse before the handshake, with the problem as the HTTP answer where the server can send one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [length, *answer.headers]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})


def socket_frames(step: Step) -> list[str]:
    """A step on the wire."""
    match step:
        case Delivery(cursor, []):
            frames = [SocketFrame("heartbeat", str(cursor))]
        case Delivery(_, events):
            frames = [
                SocketFrame(event.record.event_type, str(event.cursor), msgspec.Raw(event.event_json))
                for event in events
            ]
        case Resync(reason, head):
            frames = [SocketFrame("resync", str(head), ResyncData(reason, str(head)))]
        case Bye(reason, pause_seconds):
            frames = [SocketFrame("bye", "", ByeData(reason, retry_ms(pause_seconds)))]
    return [_encode(frame).decode() for frame in frames]

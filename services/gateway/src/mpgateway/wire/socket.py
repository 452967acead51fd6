"""One WebSocket connection: uvicorn's, with bounds on what its client may send and leave unread."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from mpgateway.metrics import CONNECTIONS_CUT
from mpgateway.wire.limits import NEVER, WireLimits

FRAMES_MAX = 64
"""The number of frames one message may be cut into."""
WINDOW_SECONDS = 10.0


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket. Whoever listens to events has little to say: pongs, and goodbye."""

    def __init__(self, limits: WireLimits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._unread_until = NEVER
        self._closing_until = NEVER
        self._window_ends = 0.0
        self._said = 0

    def data_received(self, data: bytes) -> None:
        """Take frames, as long as there are not too many of them."""
        self._said += len(data)
        if self._said > self._limits.head_bytes_max:
            self.let_go("talkative")
            return
        super().data_received(data)

    def handle_connect(self, event: Request) -> None:
        """Begin to answer the handshake."""
        super().handle_connect(event)
        if self.handshake_complete:
            return  # It was refused.
        self.scope["extensions"]["mp.abort"] = {"abort": self.transport.abort}

    def handle_cont(self, event: Frame) -> None:
        """Take the next part of a message."""
        if len(self.frames) >= FRAMES_MAX:
            self.let_go("talkative")
            return
        super().handle_cont(event)

    def pause_writing(self) -> None:
        """Give a client that does not read some time, and do not answer its pings meanwhile: nobody reads the pongs."""
        self._unread_until = self.loop.time() + self._limits.answer_seconds
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._unread_until = NEVER
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    async def receive(self) -> Any:
        """The next message from the client."""
        message = await super().receive()
        if not self.writable.is_set():
            self.transport.pause_reading()
        return message

    @property
    def unfinished_bytes(self) -> int:
        """The bytes that a message that is not complete holds here."""
        return self._said

    @property
    def unread_bytes(self) -> int:
        """The bytes that were written and are not read."""
        return self.transport.get_write_buffer_size()

    def let_go(self, reason: str) -> None:
        """End the connection at once."""
        CONNECTIONS_CUT.labels(reason).inc()
        self.transport.abort()

    def look(self, now: float) -> None:
        """End a wait that is over."""
        if now >= self._window_ends:
            self._window_ends, self._said = now + WINDOW_SECONDS, 0
        if self.transport.is_closing():
            self._closing_until = min(self._closing_until, now + self._limits.answer_seconds)
        if now >= self._unread_until or now >= self._closing_until:
            self.let_go("unread")

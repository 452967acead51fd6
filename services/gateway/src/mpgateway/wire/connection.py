"""One HTTP connection: uvicorn's, with bounds that hold while bytes come, and a deadline on every wait.

Bytes are counted before the parser sees them, so what never ends is cut where its bound is. Deadlines are plain
numbers, looked at twice a second for all connections together: setting one costs a request next to nothing.
"""

import asyncio
import enum
import socket
from typing import Any
from urllib.parse import unquote

import httptools
from mpschema.problems import EdgeCode
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mpgateway.http import BadRequest, TooSlow
from mpgateway.metrics import CONNECTIONS_CUT
from mpgateway.problems import RequestRefused, answer_of, refusal_of
from mpgateway.wire.exchange import CLOSE, Exchange
from mpgateway.wire.limits import NEVER, WireLimits

_FRAMING_FACTOR = 8
"""The bytes of chunk framing that a byte of a body may need: a chunk of one byte needs five."""
_UNSENT_BYTES = 128 * 1024
"""The bytes of an answer that the kernel takes before it can be sent."""


class Phase(enum.Enum):
    """The thing a connection waits for."""

    IDLE = "a request"
    HEAD = "the end of the headers"
    BODY = "the end of the body"
    ANSWER = "our answer"
    LINGER = "the client to close"


class HttpProtocol(HttpToolsProtocol):
    """A connection."""

    cycle: Exchange
    """The newest request; None before the first, as uvicorn has it."""

    def __init__(self, limits: WireLimits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._phase = Phase.IDLE
        self._deadline = NEVER
        self._unread_until = NEVER
        self._closing_until = NEVER
        self._uncounted = 0
        self._piece = self._begun_with = 0
        self._head_bytes = 0
        self._hosts = 0
        self._heard = self._heard_before = 0
        self._heard_at = 0.0
        self._why = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request; there are limits to how many do."""
        super().connection_made(transport)
        self._extensions: dict[str, dict[object, object]] = {"mp.abort": {"abort": transport.abort}}
        self._wait(Phase.IDLE, self._limits.head_seconds)
        # Else the kernel takes megabytes for a client that reads nothing, and neither knows nor bounds it.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        if len(self.connections) > self._limits.connections_max:
            # Without an answer: a standard event source comes back after a broken connection, after a 503 it does not.
            self.let_go("too_many")

    def data_received(self, data: bytes) -> None:
        """Feed the parser, never more at once than the bound on what it may keep."""
        self._heard += 1
        if self._deaf():
            return
        size = len(data)
        if size <= self._limits.head_bytes_max:
            self._uncounted += size
            self._feed(data)
            return
        step = self._limits.head_bytes_max
        for at in range(0, size, step):
            part = data[at : at + step]
            self._uncounted += len(part)
            self._feed(part)
            if self._deaf():
                return

    def _deaf(self) -> bool:
        """True when nothing more that comes is of interest."""
        return self._phase is Phase.LINGER or self.transport.is_closing()

    def _feed(self, data: bytes) -> None:
        if self._uncounted > self._limits.head_bytes_max:
            self._give_up(self._too_large())
            return
        self._piece = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._give_up(self._why or f"the request is not HTTP, or {self._too_large()}")
        except httptools.HttpParserUpgrade:
            self._upgrade()

    def _upgrade(self) -> None:
        if not self._should_upgrade():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._give_up("a WebSocket begins on a connection that waits for nothing else")
            return
        self.handle_websocket_upgrade()

    # What the parser finds.

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._uncounted = self._head_bytes = self._hosts = 0
        self._begun_with = self._piece  # At most: the parser does not say where in it the request begins.
        self._wait(Phase.HEAD, self._limits.head_seconds)

    def on_url(self, url: bytes) -> None:
        """Take more of the path and query."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header. What comes after the body is of no interest."""
        self._count(len(name) + len(value))
        if self._phase is not Phase.HEAD:
            return
        name = name.lower()
        self.headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def _count(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > self._limits.head_bytes_max:
            self._refuse(self._too_large())

    def on_headers_complete(self) -> None:
        """Begin to answer; requests that come meanwhile wait their turn."""
        self._uncounted = 0
        version = self.parser.get_http_version()
        if self._hosts != 1 and not (self._hosts == 0 and version == "1.0"):
            self._refuse("a request names one Host")
        self._wait(Phase.BODY, self._limits.body_seconds)
        self._heard_at = self.loop.time()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self._read_target()
        if len(self.pipeline) >= self._limits.pipelined_max:
            self._refuse(f"more than {self._limits.pipelined_max} requests wait on this connection")
        before, self.cycle = self.cycle, self._exchange(version)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _read_target(self) -> None:
        parsed = httptools.parse_url(self.url)
        path = parsed.path.decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = parsed.path
        self.scope["query_string"] = parsed.query or b""

    def _exchange(self, version: str) -> Exchange:
        return Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_body(self, body: bytes) -> None:
        """Take more of a body."""
        self._uncounted = max(0, self._uncounted - (_FRAMING_FACTOR + 1) * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is here: what is waited for now is our answer."""
        self._uncounted = 0
        if self._phase is Phase.BODY:
            self._wait(Phase.ANSWER, NEVER)
        super().on_message_complete()

    # What goes out.

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for it; after an early answer there is none."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.cycle.response_complete and self.cycle.early:
            self._linger()
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            if self._phase is Phase.BODY:  # While it waited for its turn, nothing was read.
                self._wait(Phase.BODY, self._limits.body_seconds)
        elif self._phase is Phase.ANSWER:
            self._wait(Phase.IDLE, self._limits.keep_alive_seconds)

    def pause_writing(self) -> None:
        """Give a client that does not read some time."""
        self._unread_until = self.loop.time() + self._limits.answer_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._unread_until = NEVER
        super().resume_writing()

    def _linger(self) -> None:
        """Say that nothing more comes, and take what is still sent, so that the answer is not lost with a reset."""
        self._wait(Phase.LINGER, self._limits.linger_seconds)
        self.flow.resume_reading()
        self.transport.write_eof()

    def _give_up(self, detail: str) -> None:
        """Refuse what cannot be read on. What came before it is answered, then the connection is closed."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.send_400_response(detail)
            return
        if self._phase is Phase.BODY and not cycle.response_started:
            cycle.fail(BadRequest(detail))
        cycle.keep_alive = False
        self._wait(Phase.LINGER, NEVER)

    def send_400_response(self, msg: str) -> None:
        """Refuse what never became a request, and close."""
        self._refusal(RequestRefused(EdgeCode.MALFORMED, msg))

    def _refusal(self, refused: RequestRefused) -> None:
        answer = answer_of(refused, "")
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [b"%b: %b\r\n" % header for header in (CLOSE, length, *answer.headers)]
        self.transport.write(b"".join([STATUS_LINE[answer.status], *headers, b"\r\n", answer.body]))
        self._linger()

    def _refuse(self, detail: str) -> None:
        """Stop the parser; `_feed` tells the client why."""
        self._why = detail
        raise ValueError(detail)

    def _too_large(self) -> str:
        return f"its path and headers, or its chunks' extensions, exceed {self._limits.head_bytes_max} bytes"

    # What is waited for.

    def _wait(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        self._deadline = NEVER if seconds is NEVER else self.loop.time() + seconds

    @property
    def unfinished_bytes(self) -> int:
        """The bytes that a request that is not complete holds here."""
        if self._phase is Phase.HEAD:
            return self._begun_with + max(0, self._uncounted)
        return len(self.cycle.body) if self._phase is Phase.BODY and self.cycle is not None else 0

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
        if self.transport.is_closing():
            self._closing_until = min(self._closing_until, now + self._limits.answer_seconds)
        if now >= self._unread_until or now >= self._closing_until:
            self.let_go("unread")
        elif self._phase is Phase.BODY and self._silent(now):
            self._body_is_late(f"no byte of the body came for {self._limits.body_idle_seconds:g} s")
        elif now >= self._deadline:
            self._is_late()

    def _silent(self, now: float) -> bool:
        if self._heard != self._heard_before or self.flow.read_paused:
            self._heard_before, self._heard_at = self._heard, now
        return now - self._heard_at >= self._limits.body_idle_seconds

    def _is_late(self) -> None:
        match self._phase:
            case Phase.IDLE:
                self.transport.close()
            case Phase.HEAD if self.cycle is None or self.cycle.response_complete:
                self._refusal(refusal_of(TooSlow(f"the headers did not come within {self._limits.head_seconds:g} s")))
            case Phase.BODY if not self.flow.read_paused:
                self._body_is_late(f"the body did not come within {self._limits.body_seconds:g} s")
            case Phase.HEAD | Phase.LINGER:
                self.let_go("late")

    def _body_is_late(self, detail: str) -> None:
        cycle = self.cycle
        if cycle is None or cycle.response_started:
            self.let_go("late")
            return
        self._wait(Phase.LINGER, self._limits.body_seconds)
        cycle.fail(TooSlow(detail))

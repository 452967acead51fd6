"""A request as the gateway sees it, and an answer: as little as the hot path needs, straight on ASGI.

Litestar routes; its request and response classes, which would cost more than the command itself, stay aside.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from mpgateway.auth.identity import Identity
    from mpgateway.gathering import Gathering

Headers = tuple[tuple[bytes, bytes], ...]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Scope = Mapping[str, Any]

NO_CONTENT = 204
JSON: Headers = ((b"content-type", b"application/json"),)
SINGLE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"last-event-id",
        b"prefer",
        b"traceparent",
        b"x-correlation-id",
    }
)
"""The request headers we read. Each may stand once."""


class BadRequest(ValueError):
    """A request that HTTP does not allow: its text may be shown to the sender."""


@dataclass(slots=True)
class Response:
    """A whole answer: status, body and headers (content-length is added when it is sent)."""

    status: int
    body: bytes = b""
    headers: Headers = JSON


class HttpRequest:
    """One request. `headers` holds those of `SINGLE` that were sent; `identity` is set once the sender is known."""

    __slots__ = ("_gathering", "_receive", "_scope", "headers", "held", "identity", "method", "params", "started")

    identity: "Identity"

    def __init__(self, scope: Scope, receive: Receive, started: float, gathering: "Gathering | None" = None) -> None:
        self._scope = scope
        self._receive = receive
        self._gathering = gathering
        self.held = 0
        self.started = started
        self.method: str = scope.get("method", "GET")
        self.params: dict[str, str] = scope["path_params"]
        self.headers: dict[bytes, bytes] = {}

    def read_headers(self) -> None:
        """Pick the headers we know. Raises `BadRequest` when one of them stands twice."""
        headers = self.headers
        for name, value in self._scope["headers"]:
            if name in SINGLE:
                if name in headers:
                    raise BadRequest(f"the header {name.decode()} stands twice")
                headers[name] = value

    def header(self, name: bytes) -> str:
        """A header's text, empty when it was not sent. Raises `BadRequest` when it is not visible ASCII."""
        value = self.headers.get(name, b"")
        if not value.isascii() or (value and not value.decode("ascii").isprintable()):
            raise BadRequest(f"the header {name.decode()} holds characters that are not printable ASCII")
        return value.decode("ascii")

    def accepts(self, media_type: bytes) -> bool:
        """Tell whether the request names a media type among those it wants."""
        return any(name == b"accept" and media_type in value.lower() for name, value in self._scope["headers"])

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encoded."""
        raw: bytes = self._scope.get("raw_path") or str(self._scope["path"]).encode()
        return raw.decode("ascii", "replace").replace("\ufffd", "?")

    def abort(self) -> None:
        """Cut the connection off: whoever is at the other end does not read what is sent."""
        self._scope["extensions"]["mp.abort"]["abort"]()

    @property
    def address(self) -> str:
        """The address of who connected to us."""
        client = self._scope.get("client")
        return str(client[0]) if client else "unknown"

    def query(self, allowed: frozenset[str], repeatable: frozenset[str] = frozenset()) -> dict[str, list[str]]:
        """The query parameters, each one of `allowed`. Raises `BadRequest` for others, repeats, and broken UTF-8."""
        raw: bytes = self._scope["query_string"]
        if not raw:
            return {}
        try:
            pairs = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=64)
        except ValueError as error:
            raise BadRequest("the query string is not valid UTF-8, or has more than 64 parameters") from error
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            _check_parameter(name, value, allowed)
            if name in found and name not in repeatable:
                raise BadRequest(f"the query parameter {name} stands twice")
            found.setdefault(name, []).append(value)
        return found

    async def body(self, bytes_max: int) -> bytes:
        """The whole body. Raises `BodyTooLarge` as soon as that is known, `Disconnected` if its sender left.

        What watches the connection ends the wait: `TooSlow` or `BadRequest` come out of it.
        """
        stated = self.headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > bytes_max:
            raise BodyTooLarge(bytes_max)
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._rest(bytearray(body), bytes_max)
        elif message["type"] == "http.disconnect":
            raise Disconnected
        if len(body) > bytes_max:
            raise BodyTooLarge(bytes_max)
        return body

    async def _rest(self, body: bytearray, bytes_max: int) -> bytes:
        self._hold(len(body))
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            piece: bytes = message.get("body", b"")
            self._hold(len(piece))
            body += piece
            if len(body) > bytes_max:
                raise BodyTooLarge(bytes_max)
            if not message.get("more_body"):
                return bytes(body)

    def _hold(self, size: int) -> None:
        """Count what is gathered, until the request is answered. Raises `TooMuchAtOnce`."""
        if self._gathering is not None:
            self._gathering.take(self.identity.subject, size)
            self.held += size

    def let_go(self) -> None:
        """Hold nothing more: the request is answered."""
        if self._gathering is not None:
            self._gathering.give_back(self.identity.subject, self.held)
            self.held = 0


class TooSlow(Exception):
    """A request that did not come in time: its text may be shown to the sender."""


class BodyTooLarge(Exception):
    """A body over the limit of its route."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"the body is larger than {bytes_max} bytes")


class Disconnected(Exception):
    """Whoever asked has left; nobody waits for an answer."""


def _check_parameter(name: str, value: str, allowed: frozenset[str]) -> None:
    if name not in allowed:
        known = ", ".join(sorted(allowed)) or "none"
        raise BadRequest(f"the query parameter {name[:100]!r} is not known here (known: {known})")
    if "\x00" in value or len(value) > 4_096:
        raise BadRequest(f"the query parameter {name} holds a NUL or is longer than 4096 characters")


def trace_id(request: HttpRequest) -> str:
    """The id of the trace the request belongs to, empty when it names none."""
    parts = request.headers.get(b"traceparent", b"").decode("ascii", "replace").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 and parts[1].isalnum() else ""


def retry_after(seconds: float) -> Headers:
    """The header that says when to come again, in whole seconds."""
    return ((b"retry-after", str(max(1, math.ceil(seconds))).encode()),)


async def send_answer(send: Send, answer: Response) -> None:
    """Send a whole answer."""
    headers = [*answer.headers]
    if answer.status != NO_CONTENT:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

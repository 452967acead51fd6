"""Cross-origin requests of browsers, for the origins that a setting names. Without the setting nothing is said of them.

Around the whole application, so that refusals carry the headers, too: a page must be able to read what it did wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from mpschema.api import POSITION_HEADER

from mpgateway.http import SINGLE, Receive, Scope, Send

App = Callable[[Any, Any, Any], Awaitable[None]]
PREFLIGHT_SECONDS = 600
_EXPOSED = f"ETag, Location, Retry-After, WWW-Authenticate, {POSITION_HEADER}".encode()
_TAKEN = b", ".join(sorted(SINGLE - {b"content-length", b"content-encoding"}))
_VARY = (b"vary", b"Origin")


class Cors:
    """An application that says which origins may read its answers. `*` is every origin."""

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app = app
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a preflight without the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = dict(scope["headers"])
        origin = found.get(b"origin", b"")
        if not origin or not (self._any or origin in self._origins):
            await self._app(scope, receive, _adding(send, [_VARY]))
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in found:
            headers = [*self._allowing(origin), *_preflight(found[b"access-control-request-method"])]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            exposed = (b"access-control-expose-headers", _EXPOSED)
            await self._app(scope, receive, _adding(send, [*self._allowing(origin), exposed]))

    def _allowing(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        allowed = b"*" if self._any else origin
        return [(b"access-control-allow-origin", allowed), _VARY]


def _preflight(method: bytes) -> list[tuple[bytes, bytes]]:
    # Which methods a path has, its own answer says; here it is enough that the browser may ask.
    return [
        (b"access-control-allow-methods", method if method in (b"GET", b"HEAD", b"POST") else b"GET, HEAD, POST"),
        (b"access-control-allow-headers", _TAKEN),
        (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
    ]


def _adding(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return sending

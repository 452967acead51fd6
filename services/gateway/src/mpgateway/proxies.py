"""The real sender of a request: proxies that are trusted name it, and of what others claim one hears once."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

TOLD_MAX = 1_000
LATELY_SECONDS = 600.0
_BELIEVED = b"x-forwarded-for"
_FORWARDED = frozenset({_BELIEVED, b"forwarded", b"x-real-ip"})
App = Callable[[Any, Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


class Proxies:
    """An application behind proxies. A forwarded header from an address that is not trusted changes nothing.

    Mostly it is a proxy that was forgotten in the settings: then all its clients share one address, and its limits. So
    they do behind a trusted proxy that names them in another header than `X-Forwarded-For`, which is told too.
    """

    def __init__(self, app: App, trusted: str) -> None:
        self._believing = ProxyHeadersMiddleware(app, trusted) if trusted else None
        self._app: App = app if self._believing is None else self._believing
        self._strangers = _Lately()
        self._unheard = _Lately()

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Pass on, under the address of who really asks where that can be known."""
        headers = scope.get("headers", ())
        for name, _ in headers:
            if name in _FORWARDED:
                self._look(scope.get("client"), headers)
                break
        return self._app(scope, receive, send)

    @property
    def strangers(self) -> list[str]:
        """The addresses that are not trusted and forwarded something of late."""
        return self._strangers.addresses

    def _believes(self, address: str) -> bool:
        return self._believing is not None and address in self._believing.trusted_hosts

    def _look(self, client: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]]) -> None:
        address = client[0] if client else "unknown"
        if not self._believes(address):
            if self._strangers.add(address):
                log.warning(
                    "gateway.forwarded_by_a_stranger",
                    address=address,
                    next="name it in MP_TRUSTED_PROXIES if it is your proxy: until then its clients share its limits",
                )
        elif all(name != _BELIEVED for name, _ in headers) and self._unheard.add(address):
            log.warning(
                "gateway.forwarded_in_another_header",
                address=address,
                next="let it send X-Forwarded-For: no other header is read, so its clients share its limits",
            )


class _Lately:
    """Addresses that did something of late, the oldest first: not more than `TOLD_MAX`."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    @property
    def addresses(self) -> list[str]:
        since = time.monotonic() - LATELY_SECONDS
        return [address for address, seen_at in self._seen.items() if seen_at > since]

    def add(self, address: str) -> bool:
        """Add an address where there is room. Returns whether to tell of it: it was not among them."""
        now = time.monotonic()
        known = self._seen.pop(address, None) is not None
        if not known and len(self._seen) >= TOLD_MAX:
            oldest = next(iter(self._seen))
            if self._seen[oldest] > now - LATELY_SECONDS:
                return False
            del self._seen[oldest]
        self._seen[address] = now
        return not known

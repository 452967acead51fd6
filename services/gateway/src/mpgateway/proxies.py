"""Who really asks: proxies that are trusted say so, and of what others claim one hears once."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

TOLD_MAX = 1_000
LATELY_SECONDS = 600.0
_FORWARDED = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
App = Callable[[Any, Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


class Proxies:
    """An application behind proxies. A forwarded header from an address that is not trusted changes nothing.

    Mostly it is a proxy that was forgotten in the settings: then all its clients share one address, and its limits.
    """

    def __init__(self, app: App, trusted: str) -> None:
        self._believing = ProxyHeadersMiddleware(app, trusted) if trusted else None
        self._app: App = app if self._believing is None else self._believing
        self._seen: dict[str, float] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, under the address of who really asks where that can be known."""
        if any(name in _FORWARDED for name, _ in scope.get("headers", ())):
            self._look(scope.get("client"))
        await self._app(scope, receive, send)

    @property
    def strangers(self) -> list[str]:
        """The addresses that are not trusted and forwarded something of late."""
        since = time.monotonic() - LATELY_SECONDS
        return [address for address, seen_at in self._seen.items() if seen_at > since]

    def _believes(self, address: str) -> bool:
        return self._believing is not None and address in self._believing.trusted_hosts

    def _look(self, client: tuple[str, int] | None) -> None:
        address = client[0] if client else "unknown"
        if address in self._seen:
            self._seen[address] = time.monotonic()
        elif len(self._seen) < TOLD_MAX and not self._believes(address):
            self._seen[address] = time.monotonic()
            log.warning(
                "gateway.forwarded_by_a_stranger",
                address=address,
                next="name it in MP_TRUSTED_PROXIES if it is a proxy of yours: until then its clients share its limits",
            )

"""One way to connect to NATS: reconnects for ever, reports what goes wrong, never re-sends old writes in silence."""

import nats
import structlog
from nats.aio.client import Client

log = structlog.get_logger(__name__)


async def _on_error(error: Exception) -> None:
    log.warning("nats.error", error=str(error) or type(error).__name__)


async def _on_disconnected() -> None:
    log.warning("nats.disconnected")


async def _on_reconnected() -> None:
    log.info("nats.reconnected")


async def connect(url: str, name: str, *, writer: bool = False) -> Client:
    """A connection to the servers in `url` (comma separated).

    With `writer`, publishing while disconnected raises instead of buffering: the client library would otherwise send
    the buffer after a reconnect, when the world has moved on. Raises the client's errors when no server answers first.
    """
    return await nats.connect(
        [part.strip() for part in url.split(",")],
        name=name,
        pending_size=0 if writer else 2 * 1024 * 1024,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
        connect_timeout=2,
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=_on_error,
        disconnected_cb=_on_disconnected,
        reconnected_cb=_on_reconnected,
    )

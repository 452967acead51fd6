"""One way to connect to NATS: reconnects for ever, reports what goes wrong, never re-sends old writes in silence."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import AuthorizationError
from nats.errors import Error as NatsError

from mpbus.errors import PermissionsViolation
from mpbus.options import NatsOptions, redacted
from mpbus.vitals import Trouble, Vital

log = structlog.get_logger(__name__)
_VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"")
_AUTHORIZATION = re.compile("authorization violation|authentication (expired|timeout|revoked)", re.IGNORECASE)
REFUSES = "refuses the credential"
"""The phrase in the state of a server that answers and refuses our credential."""
OnDenied = Callable[[PermissionsViolation], None]


class BusClient(Client):
    """The client library's, with two differences.

    A refusal by the server's permissions is an error of whoever asked, where it would be a silence that looks like a
    server that is away. A connection whose credential the server refuses is tried again, where it would be given up
    for ever: credentials are renewed while services run.
    """

    def __init__(self, options: NatsOptions, vital: Vital) -> None:
        super().__init__()
        self.options_given = options
        self.vital = vital
        """The state of the server: answering or away, and its last words."""
        self._refusable: dict[str, set[OnDenied]] = {}
        self._trouble = Trouble("nats.error")
        self.lost_at: float | None = None
        """The moment of the loss, by the monotonic clock; None while the connection stands."""
        self.all_denied: OnDenied | None = None
        """The callback for every refusal, of any subject."""

    def on_denied(self, subject: str, callback: OnDenied) -> Callable[[], None]:
        """Call back when the server refuses to let us publish on a subject. Returns what ends it."""
        callbacks = self._refusable.setdefault(subject.lower(), set())
        callbacks.add(callback)

        def end() -> None:
            callbacks.discard(callback)
            if not callbacks and self._refusable.get(subject.lower()) is callbacks:
                del self._refusable[subject.lower()]

        return end

    async def request(self, subject: str, *arguments: Any, **options: Any) -> Msg:
        """See the base class. Raises `PermissionsViolation` as soon as the server refuses it."""
        denied: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        end = self.on_denied(subject, lambda error: None if denied.done() else denied.set_exception(error))
        asking: asyncio.Future[Any] = asyncio.ensure_future(super().request(subject, *arguments, **options))
        try:
            await asyncio.wait({asking, denied}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                denied.result()
            found: Msg = await asking
            return found
        finally:
            end()
            denied.cancel()
            asking.cancel()

    async def reported(self, error: Exception) -> None:
        """Take in what the client library reports beside answers."""
        said = str(error) or type(error).__name__
        found = _VIOLATION.search(said.lower())
        if found is not None:
            refused = PermissionsViolation(
                self.options_given.user, found[1].replace("subscription", "subscribe"), found[2]
            )
            log.error("nats.denied", user=refused.user, action=refused.action, subject=refused.subject)
            if self.all_denied is not None:
                self.all_denied(refused)
            for callback in list(self._refusable.get(refused.subject, ())):
                callback(refused)
        elif isinstance(error, AuthorizationError) or _AUTHORIZATION.search(said):
            who = self.options_given.user or "a user without a name"
            self.vital.away(f"NATS at {redacted(self.options_given.url)} {REFUSES} of {who}: {said}")
        elif not self.is_connected:
            self.vital.away(f"NATS does not answer: {said}")
        else:
            self._trouble.met(said)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Handle the server's INFO, which comes before our credential: an override of the library.

        Where TLS is asked for, it is not done without: the library would say everything in the clear.
        """
        server = self._current_server
        asked = "tls" in self.options or (server is not None and server.uri.scheme == "tls")
        plain = server is None or server.uri.scheme in ("nats", "tls")
        if initial_connection and asked and plain and not info.get("tls_required"):
            raise NatsError("it offers no TLS, which our settings ask for (tls://, or MP_NATS_TLS_...)")
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        """Handle an error of an open connection: the library itself would close it for good."""
        if _VIOLATION.search(err_msg.lower()):
            await super()._process_err(err_msg)
            return
        error = AuthorizationError() if _AUTHORIZATION.search(err_msg) else NatsError(f"nats: {err_msg}")
        await self.reported(error)
        await self._process_op_err(error)

    async def disconnected(self) -> None:
        """Note that the connection is gone; unless we closed it ourselves, the server is away."""
        self.lost_at = self.lost_at or time.monotonic()
        if not self.is_closed and self.vital.ok:
            self.vital.away("NATS does not answer: the connection is gone")

    async def reconnected(self) -> None:
        """Note that the connection is there again."""
        self.lost_at = None
        self._trouble.over()
        self.vital.answered()


def shows_who_it_is(nc: Client) -> bool:
    """Tell whether a connection was made with a credential, as where the server asks for one."""
    return isinstance(nc, BusClient) and nc.options_given.has_credential


async def connect(
    options: NatsOptions | str, name: str, *, writer: bool = False, vital: Vital | None = None
) -> BusClient:
    """A connection as `options` say; an address alone is a server that asks nobody who they are.

    Waits for a server as long as it takes; `vital` says why.

    With `writer`, publishing while disconnected raises instead of buffering: the client library would otherwise send
    the buffer after a reconnect, when the world has moved on. Raises `Unusable` when a credential or certificate cannot
    be read.
    """
    given = NatsOptions(options) if isinstance(options, str) else options
    client = BusClient(given, vital or Vital("nats"))
    await client.connect(
        [part.strip() for part in given.url.split(",")],
        name=name,
        pending_size=0 if writer else 2 * 1024 * 1024,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,  # type: ignore[arg-type]  # it takes parts of a second
        connect_timeout=2,
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=client.reported,
        disconnected_cb=client.disconnected,
        reconnected_cb=client.reconnected,
        **given.client_options(),
    )
    client.vital.answered()
    return client

"""A pull consumer at full speed: one subscription, demand requested early, silence noticed.

The client library's own `fetch` makes a task per message, which bounds it to a fifth of this.
"""

import asyncio
import contextlib
from collections import deque

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from mpbus.errors import ConsumerLost
from mpbus.tasks import watched

_EXPIRES_SECONDS = 20
_HEARTBEAT_SECONDS = 1
_SILENCE_SECONDS = 3.5
"""The silence of three missed heartbeats: the consumer, its server or the connection is gone."""
_UNHEARD = "503"
"""The status of a consumer that nobody serves: its node does not listen yet, or it is gone."""
_UNHEARD_RETRY_SECONDS = 0.05
_NANO = 1_000_000_000
_HEARTBEAT = "100"
_TERMINAL = {"404", "408", "409"}
_ACK_TOKENS_WITH_DOMAIN = 11


def stream_sequence(msg: Msg) -> int:
    """The position of a delivered message in its stream, from its acknowledgement subject (ADR-15 of NATS)."""
    tokens = msg.reply.split(".")
    return int(tokens[5 if len(tokens) < _ACK_TOKENS_WITH_DOMAIN else 7])


def _consumer_sequence(reply: str) -> int:
    """The number of messages the consumer had sent with this one, to anybody; 0 before the first."""
    if not reply:
        return 0
    tokens = reply.split(".")
    return int(tokens[6 if len(tokens) < _ACK_TOKENS_WITH_DOMAIN else 8])


class Pull:
    """Messages of one pull consumer, in the order the server sends them.

    `take` waits for at least one and gives all that wait. Raises `ConsumerLost` when the server falls silent, or says
    to have sent what did not arrive; the caller then makes a new consumer or a new `Pull`.

    The consumer must be fresh, or reset: its heartbeats tell how much it sent since then, to anybody.
    """

    lacking = 0
    """The stream position up to which something that was sent did not arrive. It was lost with a connection, or went
    to somebody else who asked the same consumer. 0: nothing is known to be lacking."""

    def __init__(
        self,
        nc: Client,
        stream: str,
        consumer: str,
        *,
        batch: int = 512,
        bytes_max: int = 16 << 20,
        wake: asyncio.Event | None = None,
    ) -> None:
        """`wake`, where given, is set whenever something arrived or was lost, beside the consumer's own waiting."""
        self._nc = nc
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._request = msgspec.json.encode(
            {
                "batch": batch,
                "max_bytes": bytes_max,
                "expires": _EXPIRES_SECONDS * _NANO,
                "idle_heartbeat": _HEARTBEAT_SECONDS * _NANO,
            }
        )
        self._batch = batch
        self._demand = 0
        self._waiting: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._wake = wake or self._arrived
        self._newest = ""
        """The acknowledgement subject of the newest message, which holds its position."""
        self._last_heard = 0.0
        self._lost: str | None = None
        self._asking: asyncio.Future[None] | None = None
        self._inbox = nc.new_inbox()
        self._subscription: Subscription | None = None

    async def open(self) -> "Pull":
        """Subscribe and ask for the first messages."""
        self._subscription = await self._nc.subscribe(self._inbox, cb=self._on_message)
        self._heard()
        await self._ask()
        return self

    async def close(self) -> None:
        """Stop. Messages taken by nobody stay with the server."""
        if self._subscription is not None and not self._nc.is_closed:
            with contextlib.suppress(NatsError):  # The connection is gone, and the subscription with it.
                await self._subscription.unsubscribe()
        self._subscription = None

    def take_nowait(self) -> list[Msg]:
        """Return all messages that wait, perhaps none."""
        messages = list(self._waiting)
        self._waiting.clear()
        self._arrived.clear()
        if self._wants_more():
            self._heard()
            self._asking = watched(self._ask(), "pull.ask", self._cannot_ask)
        return messages

    def _wants_more(self) -> bool:
        """Tell whether half of the demand has come and been taken: messages that nobody takes must not pile up."""
        return self._demand * 2 < self._batch and len(self._waiting) < self._batch and self._lost is None

    async def take(self, timeout_seconds: float | None = None) -> list[Msg]:
        """Return at least one message, or none when `timeout_seconds` pass first."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_seconds is None else loop.time() + timeout_seconds
        while not self._waiting:
            self.check()
            if self.lacking:
                raise ConsumerLost(f"not all up to position {self.lacking} arrived")
            now = loop.time()
            silence = self._last_heard + _SILENCE_SECONDS - now
            if deadline is not None and deadline <= now:
                return []
            until = silence if deadline is None else min(silence, deadline - now)
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: in Python 3.11 it can swallow a cancellation that meets an arrival.
                async with asyncio.timeout(until):
                    await self._arrived.wait()
        return self.take_nowait()

    def check(self) -> None:
        """Raise `ConsumerLost` if the consumer is gone or the server has been silent too long."""
        if self._lost is not None:
            raise ConsumerLost(self._lost)
        if asyncio.get_running_loop().time() - self._last_heard > _SILENCE_SECONDS:
            raise ConsumerLost("the stream server fell silent")

    def _cannot_ask(self, error: BaseException) -> None:
        self._lost = f"asking for messages failed: {type(error).__name__}: {error}"
        self._notify()

    def _heard(self) -> None:
        """Count the silence from now on."""
        self._last_heard = asyncio.get_running_loop().time()

    def _notify(self) -> None:
        self._arrived.set()
        self._wake.set()

    async def _on_message(self, msg: Msg) -> None:
        status = msg.headers.get("Status") if msg.headers and not msg.reply.startswith("$JS.ACK") else None
        if status == _UNHEARD:
            await self._ask_again()
            return
        self._heard()
        if status is None:
            self._demand -= 1
            self._newest = msg.reply
            self._waiting.append(msg)
            self._notify()
        elif status == _HEARTBEAT:
            self._compare(msg)
        elif status in _TERMINAL:
            self._ended(msg)
        if self._wants_more():
            await self._ask()

    def _compare(self, heartbeat: Msg) -> None:
        """Compare a heartbeat with the messages that arrived: it comes after all that was sent, by the same path.

        Where deliveries are replicated it may overtake some. Somebody else's reset lets the consumer count anew.
        """
        headers = heartbeat.headers or {}
        sent, arrived = int(headers.get("Nats-Last-Consumer", 0)), _consumer_sequence(self._newest)
        if sent != arrived:
            self.lacking = int(headers["Nats-Last-Stream"])
            self._notify()

    async def _ask_again(self) -> None:
        """Ask once more in a moment. The silence goes on meanwhile: a consumer that is gone is given up."""
        await asyncio.sleep(_UNHEARD_RETRY_SECONDS)
        self._demand -= self._batch
        if self._subscription is not None:
            await self._ask()

    def _ended(self, msg: Msg) -> None:
        headers = msg.headers or {}
        description = headers.get("Description", "")
        if "Consumer Deleted" in description or "Consumer is push" in description:
            self._lost = description
            self._notify()
        self._demand -= int(headers.get("Nats-Pending-Messages", self._demand))

    async def _ask(self) -> None:
        self._demand += self._batch
        try:
            await self._nc.publish(self._subject, self._request, reply=self._inbox)
        except NatsError as error:
            self._lost = f"asking for messages failed: {error}"
            self._notify()

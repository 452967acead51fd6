"""Publishing to a stream until it is stored: one subscription for all acknowledgements, and no task for one.

The client library's own `publish` makes a random subject and a wrapped wait for each. On the path of every command that
is time (`p50_1_vs_bare_publish` in `bench/`). What travels is the same. Make one for a connection and keep it: its
subscription lasts as long.
"""

import asyncio
import itertools

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, NoStreamResponseError

from mpbus.connect import BusClient
from mpbus.errors import PermissionsViolation

_NO_RESPONDERS = "503"


class _Ack(msgspec.Struct):
    """The server's answer to a publish (its schema `io.nats.jetstream.api.v1.pub_ack_response`)."""

    seq: int = 0
    error: dict[str, int | str] | None = None


_ack = msgspec.json.Decoder(_Ack)


class AckedPublisher:
    """A publisher to streams over one connection. Several publishes may wait at a time."""

    def __init__(self, nc: Client, timeout_seconds: float) -> None:
        self._nc = nc
        self._timeout_seconds = timeout_seconds
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._numbers = itertools.count()
        self._inbox = nc.new_inbox()
        self._subscribed = False
        self._watched: set[str] = set()

    async def publish(self, subject: str, data: bytes, headers: dict[str, str]) -> int:
        """Store a message and return its position in the stream.

        Raises `APIError` if the stream refuses it, `PermissionsViolation` if we may not, `NoStreamResponseError` if no
        stream takes it, `TimeoutError` if no answer comes in time (it may be stored), and what the client raises
        without a connection.
        """
        if not self._subscribed:
            await self._subscribe()
        loop = asyncio.get_running_loop()
        if subject not in self._watched:
            self._watch(subject)
        number = str(next(self._numbers))
        future = self._waiting[number] = loop.create_future()
        timer = loop.call_later(self._timeout_seconds, self._give_up, number)
        try:
            await self._nc.publish(subject, data, reply=f"{self._inbox}.{number}", headers=headers)
            return _position(await future)
        finally:
            timer.cancel()
            self._waiting.pop(number, None)

    def _watch(self, subject: str) -> None:
        """Fail the waiting publishes if the server refuses us the subject: it does not answer a refused publish."""
        self._watched.add(subject)
        if isinstance(self._nc, BusClient):
            self._nc.on_denied(subject, self._refused)

    def _refused(self, error: PermissionsViolation) -> None:
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(error)

    async def _subscribe(self) -> None:
        self._subscribed = True  # First, so that nobody else does it while we wait.
        try:
            await self._nc.subscribe(f"{self._inbox}.*", cb=self._on_ack)
        except BaseException:
            self._subscribed = False
            raise

    async def _on_ack(self, msg: Msg) -> None:
        future = self._waiting.get(msg.subject[len(self._inbox) + 1 :])
        if future is not None and not future.done():
            future.set_result(msg)

    def _give_up(self, number: str) -> None:
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_exception(TimeoutError("no acknowledgement"))


def _position(msg: Msg) -> int:
    if msg.headers and msg.headers.get("Status") == _NO_RESPONDERS:
        raise NoStreamResponseError
    ack = _ack.decode(msg.data)
    if ack.error is not None:
        raise APIError.from_error(ack.error)
    return ack.seq

"""The clock of the server that stores the log.

JetStream answers with its time when asked about a stream, and stamps each message with it.
"""

import datetime as dt

import msgspec
from mpschema import subjects
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from mpkernel.ports import ServerClockUnavailable

_ASKS_SECONDS = 1.0
_MICROSECOND = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Said(msgspec.Struct):
    ts: str


class JetStreamClock:
    """The `ServerClock` of the server that leads the log stream."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=_ASKS_SECONDS)
        self._stream = subjects.log_stream(shard)

    async def now_ns(self) -> int:
        """See the port."""
        try:
            answer = await self._nc.request(f"$JS.API.STREAM.INFO.{self._stream}", b"", timeout=_ASKS_SECONDS)
            return _ns(dt.datetime.fromisoformat(msgspec.json.decode(answer.data, type=_Said).ts))
        except (NatsError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
            raise ServerClockUnavailable(str(error) or type(error).__name__) from error

    async def stored_ns(self, stream_seq: int) -> int:
        """See the port."""
        try:
            message = await self._js.get_msg(self._stream, seq=stream_seq)
        except (NotFoundError, NatsError, TimeoutError) as error:
            raise ServerClockUnavailable(str(error) or type(error).__name__) from error
        if message.time is None:
            raise ServerClockUnavailable(f"message {stream_seq} has no stamp")
        return _ns(message.time)


def _ns(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1_000

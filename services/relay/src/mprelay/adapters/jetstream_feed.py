"""The feed stream: atomic batches under the expected sequence, one in flight."""

import secrets
from collections.abc import Sequence

from mpbus.reader import HASH_HEADER
from mpschema import subjects
from mpschema.cloudevents import MEDIA_TYPE
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from mprelay.ports import FeedConflict, FeedMessage, FeedTail, FeedUnavailable

_BATCH_SECONDS = 10
_WINDOW = 100
"""So many of a batch are on their way at most: a stream refuses what it has no room for, also of two relays."""


class JetStreamFeed:
    """The `FeedWriter` of a cluster."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=_BATCH_SECONDS)
        self._stream = subjects.feed_stream(shard)

    async def tail(self) -> FeedTail:
        """See the port."""
        try:
            info = await self._js.stream_info(self._stream)
            if info.state.last_seq == 0:
                return FeedTail(0)
            msg = await self._js.get_msg(self._stream, seq=info.state.last_seq)
        except (NatsError, NotFoundError, TimeoutError) as error:
            raise FeedUnavailable(str(error) or type(error).__name__) from error
        headers = msg.headers or {}
        return FeedTail(info.state.last_seq, headers.get("ce-id", ""), headers.get(HASH_HEADER, ""))

    async def append(self, messages: Sequence[FeedMessage]) -> None:
        """See the port. The server shows none of a batch before its last message is there."""
        batch = secrets.token_hex(8)
        try:
            for index, message in enumerate(messages[:-1], 1):
                await self._send(message, _headers(message, batch, index), heard=index % _WINDOW == 0)
            last = messages[-1]
            headers = _headers(last, batch, len(messages)) | {"Nats-Batch-Commit": "1"}
            ack = await self._js.publish(last.subject, last.data, headers=headers)
        except APIError as error:
            raise FeedConflict(str(error)) from error
        except (NatsError, TimeoutError) as error:
            raise FeedUnavailable(str(error) or type(error).__name__) from error
        assert ack.seq == last.seq, f"event {last.seq} was stored as message {ack.seq}"

    async def _send(self, message: FeedMessage, headers: dict[str, str], *, heard: bool) -> None:
        """Publish one message within a batch; where `heard`, wait until the server has it. Raises `FeedConflict`."""
        if not heard:
            await self._nc.publish(message.subject, message.data, headers=headers)
            return
        answer = await self._nc.request(message.subject, message.data, headers=headers, timeout=_BATCH_SECONDS)
        if answer.data:  # It is empty where nothing is wrong so far.
            raise FeedConflict(answer.data.decode(errors="replace"))


def _headers(message: FeedMessage, batch: str, index: int) -> dict[str, str]:
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Nats-Msg-Id": message.message_id,
        "ce-id": message.event_id,
        "ce-type": message.event_type,
        HASH_HEADER: message.commit_hash,
        "Nats-Batch-Id": batch,
        "Nats-Batch-Sequence": str(index),
    }
    if index == 1:
        headers["Nats-Expected-Last-Sequence"] = str(message.seq - 1)
    return headers

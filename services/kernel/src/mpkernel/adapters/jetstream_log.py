"""Appending to the log stream under its expected sequence, with exactly one write in flight."""

import asyncio

from mpbus.acked import AckedPublisher
from mpbus.reader import HASH_HEADER, LogPosition
from mpschema import subjects
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from mpkernel.ports import Deposed, Unknown

_EXPECTED = "Nats-Expected-Last-Sequence"
_WRONG_SEQUENCE = {10071, 10164}
"""The server's codes for: another sequence stands there; a write is in process there."""
_RETRY_SECONDS = 0.02
_PUBLISH_SECONDS = 1.0


class JetStreamLogWriter:
    """The `LogWriter` of a cluster. A commit is known by its hash, so a repeated write finds itself."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._js = nc.jetstream(timeout=_PUBLISH_SECONDS)
        self._publisher = AckedPublisher(nc, _PUBLISH_SECONDS)
        self._stream = subjects.log_stream(shard)
        self._subject = subjects.log_subject(shard)

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """See the port. The same publish is repeated while its outcome is unknown: it can be stored only once."""
        headers = {HASH_HEADER: commit_hash, _EXPECTED: str(after.stream_seq)}
        deadline = asyncio.get_running_loop().time() + deadline_seconds
        unknown = "no answer"
        while asyncio.get_running_loop().time() < deadline:
            try:
                return await self._publisher.publish(self._subject, data, headers)
            except APIError as error:
                if error.err_code not in _WRONG_SEQUENCE:
                    unknown = str(error)
                else:
                    stored = await self._stored_hash(after.stream_seq + 1)
                    if stored == commit_hash:
                        return after.stream_seq + 1
                    if stored is not None:
                        raise Deposed(f"position {after.stream_seq + 1} holds another commit") from error
                    unknown = "a write is in process"
            except (NatsError, NoStreamResponseError, TimeoutError) as error:
                unknown = str(error) or type(error).__name__
            await asyncio.sleep(_RETRY_SECONDS)
        raise Unknown(unknown)

    async def _stored_hash(self, stream_seq: int) -> str | None:
        """The hash of the commit at a position, as the stream's leader knows it; None: nothing there, or no answer."""
        try:
            msg = await self._js.get_msg(self._stream, seq=stream_seq)
        except (NotFoundError, NatsError, TimeoutError):
            return None
        return str((msg.headers or {}).get(HASH_HEADER, ""))

"""Appending to the log stream under its expected sequence, with exactly one write in flight."""

import asyncio

import msgspec
from mpbus.acked import AckedPublisher
from mpbus.ingest import log_ingest
from mpbus.reader import HASH_HEADER, LogPosition
from mpbus.streams import MESSAGE_BYTES_MAX
from mpschema import subjects
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from mpstore.log import HEADER_BYTES, CommitTooLarge, Deposed, Unknown

_EXPECTED = "Nats-Expected-Last-Sequence"
_TOO_LARGE = {10054}
"""The server's code for: a message is larger than its stream takes."""
_WRONG_SEQUENCE = {10071, 10164}
"""The server's codes for: another sequence stands there; a write is in process there."""
_NO_STREAM = 10059
"""The server's code for: there is no such stream."""
_RETRY_SECONDS = 0.02
_PUBLISH_SECONDS = 1.0
_NATS_HEADER_BYTES = 512
"""The upper bound of an append's headers."""


class _State(msgspec.Struct):
    last_seq: int


class _Error(msgspec.Struct):
    err_code: int = 0


class _Said(msgspec.Struct):
    """The server's answer about the stream."""

    state: _State | None = None
    error: _Error | None = None


class JetStreamLogWriter:
    """The `LogWriter` of a cluster. A commit is known by its hash, so a repeated write finds itself."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._nc = nc
        self._stream_takes = MESSAGE_BYTES_MAX
        self._js = nc.jetstream(timeout=_PUBLISH_SECONDS)
        self._publisher = AckedPublisher(nc, _PUBLISH_SECONDS)
        self._stream = subjects.log_stream(shard)
        self._shard = shard
        self._subject = ""
        """The subject on which the log takes commits, as far as we know."""

    @property
    def commit_bytes_max(self) -> int:
        """See the port: what the stream takes, and the server it is connected to now, without the headers."""
        return min(self._stream_takes, self._nc.max_payload) - HEADER_BYTES

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """See the port. The same publish is repeated while its outcome is unknown: it can be stored only once."""
        if len(data) > self.commit_bytes_max + HEADER_BYTES - _NATS_HEADER_BYTES:
            # The server would end the connection, and the outcome would look unknown, each time.
            raise CommitTooLarge(f"a commit of {len(data)} bytes: the server takes {self._nc.max_payload} in all")
        headers = {HASH_HEADER: commit_hash, _EXPECTED: str(after.stream_seq)}
        deadline = asyncio.get_running_loop().time() + deadline_seconds
        unknown = "no answer"
        while asyncio.get_running_loop().time() < deadline:
            try:
                self._subject = self._subject or await log_ingest(self._js, self._shard)
                return await self._publisher.publish(self._subject, data, headers)
            except APIError as error:
                if error.err_code in _TOO_LARGE:
                    self._stream_takes = min(self._stream_takes, len(data)) // 2
                    raise CommitTooLarge(f"a commit of {len(data)} bytes: {error.description}") from error
                if error.err_code not in _WRONG_SEQUENCE:
                    unknown = str(error)
                else:
                    stored = await self._stored_hash(after.stream_seq + 1)
                    if stored == commit_hash:
                        return after.stream_seq + 1
                    if stored is not None:
                        raise Deposed(f"position {after.stream_seq + 1} holds another commit") from error
                    unknown = "a write is in process"
            except NoStreamResponseError:
                self._subject = ""  # It may listen elsewhere since.
                unknown = "no stream takes commits"
            except (NatsError, TimeoutError) as error:
                unknown = str(error) or type(error).__name__
            await asyncio.sleep(_RETRY_SECONDS)
        raise Unknown(unknown)

    async def last(self) -> int | None:
        """See the port. In a cluster the stream's leader answers."""
        try:
            answer = await self._nc.request(f"$JS.API.STREAM.INFO.{self._stream}", b"", timeout=_PUBLISH_SECONDS)
            said = msgspec.json.decode(answer.data, type=_Said)
        except (NatsError, TimeoutError, msgspec.MsgspecError):
            return None
        if said.state is not None:
            return said.state.last_seq
        return 0 if said.error is not None and said.error.err_code == _NO_STREAM else None

    async def _stored_hash(self, stream_seq: int) -> str | None:
        """The hash of the commit at a position, as the stream's leader knows it; None: nothing there, or no answer."""
        try:
            msg = await self._js.get_msg(self._stream, seq=stream_seq)
        except (NotFoundError, NatsError, TimeoutError):
            return None
        return str((msg.headers or {}).get(HASH_HEADER, ""))

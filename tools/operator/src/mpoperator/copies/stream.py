"""The log as the stream server holds it: read as it is, gaps and all, and written only where nothing stands."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from mpbus.errors import ConsumerLost, ForeignMessage
from mpbus.pull import Pull, stream_sequence
from mpbus.reader import GENESIS, HASH_HEADER, Commit, LogPosition
from mpbus.streams import reader_consumer
from mpbus.tasks import end
from mpschema import codec, subjects
from mpstore.log import Stored
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from mpoperator.copies.chain import Chain
from mpoperator.errors import Disproved, Finding, ServerGone, said

_BATCH = 512
_BYTES_MAX = 32 << 20
_SILENCE_SECONDS = 1.0
_ATTEMPTS = 5
_WITH_LOSSES = b'{"deleted_details":true}'
"""Only who asks for what is missing is told what was cut off."""
_LARGE_BYTES = 16 << 10


class _Lost(msgspec.Struct):
    bytes: int = 0


class StreamState(msgspec.Struct):
    """The state of a stream, as the server says it. `lost` is there after it cut damage off, until it restarts."""

    messages: int
    first_seq: int
    last_seq: int
    lost: _Lost | None = None


class _Info(msgspec.Struct):
    state: StreamState | None = None
    error: dict[str, Any] | None = None


class LogStream:
    """One shard's log stream."""

    def __init__(self, nc: Client, shard: str) -> None:
        self.shard = shard
        self.name = subjects.log_stream(shard)
        self.subject = subjects.log_subject(shard)
        self._nc = nc
        self._js = nc.jetstream(timeout=10)

    async def state(self) -> StreamState | None:
        """Return the state of the stream; None if there is none."""
        answer = await self._nc.request(f"$JS.API.STREAM.INFO.{self.name}", _WITH_LOSSES, timeout=10)
        info = msgspec.json.decode(answer.data, type=_Info)
        if info.state is not None:
            return info.state
        if (info.error or {}).get("code") == 404:
            return None
        raise ServerGone(f"{self.name}: {(info.error or {}).get('description')}")

    async def existing(self) -> StreamState:
        """As `state`. Raises `Disproved` where there is no stream, or its beginning is gone."""
        state = await self.state()
        if state is None:
            raise Disproved(Finding(where="stream", detail=f"there is no stream {self.name}"))
        if state.last_seq and state.first_seq != 1:
            detail = f"it begins with commit {state.first_seq}: what stood before is gone"
            raise Disproved(Finding(where="stream", detail=detail, stream_seq=1, seq=1))
        return state

    async def last(self) -> LogPosition:
        """The place after the newest commit, by what its header says."""
        state = await self.state()
        return await self.position_at(state.last_seq) if state and state.last_seq else GENESIS

    async def read(self, after: int, last: int) -> AsyncGenerator[list[Stored], None]:
        """Everything after a stream position up to another, as it is; what is missing is simply not in it."""
        attempts = 0
        while after < last:
            try:
                async for batch in self._read_once(after, last):
                    yield batch
                    after, attempts = batch[-1].stream_seq, 0
                return
            except (ConsumerLost, TimeoutError) as error:
                attempts += 1
                if attempts >= _ATTEMPTS:
                    raise ServerGone(f"reading {self.name} failed {attempts} times: {said(error)}") from error

    async def _read_once(self, after: int, last: int) -> AsyncGenerator[list[Stored], None]:
        consumer = await self._js.add_consumer(self.name, reader_consumer(after + 1))
        pull = await Pull(self._nc, self.name, consumer.name, batch=_BATCH, bytes_max=_BYTES_MAX).open()
        try:
            while after < last:
                messages = await pull.take(_SILENCE_SECONDS)
                if not messages and await self.next_at(after + 1) is None:
                    return
                batch = [stored for stored in map(_stored, messages) if after < stored.stream_seq <= last]
                await self._check_arrived(after, batch)
                if batch:
                    yield batch
                    after = batch[-1].stream_seq
                elif messages:
                    return  # Everything that came is beyond the end.
        finally:
            await pull.close()  # The server forgets the consumer by itself.

    async def _check_arrived(self, after: int, batch: list[Stored]) -> None:
        """Check that nothing was lost on its way into a batch. Raises `ConsumerLost` when it was lost on its way."""
        for stored in batch:
            if stored.stream_seq != after + 1:
                there = await self.next_at(after + 1)
                if there is not None and there.stream_seq < stored.stream_seq:
                    raise ConsumerLost(f"position {there.stream_seq} did not arrive")
            after = stored.stream_seq

    async def next_at(self, stream_seq: int) -> Stored | None:
        """The first commit at or after a stream position; None if there is none."""
        try:
            msg = await self._js.get_msg(self.name, seq=stream_seq, subject=self.subject, next=True)
        except NotFoundError:
            return None
        stated = (msg.headers or {}).get(HASH_HEADER, "")
        return Stored(int(msg.seq or 0), str(msg.subject), stated, msg.data or b"")

    async def position_at(self, stream_seq: int) -> LogPosition:
        """The place after a commit, by what its header says. Raises `Disproved` where there is no such commit."""
        found = await self.next_at(stream_seq)
        if found is None or found.stream_seq != stream_seq:
            detail = f"commit {stream_seq} is missing"
            raise Disproved(Finding(where="stream", detail=detail, stream_seq=stream_seq))
        return _position(found)

    async def commit_of(self, seq: int | None) -> int:
        """The stream position of the commit that holds an event; of the newest where it is None or beyond."""
        newest = (await self.existing()).last_seq
        return newest if seq is None else min((await self.position_before(seq)).stream_seq + 1, newest)

    async def position_before(self, seq: int) -> LogPosition:
        """The place from which the next commit holds event `seq`: a search over what the headers say.

        Raises `Disproved` when a header on the way cannot be read.
        """
        state = await self.existing()
        low, high, best = 0, state.last_seq, GENESIS
        while low < high:
            middle = (low + high + 1) // 2
            found = await self.next_at(middle)
            position = _position(found) if found else None
            if position is not None and position.seq < seq:
                low, best = position.stream_seq, position
            else:
                high = middle - 1
        return best


def _position(stored: Stored) -> LogPosition:
    if not stored.hash:
        detail = ForeignMessage(stored.stream_seq, stored.subject, stored.data).detail
        raise Disproved(Finding(where="stream", detail=detail, stream_seq=stored.stream_seq))
    try:
        header, _ = codec.split_commit(stored.data)
    except codec.LevelTooHigh:
        raise
    except codec.MalformedCommit as error:
        raise Disproved(Finding(where="stream", detail=str(error), stream_seq=stored.stream_seq)) from error
    return LogPosition(stored.stream_seq, header.first_seq + header.count - 1, stored.hash)


def _stored(msg: Msg) -> Stored:
    return Stored(stream_sequence(msg), msg.subject, (msg.headers or {}).get(HASH_HEADER, ""), msg.data)


async def follow(stream: LogStream, chain: Chain, last: int) -> AsyncGenerator[list[Commit], None]:
    """Verified commits of the stream from where a chain stands up to a stream position. Raises `Disproved`.

    The next batch travels while this one is checked.
    """
    reading = stream.read(chain.position.stream_seq, last)
    arriving = asyncio.ensure_future(anext(reading, None))
    try:
        while (batch := await arriving) is not None:
            arriving = asyncio.ensure_future(anext(reading, None))
            yield await _checked(chain, batch)
        if chain.position.stream_seq < last:
            chain.missing(last)
    finally:
        await end(arriving)
        await reading.aclose()


async def _checked(chain: Chain, batch: list[Stored]) -> list[Commit]:
    """Large commits beside the loop, since hashing them lets it run; small ones here, since handing over costs more."""
    if sum(len(stored.data) for stored in batch) < _LARGE_BYTES * len(batch):
        return chain.take_all(batch)
    return await asyncio.to_thread(chain.take_all, batch)

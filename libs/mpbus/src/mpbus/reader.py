"""The verified log reader: every commit's hash, link and position is checked before anyone sees it.

Shared by the standby kernel, the projector and the gateway. A broken chain is never skipped.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from mpschema import codec, subjects
from mpschema.envelope import CommitHeader, EventRecord
from mpschema.positions import GENESIS as GENESIS
from mpschema.positions import LogPosition as LogPosition
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from mpbus.errors import (
    ChainBroken,
    ConsumerLost,
    ForeignMessage,
    LogReplaced,
    LogUnavailable,
    NoLog,
    PermissionsViolation,
)
from mpbus.pull import Pull, stream_sequence
from mpbus.streams import reader_consumer
from mpbus.vitals import Trouble

HASH_HEADER = "Mp-Hash"
_NO_MESSAGE = 10037
"""The server's code for: the stream is there, and has none."""
_RETRY_SECONDS = 0.1


class Commit:
    """One verified commit: its bytes, and its events, decoded when first asked for."""

    __slots__ = ("_records", "body", "data", "hash", "header", "stream_seq", "subject")

    def __init__(
        self, stream_seq: int, subject: str, data: bytes, stated_hash: str, header: CommitHeader, body: bytes
    ) -> None:
        self.stream_seq = stream_seq
        self.subject = subject
        self.data = data
        self.hash = stated_hash
        self.header = header
        self.body = body
        self._records: list[EventRecord] | None = None

    @property
    def records(self) -> list[EventRecord]:
        """The events, in their newest versions. Raises `mpschema.codec.UnknownEvent` or `MalformedCommit`."""
        if self._records is None:
            self._records = codec.decode_records(self.body)
        return self._records

    @property
    def lines(self) -> list[bytes]:
        """The exact bytes of each event's line, without its newline."""
        return self.body.split(b"\n")[:-1]

    @property
    def position(self) -> LogPosition:
        """The place after this commit."""
        return LogPosition(self.stream_seq, self.header.first_seq + self.header.count - 1, self.hash)


def verify(after: LogPosition, stream_seq: int, subject: str, data: bytes, stated_hash: str) -> Commit:
    """The commit that follows `after`, or `ChainBroken` saying what does not fit.

    Raises `mpschema.codec.LevelTooHigh`, too: nothing is wrong then with the log, but with who reads it.
    """
    if not stated_hash:
        raise ForeignMessage(stream_seq, subject, data)
    if codec.commit_hash(after.hash, subject, data) != stated_hash:
        raise ChainBroken(stream_seq, "the hash of the stored bytes is not the stated one")
    try:
        header, body = codec.split_commit(data)
    except codec.LevelTooHigh:
        raise
    except codec.MalformedCommit as error:
        raise ChainBroken(stream_seq, str(error)) from error
    if header.previous_hash != after.hash:
        raise ChainBroken(stream_seq, f"names {header.previous_hash} as the hash before it, not {after.hash}")
    if header.first_seq != after.seq + 1:
        raise ChainBroken(stream_seq, f"begins with event {header.first_seq}, not {after.seq + 1}")
    if body.count(b"\n") != header.count:
        raise ChainBroken(stream_seq, f"holds {body.count(chr(10).encode())} events, not {header.count}")
    return Commit(stream_seq, subject, data, stated_hash, header, body)


@contextlib.contextmanager
def asked() -> Iterator[None]:
    """Errors of the client library as `LogUnavailable` or `NoLog`; `PermissionsViolation` is one of ours already."""
    try:
        yield
    except PermissionsViolation:
        raise
    except NotFoundError as error:
        raise NoLog(str(error)) from error
    except (NatsError, TimeoutError) as error:
        raise LogUnavailable(str(error) or type(error).__name__) from error


class Log(Protocol):
    """The verified log, read. `LogReader` is one. All but `follow` raise what is in `mpbus.errors.LOG_AWAY`, too."""

    def follow(self, after: LogPosition) -> AsyncIterator[list[Commit]]:
        """Commits after a position, for ever. Raises `ChainBroken`."""
        ...

    async def head(self) -> LogPosition:
        """The place after the newest commit."""
        ...

    async def position_before(self, seq: int) -> LogPosition:
        """The place before the commit that holds event `seq`."""
        ...

    async def commit_at(self, stream_seq: int) -> Commit | None:
        """The commit at a stream position."""
        ...


class LogReader:
    """Reads one shard's log, verified, from any position, for ever."""

    def __init__(self, nc: Client, shard: str, *, batch: int = 256, bytes_max: int = 16 << 20) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=5)
        self._stream = subjects.log_stream(shard)
        self._subject = subjects.log_subject(shard)
        self._batch = batch
        self._bytes_max = bytes_max
        self._trouble = Trouble("log.reader_reopens", shard=shard)

    async def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        """Commits after a position, in batches as they come, across reconnects and restarts of the server.

        Raises `ChainBroken` (`LogReplaced` where the log no longer holds that position) or
        `mpschema.codec.LevelTooHigh`; everything else the world does is waited out.
        """
        while True:
            try:
                async for commits in self._follow_once(after):
                    self._trouble.over()
                    yield commits
                    after = commits[-1].position
            except (ConsumerLost, NatsError, TimeoutError) as error:
                self._trouble.met(str(error) or type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow_once(self, after: LogPosition) -> AsyncIterator[list[Commit]]:
        if not await self._holds(after):
            raise LogReplaced(after.stream_seq)
        consumer = await self._js.add_consumer(self._stream, reader_consumer(after.stream_seq + 1))
        pull = await Pull(self._nc, self._stream, consumer.name, batch=self._batch, bytes_max=self._bytes_max).open()
        try:
            while True:
                commits: list[Commit] = []
                try:
                    for msg in await pull.take():
                        after = self._verified(after, msg, commits)
                except (ChainBroken, ConsumerLost, codec.LevelTooHigh):
                    if commits:  # What stands before the flaw is good.
                        yield commits
                    raise
                yield commits
        finally:
            await pull.close()

    async def _holds(self, after: LogPosition) -> bool:
        """Tell whether the log still has the commit at a position. Raises where there is no stream."""
        if not after.stream_seq:
            return True
        try:
            msg = await self._js.get_msg(self._stream, seq=after.stream_seq)
        except NotFoundError as error:
            if error.err_code != _NO_MESSAGE:
                raise
            return False
        return bool((msg.headers or {}).get(HASH_HEADER, "") == after.hash)

    def _verified(self, after: LogPosition, msg: Msg, into: list[Commit]) -> LogPosition:
        stream_seq = stream_sequence(msg)
        if stream_seq != after.stream_seq + 1:
            raise ConsumerLost(f"position {stream_seq} came after {after.stream_seq}")
        into.append(verify(after, stream_seq, msg.subject, msg.data, (msg.headers or {}).get(HASH_HEADER, "")))
        return into[-1].position

    async def head(self) -> LogPosition:
        """The place after the newest commit. Raises `NoLog` and what is in `LOG_AWAY`."""
        with asked():
            return await self._after(await self._last())

    async def position_before(self, seq: int) -> LogPosition:
        """The place from which the next commit is the one that holds event `seq`; the head if there is none yet."""
        with asked():
            low, high = 0, await self._last()
        best = GENESIS
        while low < high:
            middle = (low + high + 1) // 2
            position = await self._after(middle)
            if position.seq < seq:
                low, best = middle, position
            else:
                high = middle - 1
        return best

    async def commit_at(self, stream_seq: int) -> Commit | None:
        """The commit stored at a stream position, unverified against its predecessor; None if there is none.

        Raises `ChainBroken` for what is none, `LevelTooHigh` for one of a later release, and what is in `LOG_AWAY`.
        """
        with asked():
            try:
                msg = await self._js.get_msg(self._stream, seq=stream_seq)
            except NotFoundError:
                return None
        subject, data = str(msg.subject), msg.data or b""
        stated = (msg.headers or {}).get(HASH_HEADER, "")
        if not stated:
            raise ForeignMessage(stream_seq, subject, data)
        try:
            header, body = codec.split_commit(data)
        except codec.LevelTooHigh:
            raise
        except codec.MalformedCommit as error:
            raise ChainBroken(stream_seq, str(error)) from error
        return Commit(stream_seq, subject, data, stated, header, body)

    async def _last(self) -> int:
        """The newest position. Who reads the log may not ask the stream what it is. Raises where there is no stream."""
        try:
            return int((await self._js.get_last_msg(self._stream, self._subject)).seq or 0)
        except NotFoundError as error:
            if error.err_code != _NO_MESSAGE:
                raise
            return 0

    async def _after(self, stream_seq: int) -> LogPosition:
        commit = await self.commit_at(stream_seq) if stream_seq else None
        return commit.position if commit else GENESIS

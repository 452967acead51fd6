"""Writing a log into an empty stream, bit by bit as it was: for imports and restores, never beside a kernel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from mpbus.connect import shows_who_it_is
from mpbus.ingest import log_ingest
from mpbus.reader import HASH_HEADER, Commit, LogPosition
from mpbus.streams import provision
from mpcli.progress import meter
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream, follow
from mpoperator.errors import Disproved, Finding, ServerGone, ToolRefused, said

_EXPECTED = "Nats-Expected-Last-Sequence"
_WINDOW = 256
_WINDOW_BYTES = 16 << 20
_PUBLISH_SECONDS = 30.0


class Appender:
    """Appends verified commits under their expected sequence, many in flight.

    Publishing ahead is no fence against another writer. None may be there: the stream was empty, the server refuses the
    first write if it is not any more, and in the end everything is read back and compared.
    """

    def __init__(self, nc: Client, subject: str) -> None:
        self._js: JetStreamContext = nc.jetstream(timeout=_PUBLISH_SECONDS)
        self._subject = subject
        self._in_flight: list[asyncio.Task[None]] = []
        self._bytes = 0

    async def add(self, commit: Commit) -> None:
        """One more commit. Raises `ToolRefused` when something else stands there."""
        self._in_flight.append(asyncio.create_task(self._publish(commit)))
        self._bytes += len(commit.data)
        first = commit.header.previous_hash.strip("0") == ""
        if first or len(self._in_flight) >= _WINDOW or self._bytes >= _WINDOW_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Wait until everything is stored."""
        sent, self._in_flight, self._bytes = self._in_flight, [], 0
        results = await asyncio.gather(*sent, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _publish(self, commit: Commit) -> None:
        headers = {HASH_HEADER: commit.hash, _EXPECTED: str(commit.stream_seq - 1)}
        try:
            ack = await self._js.publish(self._subject, commit.data, headers=headers)
        except APIError as error:
            raise ToolRefused(
                f"commit {commit.stream_seq} was not taken: {error.description}. Does a kernel run?"
            ) from error
        except (NatsError, TimeoutError) as error:
            raise ServerGone(f"commit {commit.stream_seq}: {said(error)}") from error
        assert ack.seq == commit.stream_seq, "the server stored it where it was told to"


async def prepare(nc: Client, shard: str, replicas: int, *, resume: bool = False) -> LogStream:
    """The log stream, made if need be, and empty; with `resume` it may hold a beginning of the log, which is verified.

    Raises `ToolRefused` when it holds something else.
    """
    stream = LogStream(nc, shard)
    state = await stream.state()
    if state is None:
        await provision(nc, shard, replicas, guarded=shows_who_it_is(nc))
    elif state.last_seq and not resume:
        detail = f"{stream.name} holds {state.messages} commits: a log is written into an empty stream alone"
        raise ToolRefused(f"{detail} (--resume goes on with one that was cut off)")
    elif state.last_seq:
        await _verified(stream, state.last_seq)
    return stream


async def append(nc: Client, stream: LogStream, batches: AsyncIterator[list[Commit]], end: LogPosition) -> int:
    """Write what the stream does not hold yet, then read all back and verify. Returns the events written a second.

    Raises `ToolRefused` when what it holds is no beginning of this.
    """
    held = await stream.last()
    appender = Appender(nc, await log_ingest(nc.jetstream(timeout=_PUBLISH_SECONDS), stream.shard))
    with meter("writing", end.seq) as bar:
        async for commits in batches:
            for commit in commits:
                if commit.stream_seq > held.stream_seq:
                    await appender.add(commit)
                elif commit.stream_seq == held.stream_seq and commit.hash != held.hash:
                    raise ToolRefused(
                        f"{stream.name} holds another log: the hashes of commit {commit.stream_seq} differ"
                    )
            bar.advance(sum(commit.header.count for commit in commits))
        await appender.flush()
    found = await _verified(stream, end.stream_seq)
    last = await stream.last()
    if found != end or last.stream_seq != end.stream_seq:
        detail = (
            f"it goes on to commit {last.stream_seq}, not {end.stream_seq}, after all was written: who else writes?"
        )
        raise Disproved(Finding(where="stream", detail=detail, stream_seq=end.stream_seq, seq=end.seq))
    return bar.rate


async def _verified(stream: LogStream, last: int) -> LogPosition:
    """Return the end of the stream's chain. Raises `Disproved`."""
    chain = Chain("stream", stream.subject)
    with meter("reading back", last, "commits") as bar:
        async for commits in follow(stream, chain, last):
            bar.advance(len(commits))
    return chain.position

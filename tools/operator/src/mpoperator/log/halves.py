"""A long log checked by two processes at once: this one takes the first half, a child the second.

The child begins where a commit in the middle says that it ends. Whether that is so, the first half finds out: it ends
with that commit. So a flaw in the first half counts before any in the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec
from mpbus.options import NatsOptions
from mpbus.reader import LogPosition
from mpcli.progress import Meter
from mpschema.codec import MalformedCommit

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream, follow
from mpoperator.copies.witnesses import Witness
from mpoperator.errors import Disproved, Finding, ServerGone, ToolError
from mpoperator.run import fast_loop
from mpoperator.site.connections import bus

COMMITS_MIN = 10_000
"""With fewer, a second process does not pay."""


class Checked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a stretch: where it ends, or what is wrong there, or why that is not known."""

    end: LogPosition
    """The place where it ended, or had come to."""
    finding: Finding | None = None
    gone: str = ""


@dataclass(frozen=True)
class CommitRange:
    """Commits up to a stream position, and who else saw which of them."""

    until: int
    seen: Sequence[Witness] = field(default_factory=tuple)

    async def check(self, stream: LogStream, chain: Chain, bar: Meter | None = None) -> None:
        """Follow the stream to the end of the stretch. Raises `Disproved`."""
        at = {witness.stream_seq: witness for witness in self.seen}
        async for commits in follow(stream, chain, self.until):
            for commit in commits:
                if witness := at.get(commit.stream_seq):
                    witness.must_agree(commit)
            if bar is not None:
                bar.advance(len(commits))


async def second_half(stream: LogStream, chain: Chain, last: int) -> Chain | None:
    """The chain of the second half of a stretch; None where halving does not pay, or its middle is damaged."""
    first = chain.position.stream_seq
    if last - first < COMMITS_MIN or (os.cpu_count() or 1) < 2 or sys.platform != "linux":
        return None
    middle = (first + last) // 2
    found = await stream.next_at(middle)
    if found is None or found.stream_seq != middle:
        return None
    try:
        return chain.beyond(found)
    except MalformedCommit:
        return None


class Child:
    """A process of our own that checks a stretch, over a connection of its own, and says what came of it."""

    def __init__(self, options: NatsOptions, shard: str, chain: Chain, stretch: CommitRange) -> None:
        self._read, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _work(write, options, shard, chain, stretch)
        os.close(write)

    async def result(self) -> LogPosition:
        """Return the end of its stretch. Raises `Disproved`, or `ServerGone` when it ends without a word."""
        data = await asyncio.to_thread(self._all)
        if not data:
            raise ServerGone("the process that checks the second half ended without a result: run it again")
        checked = msgspec.json.decode(data, type=Checked)
        if checked.finding is not None:
            raise Disproved(checked.finding)
        if checked.gone:
            raise ServerGone(checked.gone)
        return checked.end

    def close(self) -> None:
        """End it, wherever it is."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._read)

    def _all(self) -> bytes:
        parts = []
        while part := os.read(self._read, 65_536):
            parts.append(part)
        return b"".join(parts)


def _work(write: int, options: NatsOptions, shard: str, chain: Chain, stretch: CommitRange) -> NoReturn:
    """The child's whole life. It must never return into what its parent was doing."""
    try:
        with asyncio.Runner(loop_factory=fast_loop) as runner:
            os.write(write, msgspec.json.encode(runner.run(_checked(options, shard, chain, stretch))))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


async def _checked(options: NatsOptions, shard: str, chain: Chain, stretch: CommitRange) -> Checked:
    try:
        async with bus(options) as nc:
            await stretch.check(LogStream(nc, shard), chain)
    except Disproved as error:
        return Checked(end=chain.position, finding=error.finding)
    except ToolError as error:
        return Checked(end=chain.position, gone=str(error))
    return Checked(end=chain.position)

"""`mpctl log verify`: is the log whole, and is every byte the one that was written?"""

from __future__ import annotations

from mpbus.reader import GENESIS, LogPosition
from mpcli.progress import Meter, meter

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream
from mpoperator.copies.witnesses import must_have_kept_all, must_reach, witnesses
from mpoperator.errors import Disproved, Finding
from mpoperator.log.halves import Child, CommitRange, second_half
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings


class Verified(ToolResult, frozen=True, kw_only=True):
    """The log is whole between two positions."""

    shard: str
    commits: int
    events: int
    first_seq: int
    last_seq: int
    last_stream_seq: int
    head: str
    events_per_second: int
    deep: bool = False
    witnesses: tuple[str, ...] = ()
    """The witnesses that agree, and the event up to which each knows the log."""

    def told(self) -> str:
        """See the base class."""
        depth = "every event decoded" if self.deep else "hashes, links, positions and counts"
        return (
            f"events {self.first_seq:,} to {self.last_seq:,} of shard {self.shard} verify ({depth}; "
            f"{self.events_per_second:,} events/s)"
        )

    def details(self) -> list[list[str]]:
        """See the base class."""
        return [
            ["commits", f"{self.commits:,}"],
            ["head", f"{self.head} at stream position {self.last_stream_seq}"],
            ["witnesses", ", ".join(self.witnesses) or "none of these commits was seen by anybody else"],
        ]


async def verify_stream(settings: OperatorSettings, first: int, last: int | None, *, deep: bool) -> Verified:
    """Verify the commits that hold the events from `first` to `last`. Raises `Disproved` at the first wrong commit."""
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        start = await stream.position_before(first) if first > 1 else GENESIS
        seen = await witnesses(settings, nc)  # First: a log that goes on is then no shorter than what they saw.
        until = await stream.commit_of(last)
        chain = Chain("stream", stream.subject, start, deep=deep)
        with meter("verifying", until - start.stream_seq, "commits") as bar:
            end = await _check(settings, stream, chain, CommitRange(until, seen), bar)
        if last is None:
            must_reach(seen, end)
            must_have_kept_all(await stream.existing(), seen, end)
        return Verified(
            shard=settings.shard,
            commits=end.stream_seq - start.stream_seq,
            events=end.seq - start.seq,
            first_seq=start.seq + 1,
            last_seq=end.seq,
            last_stream_seq=end.stream_seq,
            head=end.hash,
            events_per_second=round((end.seq - start.seq) / max(bar.seconds, 1e-6)),
            deep=deep,
            witnesses=tuple(each.told() for each in seen if start.stream_seq < each.stream_seq <= until),
        )


async def _check(
    settings: OperatorSettings, stream: LogStream, chain: Chain, stretch: CommitRange, bar: Meter
) -> LogPosition:
    """Return the end of the chain, by two processes where that pays. Raises `Disproved` at the first wrong commit."""
    beyond = await second_half(stream, chain, stretch.until)
    if beyond is None:
        await stretch.check(stream, chain, bar)
        return chain.position
    believed = beyond.position
    child = Child(settings.nats(), settings.shard, beyond, stretch)
    try:
        await CommitRange(believed.stream_seq, stretch.seen).check(stream, chain, bar)
        if chain.position != believed:
            detail = "it read differently when it was read again"
            raise Disproved(Finding(where="stream", detail=detail, stream_seq=believed.stream_seq, seq=believed.seq))
        return await child.result()
    finally:
        child.close()

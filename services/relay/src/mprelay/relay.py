"""The relay: the log once more as a feed of single events, for whoever speaks NATS.

Event n is message n of the feed, so the feed's own tail says where to go on, and a message can only be stored in its
place. Exactly once and in order needs nothing else: no lease, no window, no acknowledgement. Two relays at once only
get in each other's way, and the one that finds its place taken steps back.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import structlog
from mpbus.errors import LOG_AWAY, ChainBroken, HaltCode
from mpbus.reader import GENESIS, Commit, Log, LogPosition
from mpbus.tasks import end
from mpbus.vitals import Vital
from mpschema import subjects
from mpschema.cloudevents import cloudevent_bytes
from mpschema.codec import MalformedCommit
from mpservice.ops import Progress, ServiceHealth
from prometheus_client import Counter, Gauge

from mprelay.ports import FeedConflict, FeedMessage, FeedTail, FeedUnavailable, FeedWriter

log = structlog.get_logger(__name__)
BATCH_MAX = 1_000
"""Events stored at once; the server takes no more in one atomic batch."""
STALL_SECONDS = 15.0
"""Not ready, and due for a restart, when nothing was relayed for so long while the log is ahead and both answer."""
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 1.0
_RELAYED = Counter("mp_relay_events_total", "Events stored in the feed by this relay.")
_FEED_SEQ = Gauge("mp_relay_seq", "The last event known to be in the feed.")
_LAG = Gauge("mp_relay_lag_events", "Events of the log that the feed does not hold yet.")


class FeedDiverged(Exception):
    """The feed's tail is not what the log holds there: until somebody makes the feed anew, the relay halts."""

    halt: ClassVar = HaltCode.FEED_DIVERGED

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the feed is of another log, run `python -m mprelay --rebuild`")


class Relay:
    """Copies a shard's log into its feed, for ever."""

    def __init__(self, source: Log, feed: FeedWriter, shard: str, stall_seconds: float = STALL_SECONDS) -> None:
        self._log = source
        self._feed = feed
        self._shard = shard
        self._seq = 0
        self._log_vital = Vital("log")
        self._feed_vital = Vital("feed")
        self._head = 0
        self._progress = Progress(stall_seconds)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End: what is not in the feed is relayed by the next one."""
        self._stopping.set()

    def health(self) -> ServiceHealth:
        """Ready while the feed answers, and follows the log."""
        stalled = self._progress.stalled
        facts: dict[str, str | int | float | bool | None] = {"seq": self._seq, "head": self._head, "stalled": stalled}
        stuck = f"nothing was relayed after event {self._seq}, and the log is at {self._head}" if stalled else ""
        vitals = (self._log_vital, self._feed_vital)
        facts |= {vital.name: vital.state for vital in vitals}
        away = [vital.state for vital in vitals if not vital.ok]
        facts |= {"waits_for": away[0]} if away else {}
        return ServiceHealth(not away and not stalled, facts, stuck)

    async def run(self) -> None:
        """Until stopped. Raises `FeedDiverged`, or `ChainBroken` when the log does not verify."""
        watching, relaying = asyncio.create_task(self._watch()), asyncio.create_task(self._relay_for_ever())
        asked = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({watching, relaying, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(watching, relaying, asked)
        for task in (relaying, watching):
            if not task.cancelled():
                task.result()

    async def _watch(self) -> None:
        """See how far the log is, so that standing still is noticed."""
        while True:
            try:
                self._head = (await self._log.head()).seq
            except (*LOG_AWAY, ChainBroken, MalformedCommit):
                self._progress.excused()  # Whoever follows the log waits for it, too, or halts and says why.
            else:
                self._log_vital.answered()
                self._progress.saw(self._seq, self._head)
                _LAG.set(max(0, self._head - self._seq))
                if not self._feed_vital.ok:
                    self._progress.excused()
            await asyncio.sleep(_WATCH_SECONDS)

    async def _relay_for_ever(self) -> None:
        while True:
            try:
                await self._relay(await self._feed.tail())
            except FeedConflict:
                log.info("relay.place_taken", seq=self._seq)
            except FeedUnavailable as error:
                self._feed_vital.away(f"the feed does not answer: {error}")
            except LOG_AWAY as error:
                self._log_vital.away(f"the log does not answer: {error}")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _relay(self, tail: FeedTail) -> None:
        self._at(tail.seq)
        position = await self._join(tail)
        pending: list[FeedMessage] = []
        async for commits in self._log.follow(position):
            for commit in commits:
                pending += self._messages(commit)
                while len(pending) >= BATCH_MAX:
                    await self._store(pending[:BATCH_MAX])
                    del pending[:BATCH_MAX]
            await self._store(pending)
            pending = []

    async def _join(self, tail: FeedTail) -> LogPosition:
        """Return the place in the log after the feed's tail. Raises `FeedDiverged` where feed and log differ."""
        if tail.seq == 0:
            return GENESIS
        before = await self._log.position_before(tail.seq)
        commit = await self._log.commit_at(before.stream_seq + 1)
        index = tail.seq - commit.header.first_seq if commit else -1
        if commit is None or not 0 <= index < commit.header.count:
            raise FeedDiverged(f"the feed ends with event {tail.seq}, which the log does not hold")
        record = commit.records[index]
        if (record.id, commit.hash) != (tail.event_id, tail.commit_hash):
            raise FeedDiverged(f"event {tail.seq} is {record.id} in the log and {tail.event_id} in the feed")
        return before

    def _messages(self, commit: Commit) -> list[FeedMessage]:
        return [
            FeedMessage(
                seq=record.seq,
                subject=subjects.feed_subject(self._shard, record.workspace_id, record.aggregate, record.aggregate_id),
                event_id=record.id,
                message_id=f"{self._shard}:{record.epoch}:{record.seq}",
                event_type=record.event_type,
                commit_hash=commit.hash,
                data=cloudevent_bytes(record, commit.hash, commit.header.previous_hash),
            )
            for record in commit.records
            if record.seq > self._seq
        ]

    async def _store(self, messages: Sequence[FeedMessage]) -> None:
        if not messages:
            return
        await self._feed.append(messages)
        _RELAYED.inc(len(messages))
        self._at(messages[-1].seq)

    def _at(self, seq: int) -> None:
        self._seq = seq
        self._feed_vital.answered()
        _FEED_SEQ.set(seq)

"""Delivery of outcomes: fresh ones at once, recorded ones read from the log for whoever asks again."""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import islice

import structlog
from mpbus.errors import LOG_AWAY
from mpbus.reader import Commit, Log
from mpbus.tasks import watched
from mpcore.engine.recorded import conflict_outcome, recorded_outcome
from mpcore.engine.sealed import Repeat, Reply
from mpschema import codec
from mpschema.envelope import Outcome

from mpkernel.ports import Replies

log = structlog.get_logger(__name__)
COMMITS_KEPT = 64
"""Commits kept decoded for repeats: after a failover, many ask for the same few."""
BYTES_KEPT = 16 << 20
"""Of those commits, but for the newest: few large ones must not fill the memory."""
REPEATS_WAITING_MAX = 20_000
"""Repeats that wait for their answer from the log. Those beyond are not answered, and are asked for again."""
REPEATS_AT_ONCE = 256


class Places:
    """The places of commits: the first event of each, and its position in the stream. 16 bytes a commit."""

    def __init__(self) -> None:
        self._first_seqs = array("Q")
        self._stream_seqs = array("Q")

    def add(self, first_seq: int, stream_seq: int) -> None:
        """Add the newest commit."""
        self._first_seqs.append(first_seq)
        self._stream_seqs.append(stream_seq)

    def find(self, seq: int) -> int | None:
        """Return the stream position of the commit that holds an event; None if it is older than what is known here."""
        index = bisect_right(self._first_seqs, seq) - 1
        return self._stream_seqs[index] if index >= 0 else None


@dataclass(frozen=True, slots=True)
class Packed:
    """A turn's answers by recipient: fresh outcomes as bytes, and requests whose outcome is in the log."""

    fresh: list[tuple[str, bytes]]
    repeats: list[tuple[str, list[Repeat]]]


def pack(replies: dict[str, list[Reply]]) -> Packed:
    """Pack a turn's answers for sending. Needs nothing that is known only when the commit is stored."""
    fresh: list[tuple[str, bytes]] = []
    repeats: list[tuple[str, list[Repeat]]] = []
    for reply_to, answers in replies.items():
        outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
        if outcomes:
            fresh.append((reply_to, codec.encode_outcomes(outcomes)))
        if len(outcomes) < len(answers):
            repeats.append((reply_to, [answer for answer in answers if isinstance(answer, Repeat)]))
    return Packed(fresh, repeats)


async def pack_beside(replies: dict[str, list[Reply]]) -> Packed:
    """As `pack`, while the commit is being stored: there is little else to do then."""
    await asyncio.sleep(0)  # The commit leaves first.
    return pack(replies)


class Answers:
    """Sends what a turn has to say, once its commit is stored."""

    def __init__(self, source: Log, replies: Replies, places: Places) -> None:
        self._log = source
        self._replies = replies
        self._places = places
        self._kept: dict[int, Commit] = {}
        self._kept_bytes = 0
        self._waiting: dict[str, dict[Repeat, None]] = {}
        """Repeats by who wants the answer, each once: whoever asks often is answered once for all that wait."""
        self._waiting_count = 0
        self._overflowing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def stored(self, first_seq: int, stream_seq: int) -> None:
        """A commit is stored there."""
        self._places.add(first_seq, stream_seq)

    def send(self, packed: Packed, epoch: int) -> None:
        """Send all answers of a turn. Does not wait: a lost answer is asked for again."""
        for reply_to, outcomes in packed.fresh:
            self._spawn(self._replies.send(reply_to, outcomes))
        for reply_to, repeats in packed.repeats:
            self._await_recorded(reply_to, repeats, epoch)

    @property
    def waiting(self) -> int:
        """Repeats whose answer is not read yet."""
        return self._waiting_count

    async def close(self) -> None:
        """Wait for what is being sent."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = watched(work, "answer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _await_recorded(self, reply_to: str, repeats: list[Repeat], epoch: int) -> None:
        """One task for each who asks, however many turns have repeats of theirs; so much memory, and no more."""
        idle = reply_to not in self._waiting
        waiting = self._waiting.setdefault(reply_to, {})
        new = [repeat for repeat in dict.fromkeys(repeats) if repeat not in waiting]
        taken = new[: REPEATS_WAITING_MAX - self._waiting_count]
        if (overflowing := len(taken) < len(new)) != self._overflowing:
            self._overflowing = overflowing
            log.warning("answers.repeats_dropped" if overflowing else "answers.repeats_taken", waiting=self.waiting)
        waiting.update(dict.fromkeys(taken))
        self._waiting_count += len(taken)
        if idle:
            self._spawn(self._answer_waiting(reply_to, epoch))

    async def _answer_waiting(self, reply_to: str, epoch: int) -> None:
        waiting = self._waiting[reply_to]
        try:
            while waiting:
                batch = list(islice(waiting, REPEATS_AT_ONCE))
                for repeat in batch:
                    del waiting[repeat]
                self._waiting_count -= len(batch)
                await self._send_recorded(reply_to, batch, epoch)
        finally:
            self._waiting_count -= len(waiting)
            del self._waiting[reply_to]

    async def _send_recorded(self, reply_to: str, repeats: list[Repeat], epoch: int) -> None:
        try:
            outcomes = [await self._recorded(repeat, epoch) for repeat in repeats]
        except LOG_AWAY as error:
            log.info("answers.recorded_unavailable", reason=str(error))
            return  # They ask again.
        await self._replies.send(reply_to, codec.encode_outcomes(outcomes))

    async def _recorded(self, repeat: Repeat, epoch: int) -> Outcome:
        if repeat.conflict:
            return conflict_outcome(repeat.request_id, epoch, repeat.first_seq)
        commit = await self._commit_of(repeat.first_seq)
        records = commit.records[repeat.first_seq - commit.header.first_seq :]
        return recorded_outcome(records, repeat.request_id)

    async def _commit_of(self, seq: int) -> Commit:
        stream_seq = self._places.find(seq)
        if stream_seq is None:
            stream_seq = (await self._log.position_before(seq)).stream_seq + 1
        commit = self._kept.get(stream_seq)
        if commit is None:
            commit = await self._log.commit_at(stream_seq)
            assert commit is not None, f"event {seq} is in the index and not in the log"
            self._keep(stream_seq, commit)
        return commit

    def _keep(self, stream_seq: int, commit: Commit) -> None:
        if stream_seq in self._kept:
            return  # Read twice meanwhile.
        self._kept[stream_seq] = commit
        self._kept_bytes += len(commit.data)
        while len(self._kept) > 1 and (len(self._kept) > COMMITS_KEPT or self._kept_bytes > BYTES_KEPT):
            self._kept_bytes -= len(self._kept.pop(next(iter(self._kept))).data)

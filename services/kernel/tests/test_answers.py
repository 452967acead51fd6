"""Whoever asks again and again is answered, and takes no more memory for it than others."""

import asyncio

import pytest
from mpbus.reader import Commit
from mpcore.engine.sealed import Repeat
from mpkernel import answers
from mpkernel.adapters.memory import MemoryReplies
from mpkernel.answers import Answers, Packed, Places
from mpschema import codec
from mpstore.log.memory import MemoryLog

from services.kernel.tests.leading import Place, workspace
from tests.support import eventually

WORKSPACES = 5


class SlowLog(MemoryLog):
    """The same commits, each read only when it may be; counts the reads."""

    def __init__(self, source: MemoryLog) -> None:
        super().__init__()
        self._source = source
        self.open = asyncio.Event()
        self.reads: list[int] = []

    async def commit_at(self, stream_seq: int) -> Commit | None:
        """See `Log`."""
        self.reads.append(stream_seq)
        await self.open.wait()
        return await self._source.commit_at(stream_seq)


async def asked_again() -> tuple[Answers, SlowLog, MemoryReplies, dict[str, int]]:
    """Answers from a log of some workspaces, each in a commit of its own; and where each stands."""
    place = Place()
    await place.begin()
    for number in range(WORKSPACES):
        place.commands.publish(workspace(f"w{number}"), "replies")
        await eventually(lambda: len(place.answered) > number)  # noqa: B023 (it is awaited here)
    await place.end()
    log, replies = SlowLog(place.log), MemoryReplies()
    first = {record.command_id: record.seq for commit in place.log.commits for record in commit.records}
    return Answers(log, replies, place.places), log, replies, first


def packed(reply_to: str, *repeats: Repeat) -> Packed:
    return Packed([], [(reply_to, list(repeats))])


def told(replies: MemoryReplies, reply_to: str) -> list[str]:
    """Return the requests that were answered there."""
    sent = [codec.decode_outcomes(data) for to, data in replies.sent if to == reply_to]
    return [outcome.request_id or outcome.command_id for outcomes in sent for outcome in outcomes]


async def test_a_flood_of_one_key_waits_once_and_is_answered() -> None:
    answering, log, replies, first = await asked_again()
    one = Repeat("w-w1", first["w-w1"], conflict=False)
    for _ in range(2_000):
        answering.send(packed("flood", *[one] * 50), 1)
        await asyncio.sleep(0)
    assert answering.waiting <= 1
    assert len(log.reads) == 1
    answering.send(packed("other", Repeat("w-w2", first["w-w2"], conflict=False)), 1)
    log.open.set()
    await answering.close()
    assert told(replies, "other") == ["w-w2"]
    assert set(told(replies, "flood")) == {"w-w1"}
    assert len(told(replies, "flood")) <= 2, "once for those before it was read, once for those after"


async def test_more_than_can_wait_are_asked_for_again_and_answered_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "REPEATS_WAITING_MAX", 100)
    answering, log, replies, first = await asked_again()
    asked = [Repeat(f"conflict-{number}", first["w-w1"], conflict=True) for number in range(300)]
    answering.send(packed("many", Repeat("w-w0", first["w-w0"], conflict=False)), 1)
    await asyncio.sleep(0)
    for each in asked:
        answering.send(packed("many", each), 1)
    assert answering.waiting == 100
    log.open.set()
    await answering.close()
    assert answering.waiting == 0
    assert told(replies, "many") == ["w-w0", *[each.request_id for each in asked[:100]]]
    answering.send(packed("many", asked[-1]), 1)
    await answering.close()
    assert told(replies, "many")[-1] == asked[-1].request_id


async def test_of_large_commits_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BYTES_KEPT", 1_000)
    answering, log, replies, first = await asked_again()
    log.open.set()
    for _ in range(2):
        for number in range(WORKSPACES):
            answering.send(packed("all", Repeat(f"w-w{number}", first[f"w-w{number}"], conflict=False)), 1)
            await answering.close()
    assert len(told(replies, "all")) == 2 * WORKSPACES
    assert len(log.reads) > WORKSPACES, "what was not kept is read again"


def test_a_place_is_found_by_any_of_its_events() -> None:
    places = Places()
    places.add(1, 7)
    places.add(4, 8)
    assert [places.find(seq) for seq in (1, 3, 4, 9)] == [7, 7, 8, 8]

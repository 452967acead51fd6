"""Whoever may send a message chooses what is in it: what nobody can read costs the log little, and the others less."""

from typing import Any

import pytest
from mpcore.engine.commit import TurnLimits
from mpcore.engine.turn import Turn
from mpkernel.metrics import KernelMetrics
from mpkernel.telling import Telling
from mpschema import codec, packs
from mpschema.envelope import EventRecord, Outcome
from mpschema.rejections import Code
from mpschema.system import CommandRejected
from structlog.testing import capture_logs

from services.kernel.tests.leading import Place, workspace
from services.kernel.tests.test_limits import LARGE, Split, creates, ids, whole
from services.kernel.tests.test_turn import line
from tests.support import eventually

SERVICE = "system:webhooks:main"
REPLIES = "replies"
BEYOND = {
    "lines": b"{}\n" * 100_000,
    "one line more": b"\n" * packs.LINES_MAX,
    "bytes": b"x" * (packs.BYTES_MAX + 1),
    "commands": b"\n".join(creates(packs.LINES_MAX + 1)),
}


def recorded(run: Split, since: int) -> list[EventRecord]:
    """The events of the commits after so many."""
    return [
        record for sealed in run.sealed[since:] for record in codec.decode_records(codec.split_commit(sealed.data)[1])
    ]


def met(run: Split, data: bytes, sender: str = "") -> tuple[list[Turn], list[EventRecord]]:
    """A message that wants its answers: the turns it took, and the events that it became."""
    run.position += 1
    turns, since = [run.turn()], len(run.sealed)
    while not turns[-1].take(run.position, REPLIES, data, sender):
        if not turns[-1].empty:
            run.seal(turns[-1])
        turns.append(run.turn())
    if not turns[-1].empty:
        run.seal(turns[-1])
    assert run.shard.command_position == run.position
    return turns, recorded(run, since)


def refusal(records: list[EventRecord]) -> CommandRejected:
    """The one refusal, which has no key."""
    (record,) = records
    assert record.command_id.startswith("unreadable_")
    assert isinstance(record.event, CommandRejected)
    return record.event


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that are read from here on."""
    lines, read = list[bytes](), codec.decode_envelope

    def reading(line: bytes) -> Any:
        lines.append(line)
        return read(line)

    monkeypatch.setattr(codec, "decode_envelope", reading)
    return lines


@pytest.mark.parametrize("data", BEYOND.values(), ids=BEYOND)
def test_a_message_beyond_what_producers_send_is_refused_as_a_whole_and_unread(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    run, lines = Split(), looked_at(monkeypatch)
    turns, records = met(run, data)
    assert (len(turns), lines, ids([turn.replies.get(REPLIES, []) for turn in turns])) == (1, [], [])
    event = refusal(records)
    assert event.code is Code.TOO_LARGE
    assert f"message {run.position} has {packs.excess(data)}" in event.detail
    whole(run)
    assert all(isinstance(reply, Outcome) for reply in run.message(*creates(2))[0]), "no key was spent"


@pytest.mark.parametrize("data", [*BEYOND.values(), b"{}\n" * 1_000, b"", b"\n", b"x"])
def test_what_nobody_can_read_of_a_service_is_counted_by_its_name_and_leaves_nothing(data: bytes) -> None:
    run = Split()
    before = run.shard.world.seq
    turns, records = met(run, data, SERVICE)
    assert records == []
    assert all(turn.idle for turn in turns)
    assert {sender for turn in turns for sender in turn.dropped} == {SERVICE}
    assert sum(turn.dropped[SERVICE] for turn in turns) == (1 if packs.excess(data) else data.count(b"\n") + 1)
    assert run.shard.world.seq == before


def test_of_many_lines_that_nobody_can_read_the_first_is_recorded_and_their_neighbours_are_decided() -> None:
    run = Split()
    first, second = creates(2)
    turns, records = met(run, b"\n".join([first, b"", b"{}", b"junk", second, b""]))
    (turn,) = turns
    assert ids([turn.replies[REPLIES]]) == ["c-0", "c-1"]
    assert [record.command_id for record in records] == ["c-0", f"unreadable_{run.position}_1", "c-1"]
    assert turn.dropped == {"": 3}
    whole(run)


def test_a_message_that_is_split_records_such_a_line_for_each_of_its_turns_at_most() -> None:
    run = Split()
    run.limits = TurnLimits(commands=100)
    turns, records = met(run, b"\n" * (packs.LINES_MAX - 1))
    assert len(turns) == len(records) == 11
    assert sum(sum(turn.dropped.values()) for turn in turns) == packs.LINES_MAX - 11
    whole(run)


@pytest.mark.parametrize(("reply_to", "sender", "most"), [
    (REPLIES, "", packs.PACK_COMMANDS_MAX), (REPLIES, SERVICE, 8), ("", "", 8),
])  # fmt: skip
def test_after_more_such_lines_than_a_producer_can_send_the_rest_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, reply_to: str, sender: str, most: int
) -> None:
    run, lines = Split(), looked_at(monkeypatch)
    turn = run.turn()
    assert turn.take(run.position + 1, reply_to, b"\n" * (packs.LINES_MAX - 2) + b"\n" + creates(1)[0], sender)
    assert len(lines) == most + 1
    assert sum(turn.dropped.values()) + len(turn.lines) == packs.LINES_MAX
    assert not turn.replies.get(reply_to)


def test_a_pack_is_read_to_its_end_though_nobody_can_read_most_of_it() -> None:
    run = Split()
    turns, _ = met(run, b"\n" * (packs.PACK_COMMANDS_MAX - 1) + creates(1)[0])
    assert ids([turns[-1].replies[REPLIES]]) == ["c-0"]


def test_two_messages_of_a_turn_are_told_apart() -> None:
    run = Split()
    turn = run.turn()
    assert all(turn.take(run.position + number, REPLIES, b"{}\n{}") for number in (1, 2))
    assert (len(turn.lines), turn.dropped) == (2, {"": 2})


def test_a_refusal_as_a_whole_that_finds_no_room_waits_for_the_next_turn() -> None:
    run = Split()
    alone = run.turn()
    assert alone.take(run.position + 1, REPLIES, line("c-0", LARGE, "t0"))
    run = Split()
    run.limits = TurnLimits(commit_bytes=alone.size + 100)
    turn = run.turn()
    assert turn.take(run.position + 1, REPLIES, line("c-0", LARGE, "t0"))
    assert not turn.take(run.position + 2, REPLIES, BEYOND["lines"])
    assert turn.full
    run.position += 1
    assert run.shard.command_position == run.position
    run.seal(turn)
    assert refusal(met(run, BEYOND["lines"])[1]).code is Code.TOO_LARGE
    whole(run)


def test_what_a_producer_packs_is_read_to_its_last_line() -> None:
    largest = line("c-0", LARGE, "t0")
    count = packs.PACK_BYTES_MAX // len(largest) + 1
    assert packs.excess(b"\n".join([largest] * count)) == ""
    assert packs.excess(b"\n".join(creates(packs.LINES_MAX))) == ""
    run = Split()
    run.limits = TurnLimits()
    assert len(ids(run.message(*creates(packs.LINES_MAX)))) == packs.LINES_MAX


@pytest.mark.parametrize("level", [1, 2])
def test_below_its_level_each_line_is_recorded_as_builds_of_that_level_do(level: int) -> None:
    run = Split(level)
    run.limits = TurnLimits()
    for data, sender in ((b"{}\n" * packs.LINES_MAX, ""), (b"{}\n{}", SERVICE)):
        turns, records = met(run, data, sender)
        assert (len(records), turns[-1].dropped) == (data.count(b"\n") + 1, {})
    whole(run)


async def test_what_is_dropped_is_logged_by_who_sent_it_and_seldom() -> None:
    telling, run = Telling(KernelMetrics(), 1), Split()
    with capture_logs() as logs:
        for _ in range(1_000):
            telling.tell(met(run, b"{}", SERVICE)[0][-1])
        assert [(entry["lines"], entry["sender"], entry["log_level"]) for entry in logs] == [(1, SERVICE, "error")]
        telling.close()
    assert logs[-1]["lines"] == 999


async def test_a_flood_of_what_leaves_nothing_is_consumed_many_messages_a_turn() -> None:
    place = Place()
    await place.begin()
    commits, reads = len(place.log.commits), place.clock.reads
    for _ in range(1_000):
        place.commands.publish(b"x", REPLIES, SERVICE)
    place.commands.publish(workspace("acme"), REPLIES)
    await place.decided("acme")
    await eventually(lambda: place.answered == ["w-acme"])
    assert len(place.log.commits) == commits + 1
    assert place.clock.reads - reads < 100, "a turn takes many"
    await place.end()

"""A line that ends every process is refused after three tries. Its neighbours are decided, nobody else is refused."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from mpcore.engine import turn as turns
from mpcore.engine.turn import Turn
from mpkernel.quarantine import ELECTIONS_BEFORE
from mpschema import codec
from mpschema.rejections import Code
from mpschema.system import CommandRejected, LineSurvived, LineTried
from mpstore.log import Unknown
from prometheus_client import REGISTRY

from services.kernel.tests.leading import Place, workspace
from tests.support import eventually


class Killed(BaseException):
    """The process is gone."""


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    """A log that one leader founded, and nobody leads now."""
    place = Place()
    await place.begin()
    await place.end()
    yield place


def kills(monkeypatch: pytest.MonkeyPatch, name: str, *, when_read: bool) -> None:
    """One line ends every process that decides it, or already who reads it."""
    decide, read = vars(turns)["decide"], codec.decode_envelope

    def deciding(context: Any, authorizer: Any) -> Any:
        if context.envelope.workspace_id == name:
            raise Killed
        return decide(context, authorizer)

    def reading(line: bytes) -> Any:
        if name.encode() in line:
            raise Killed
        return read(line)

    if when_read:
        monkeypatch.setattr(codec, "decode_envelope", reading)
    else:
        monkeypatch.setattr(turns, "decide", deciding)


async def until_it_dies(place: Place, process: str) -> bool:
    """Another process leads until it dies, or until it has nothing to do. Whether it died."""
    place.process = process
    await place.begin()
    assert place.leading is not None
    leading = place.leading
    await eventually(lambda: leading.done() or not place.commands.after(0))
    died = leading.done() and isinstance(leading.exception(), Killed)
    await place.lose()
    return died


async def until_it_fails_or_consumed(place: Place, position: int) -> bool:
    """Wait until the leader fails or has consumed up to a position; tell whether it is alive."""
    assert place.leading is not None
    leading = place.leading
    await eventually(lambda: leading.done() or place.log.commits[-1].header.command_position == position)
    return not leading.done()


def lines(result: str) -> float:
    """Lines that went through the quarantine of this process, by what came of them."""
    return REGISTRY.get_sample_value("mp_kernel_lines_tried_total", {"result": result}) or 0.0


def events(place: Place, kind: type) -> list[Any]:
    return [record.event for commit in place.log.commits for record in commit.records if type(record.event) is kind]


@pytest.mark.parametrize(("when_read", "deaths"), [(False, 6), (True, 7)])
async def test_a_line_that_ends_every_process_is_refused_and_named(
    monkeypatch: pytest.MonkeyPatch, place: Place, *, when_read: bool, deaths: int
) -> None:
    kills(monkeypatch, "boom", when_read=when_read)
    place.commands.publish(workspace("first"), "replies")
    place.commands.publish(b"\n".join(map(workspace, ("before", "boom", "after"))), "replies")
    place.commands.publish(workspace("last"), "replies")
    died, before = 0, {result: lines(result) for result in ("decided", "refused")}
    while await until_it_dies(place, f"k-{died}"):
        died += 1
        assert died < 20
    assert died == deaths
    assert lines("refused") == before["refused"] + 1
    told = lines("decided") + lines("refused") - sum(before.values())
    assert told == len(events(place, LineTried)) - (deaths - ELECTIONS_BEFORE - 1), "who died in it told nothing"
    assert set(place.shard.world.tenants) == {"first", "before", "after", "last"}
    (refusal,) = events(place, CommandRejected)
    assert refusal.code is Code.UNDECIDABLE
    assert f"line 1 of message 2 ended {deaths - 3} processes" in refusal.detail
    tried = [event for event in events(place, LineTried) if (event.position, event.line) == (2, 1)]
    assert len({event.process for event in tried}) == len(tried) == deaths - 2
    answered = {"w-after", "w-last"} | (set() if when_read else {"w-boom"})
    assert answered <= set(place.answered), "but for what was stored by one who died before it answered"
    assert not place.shard.world.tries


async def test_a_line_that_was_refused_stays_refused_and_the_quarantine_ends(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    kills(monkeypatch, "boom", when_read=False)
    place.commands.publish(workspace("boom"), "replies")
    died = 0
    while await until_it_dies(place, f"k-{died}"):
        died += 1
    tries = len(events(place, LineTried))
    place.commands.publish(workspace("boom"), "replies")
    place.commands.publish(workspace("acme"), "replies")
    assert not await until_it_dies(place, "k-new")
    assert len(events(place, CommandRejected)) == 1
    assert len(events(place, LineTried)) == tries


async def test_below_its_level_no_line_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpschema.levels.FEATURE_LEVEL", 2)
    place = Place()
    await place.begin()
    await place.end()
    kills(monkeypatch, "boom", when_read=False)
    place.commands.publish(workspace("boom"), "replies")
    for number in range(5):
        assert await until_it_dies(place, f"k-{number}")
    assert place.shard.world.feature_level == 2
    assert not events(place, LineTried)


async def test_two_hundred_changes_of_leader_by_other_causes_refuse_nothing(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    """Three kernels lose the log wherever it hurts most; now and then one is replaced, as asked for."""
    dice, names, processes = Random(10), [], ["k1", "k2", "k3"]
    append, left = type(place.log).append, 0

    async def failing(log: Any, *arguments: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unknown("NATS is gone")
        return await append(log, *arguments)

    monkeypatch.setattr(type(place.log), "append", failing)
    for change in range(200):
        names.append(f"w{change}")
        place.commands.publish(workspace(names[-1]), "replies")
        left, chosen = dice.choice((1, 1, 2, 2, 3)), dice.randrange(3)
        place.process = processes[chosen]
        place.led = place.leader()
        place.leading = asyncio.create_task(place.led.lead())
        if await until_it_fails_or_consumed(place, len(names)):
            place.led.step_down("asked to go")
            await place.leading
            processes[chosen] = f"k-{change}"
        await place.lose()
    left = 1_000_000
    assert not await until_it_dies(place, "k-last")
    assert set(place.shard.world.tenants) == set(names)
    assert not events(place, CommandRejected)
    assert len(events(place, LineTried)) >= 10
    assert events(place, LineSurvived)


async def test_who_is_asked_to_go_while_a_line_is_tried_stores_its_outcome_first(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    for process in ("k1", "k2"):
        place.process = process
        await place.begin()
        await place.end()
    place.commands.publish(workspace("acme") + b"\n" + workspace("beta"), "replies")
    place.process, take = "k3", Turn.take

    def asked_to_go(turn: Turn, *arguments: Any) -> bool:
        place.led.step_down("asked to go")
        return take(turn, *arguments)

    monkeypatch.setattr(Turn, "take", asked_to_go)
    await place.begin()
    assert place.leading is not None
    assert await place.leading == "asked to go"
    assert place.answered == ["w-acme"]
    assert not place.shard.world.tries

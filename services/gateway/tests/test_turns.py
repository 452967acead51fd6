"""The order and the length of reading turns, and the pace of a reader: nobody starves another."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from mpgateway.streaming import shares
from mpgateway.streaming.shares import AHEAD_SECONDS, TURN_SECONDS, ReadRateLimiter, ReadTurns, Who

ANN, ANN_ELSEWHERE, BEN = Who("acme", "acme/user:ann"), Who("beta", "beta/user:ann"), Who("acme", "acme/user:ben")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Seconds that a test moves."""
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(shares, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.parametrize(
    ("has", "waits_longer", "is_next"),
    [(ANN, BEN, ANN_ELSEWHERE), (ANN, ANN, BEN)],
    ids=["another workspace", "another principal"],
)
async def test_the_next_turn_is_of_who_has_none(has: Who, waits_longer: Who, is_next: Who) -> None:
    turns, order = ReadTurns(2), list[Who]()
    async with AsyncExitStack() as ends, AsyncExitStack() as first:
        await ends.enter_async_context(turns.turn(has))
        await first.enter_async_context(turns.turn(Who("other", "other/user:x")))

        async def read(who: Who) -> None:
            async with turns.turn(who):
                order.append(who)

        async with asyncio.TaskGroup() as group:
            for who in (waits_longer, is_next):
                group.create_task(read(who))
                await asyncio.sleep(0)
            await first.aclose()
    assert order == [is_next, waits_longer]


async def test_a_turn_ends_after_its_time_while_others_wait_and_only_then(clock: SimpleNamespace) -> None:
    turns = ReadTurns(1)
    async with turns.turn(ANN) as turn:
        clock.now += 10 * TURN_SECONDS
        assert not turn.over, "nobody waits"
        waiting = asyncio.create_task(_read(turns, BEN))
        await asyncio.sleep(0)
        assert turn.over
    await waiting
    async with turns.turn(ANN) as turn:
        waiting = asyncio.create_task(_read(turns, BEN))
        await asyncio.sleep(0)
        assert not turn.over
        clock.now += 1.1 * TURN_SECONDS
        assert turn.over
    await waiting


async def _read(turns: ReadTurns, who: Who) -> None:
    async with turns.turn(who):
        pass


def test_who_reads_faster_than_its_pace_waits_for_it_and_nobody_else_does(clock: SimpleNamespace) -> None:
    pace = ReadRateLimiter(100)
    pace.count("ann", int(100 * AHEAD_SECONDS))
    assert pace.wait_seconds("ann") == 0
    pace.count("ann", 300)
    assert pace.wait_seconds("ann") == 3
    assert pace.wait_seconds("ben") == 0
    clock.now += 1
    assert pace.wait_seconds("ann") == 2
    clock.now += 1_000
    pace.count("ann", int(100 * AHEAD_SECONDS) + 100)
    assert pace.wait_seconds("ann") == 1, "what was not read long ago is no credit"


def test_whoever_owes_nothing_is_forgotten_and_debts_are_kept(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "PACES_MAX", 3)
    pace = ReadRateLimiter(100)
    pace.count("debtor", 100_000)
    for name in ("a", "b"):
        pace.count(name, 1)
    clock.now += 1
    pace.count("c", 1)
    assert len(pace._paid_at) == 2
    assert pace.wait_seconds("debtor") > 900

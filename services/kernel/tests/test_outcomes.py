"""Outcomes that have one entry: found, forgotten, packed and rolled back, and the same on every replica."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from mpcore.engine import outcomes
from mpcore.engine.marks import DAY_MS
from mpcore.engine.sealed import Repeat, Reply
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen, state_root, thaw
from mpcore.state.facts import Fact, LogLimits
from mpschema import codec
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.ids import uuid7
from mpschema.levels import HOUSE_LEVEL
from mpschema.system import FeatureLevelRaised
from mpschema.webhook import WORKER

from services.kernel.tests.test_turn import CREATE, NOW_MS, Run, line, only

EVE = "user:eve"
DATED_ID = uuid7(NOW_MS, bytes(10))


@pytest.fixture
def run() -> Run:
    run = Run()
    run.raise_level()
    return run


def thawed(shard: Shard) -> Shard:
    """The same state, from its snapshot."""
    return thaw(b"".join(Frozen(shard).chunks()))


def ids(run: Run) -> list[str]:
    """The ids of all events."""
    return [record.id for sealed in run.sealed for record in codec.decode_records(codec.split_commit(sealed.data)[1])]


def later(run: Run, days: float) -> int:
    """A time so many days on, at which another command has been decided."""
    now_ms = NOW_MS + int(days * DAY_MS)
    only(run.decide(line(f"at-{days}", CREATE), now_ms=now_ms))
    return now_ms


@pytest.fixture(autouse=True)
def few_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack as soon as something can be packed."""
    monkeypatch.setattr(outcomes, "UNPACKED_MAX", 0)


def pack(shard: Shard) -> None:
    """Pack whatever can be packed."""
    for _ in range(len(shard.outcomes)):
        shard.settle()


@pytest.mark.parametrize(
    ("command_id", "key", "entries"),
    [(DATED_ID, "", 1), (DATED_ID, "deploy-42", 1), ("c-1", "", 1), ("c-1", "deploy-42", 2)],
)
def test_a_command_takes_one_entry_but_for_a_callers_id_beside_a_key(
    run: Run, command_id: str, key: str, entries: int
) -> None:
    before = len(run.shard.outcomes)
    answer = only(run.decide(line(command_id, CREATE, key=key)))
    assert len(run.shard.outcomes) == before + entries
    assert answer.command_id == command_id, "the id that was sent is recorded"
    assert answer.request_id == ""


def test_a_service_s_id_is_not_believed(run: Run) -> None:
    run.position += 1
    turn = run.turn()
    turn.take(run.position, "replies", line(DATED_ID, CREATE), f"{WORKER}:1")
    (answer,) = turn.replies["replies"]
    assert isinstance(answer, Outcome)
    assert (answer.request_id, answer.command_id == DATED_ID) == (DATED_ID, False)


@pytest.mark.parametrize("packed", [False, True])
def test_a_key_is_remembered_for_its_days_and_then_decided_anew_under_another_id(run: Run, *, packed: bool) -> None:
    asked = line("c-1", CREATE, key="deploy-42")
    first = only(run.decide(asked))
    later(run, LogLimits().outcome_days - 1)
    if packed:
        pack(run.shard)
    assert run.decide(asked) == [Repeat("c-1", first.first_seq, conflict=False)]
    later(run, LogLimits().outcome_days)
    now_ms = later(run, 2 * LogLimits().outcome_days)
    again = only(run.decide(asked, now_ms=now_ms))
    assert again.accepted
    assert {first.command_id, again.command_id, "c-1"} == {first.command_id, again.command_id} | {"c-1"}
    assert max(Counter(ids(run)).values()) == 1
    assert state_root(run.replayed()) == state_root(run.shard) == state_root(thawed(run.shard))


def test_an_id_that_could_come_again_is_never_forgotten(run: Run) -> None:
    first = only(run.decide(line("c-1", CREATE)))
    later(run, LogLimits().outcome_days)
    now_ms = later(run, 3 * LogLimits().outcome_days)
    pack(run.shard)
    assert run.decide(line("c-1", CREATE), now_ms=now_ms) == [Repeat("c-1", first.first_seq, conflict=False)]


def test_a_dated_id_is_forgotten_and_from_then_on_recorded_as_one_that_is_made_here(run: Run) -> None:
    dated = uuid7(NOW_MS, bytes(10))
    assert only(run.decide(line(dated, CREATE))).command_id == dated
    later(run, LogLimits().outcome_days)
    now_ms = later(run, 3 * LogLimits().outcome_days)
    again = only(run.decide(line(dated, CREATE), now_ms=now_ms))
    assert (again.request_id, again.command_id == dated) == (dated, False)
    assert max(Counter(ids(run)).values()) == 1


@pytest.mark.parametrize("ahead_ms", [2 * DAY_MS, 365 * DAY_MS])
def test_an_id_of_a_time_to_come_is_recorded_as_one_that_is_made_here(run: Run, ahead_ms: int) -> None:
    future = uuid7(NOW_MS + ahead_ms, bytes(10))
    assert only(run.decide(line(future, CREATE))).command_id != future


def test_nobody_takes_an_id_before_it_is_made(run: Run) -> None:
    made = only(run.decide(line("c-1", CREATE, key="k"))).command_id
    assert only(run.decide(line(made, CREATE, principal=EVE))).command_id != made
    assert max(Counter(ids(run)).values()) == 1


def test_what_was_forgotten_is_dropped_from_memory(run: Run) -> None:
    for number in range(500):
        run.decide(line(f"{DATED_ID[:-6]}{number:06x}", CREATE, key=f"k-{number}"))
    pack(run.shard)
    held = len(run.shard.outcomes)
    later(run, LogLimits().outcome_days)
    later(run, 2 * LogLimits().outcome_days)
    pack(run.shard)
    assert len(run.shard.outcomes) < held - 490


def test_a_rollback_across_a_moment_of_forgetting_remembers_again(run: Run) -> None:
    asked = line("c-1", CREATE, key="k")
    first = only(run.decide(asked))
    now_ms = later(run, LogLimits().outcome_days)
    before = state_root(run.shard)
    ahead = run.turn(now_ms + 31 * DAY_MS)
    ahead.revocable = True
    ahead.take(run.position + 1, "replies", b"\n".join([line("c-2", CREATE), asked]))
    assert isinstance(ahead.replies["replies"][1], Outcome), "it was forgotten, and decided anew"
    ahead.undo.run()
    assert state_root(run.shard) == before
    assert run.decide(asked, now_ms=now_ms) == [Repeat("c-1", first.first_seq, conflict=False)]


@pytest.mark.parametrize("thawing", ["never", "before", "after"])
def test_a_log_goes_over_the_level_and_on(thawing: str) -> None:
    run = Run()
    run.raise_level(3)
    asked = [line("c-1", CREATE, key="k"), line("c-2", CREATE), line("c-3", CREATE, principal=EVE)]
    known = [each.first_seq for each in run.decide(*asked) if isinstance(each, Outcome)]
    root = state_root(run.shard)
    assert root == state_root(run.replayed()) == state_root(thawed(run.shard))
    if thawing == "before":
        run.shard = thawed(run.shard)
    run.raise_level(HOUSE_LEVEL)
    if thawing == "after":
        run.shard = thawed(run.shard)
    repeats: list[Reply] = [Repeat(f"c-{number}", seq, conflict=False) for number, seq in enumerate(known, 1)]
    for _ in range(3):
        assert run.decide(*asked) == repeats
        only(run.decide(line(f"n-{run.position}", CREATE, key=f"k-{run.position}")))
        assert state_root(run.shard) == state_root(run.replayed()) == state_root(thawed(run.shard))
        pack(run.shard)


def test_a_rollback_across_the_raise_leaves_the_former_root() -> None:
    run = Run()
    run.raise_level(3)
    run.decide(*[line(f"c-{number}", CREATE, f"t{number}") for number in range(9)])
    root, held = state_root(run.shard), len(run.shard.outcomes)
    ahead = run.turn()
    ahead.revocable = True
    ahead.note(Fact("log", "log", FeatureLevelRaised(level=HOUSE_LEVEL)), "ahead:0")
    ahead.take(run.position + 1, "replies", b"\n".join([line("d-1", CREATE, key="k"), line("d-2", CREATE)]))
    assert run.shard.world.feature_level == HOUSE_LEVEL
    ahead.undo.run()
    assert (state_root(run.shard), len(run.shard.outcomes)) == (root, held)
    run.decide(line("d-1", CREATE, key="k"))
    assert state_root(run.shard) == state_root(run.replayed())


class Storm:
    """Few principals, ids and keys, met again and again: over days, rollbacks, snapshots and the raise of the level."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.run = Run()
        self.run.raise_level(3)
        self.now_ms = NOW_MS
        self.told: dict[tuple[str, str], tuple[int, int]] = {}
        """Principal and key, or id, to when that was answered, and with which event."""

    def command(self) -> bytes:
        """A request that may have been made before."""
        dice = self.dice
        principal, number = dice.choice(["user:root", EVE]), dice.randrange(4)
        dated = uuid7(NOW_MS + dice.randrange(90) * DAY_MS, bytes([number]) * 10)
        command_id = dice.choice([f"c-{number}", f"k-{number}", dated])
        return line(command_id, CREATE, key=dice.choice(["", "", f"k-{number}"]), principal=principal)

    def step(self) -> None:
        """Decide some commands, after whatever else may happen."""
        dice, run = self.dice, self.run
        self.now_ms += dice.choice([1, 1, 1, DAY_MS // 30, DAY_MS, 20 * DAY_MS])
        lines = [self.command() for _ in range(dice.randrange(1, 4))]
        if dice.random() < 0.3:
            self._ahead(lines)
        if dice.random() < 0.2:
            run.shard = thawed(run.shard)
        if dice.random() < 0.3:
            pack(run.shard)
        for asked, reply in zip(lines, run.decide(*lines, now_ms=self.now_ms), strict=True):
            self._look(asked, reply)
        only(run.decide(line(f"n-{run.position}", CREATE), now_ms=self.now_ms))  # What is consumed is in the log.

    def _ahead(self, lines: list[bytes]) -> None:
        before = state_root(self.run.shard)
        ahead = self.run.turn(self.now_ms + self.dice.randrange(60) * DAY_MS)
        ahead.revocable = True
        if self.dice.random() < 0.5 and self.run.shard.world.feature_level < HOUSE_LEVEL:
            ahead.note(Fact("log", "log", FeatureLevelRaised(level=HOUSE_LEVEL)), "ahead:0")
        ahead.take(self.run.position + 1, "replies", b"\n".join(lines))
        ahead.undo.run()
        assert state_root(self.run.shard) == before

    def _look(self, asked: bytes, reply: Reply) -> None:
        """Assert that a request answered within its days gets that answer again."""
        envelope = codec.decode_envelope(asked)
        assert isinstance(envelope, CommandEnvelope)
        principal, command_id, key = envelope.principal, envelope.command_id, envelope.idempotency_key
        told = self.told.get((principal, key or command_id))
        if isinstance(reply, Outcome):
            assert told is None or self.now_ms - told[0] >= LogLimits().outcome_days * DAY_MS, (asked, told, reply)
            self.told[principal, key or command_id] = answered = (self.now_ms, reply.first_seq)
            if self.run.shard.world.feature_level < HOUSE_LEVEL:
                self.told.setdefault((principal, reply.command_id), answered)
        elif reply.conflict:
            assert (self.run.shard.world.feature_level, reply.first_seq) == (3, 0), "an id that was used under a key"
        else:
            assert told is not None
            assert reply.first_seq == told[1], (asked, told, reply)


@pytest.mark.parametrize("seed", range(20))
def test_no_storm_gives_two_answers_within_the_days_or_two_events_one_id(seed: int) -> None:
    storm = Storm(seed)
    for number in range(60):
        if number == 20:
            storm.run.raise_level()
        storm.step()
        assert state_root(storm.run.shard) == state_root(storm.run.replayed()), number
    assert max(Counter(ids(storm.run)).values()) == 1

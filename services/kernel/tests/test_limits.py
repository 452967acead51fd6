"""A message is bounded before it is decided: in commands, bytes and time. Nothing becomes more than a commit holds."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine import evolve
from mpcore.engine import turn as turns
from mpcore.engine.commit import TurnLimits
from mpcore.engine.sealed import Repeat, Reply
from mpcore.engine.snapshot import state_root
from mpcore.engine.timers import Timer, due
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpschema import codec
from mpschema.envelope import Outcome
from mpschema.rejections import Code
from mpschema.session import BlueprintRef, CancelSession, SessionCanceled, SessionLimits, SessionState, SpawnSession
from mpschema.system import CommandRejected, FeatureLevelRaised
from mpschema.task import ClaimTask, CreateTask, MarkTaskReady

from services.kernel.tests.test_turn import CREATE, NOW_MS, Run, line

MANY = SessionLimits(max_depth=8, max_children=256)
BLUEPRINT = BlueprintRef(name="worker", version="1.0.0", digest="ab" * 32)
LARGE = CreateTask(project_id="core", title="large", description="x" * 20_000)


class Split(Run):
    """Turns as the loop makes them: a message goes on in the next turn until all of it is decided."""

    def __init__(self, level: int = 3) -> None:
        self.limits = TurnLimits(commit_bytes=100_000)
        self.ticks: Callable[[], float] = float
        super().__init__()
        if level > 1:
            turn = self.turn()
            turn.note(Fact("log", "log", FeatureLevelRaised(level=level)), "raised:0")
            self.seal(turn)

    def turn(self, now_ms: int = NOW_MS) -> Turn:
        return Turn(self.shard, 1, now_ms, RoleAuthorizer(), limits=self.limits, ticks=self.ticks)

    def message(self, *lines: bytes) -> list[list[Reply]]:
        """The answers to one message, one list for each turn that it took."""
        self.position += 1
        answers, whole = [], False
        while not whole:
            turn = self.turn()
            whole = turn.take(self.position, "replies", b"\n".join(lines))
            answers.append(turn.replies["replies"])
            if not turn.empty:
                self.seal(turn)
        return answers

    @property
    def consumed(self) -> list[tuple[int, int]]:
        """The position and line in the command stream that each commit records."""
        return [(sealed.header.command_position, sealed.header.command_line) for sealed in self.sealed]


def creates(count: int) -> list[bytes]:
    return [line(f"c-{n}", CREATE, f"t{n}") for n in range(count)]


def ids(answers: list[list[Reply]]) -> list[str]:
    return [reply.command_id for part in answers for reply in part if isinstance(reply, Outcome)]


def whole(run: Split) -> None:
    """Assert that the record folds to the decided state, and that no commit is larger than the log takes."""
    assert state_root(run.replayed()) == state_root(run.shard)
    assert all(sum(map(len, sealed.data.split(b"\n")[1:])) <= run.limits.commit_bytes for sealed in run.sealed)


def test_a_message_of_many_commands_is_split_and_each_line_is_answered_with_its_own_commit() -> None:
    run = Split()
    run.limits = TurnLimits(commands=3)
    answers = run.message(*creates(8))
    assert [len(part) for part in answers] == [3, 3, 2]
    assert ids(answers) == [f"c-{n}" for n in range(8)]
    at = run.position
    assert run.consumed[-3:] == [(at - 1, 3), (at - 1, 6), (at, 0)]
    for part, sealed in zip(answers, run.sealed[-3:], strict=True):
        assert all(
            sealed.header.first_seq <= reply.first_seq <= sealed.last_seq
            for reply in part
            if isinstance(reply, Outcome)
        )
    whole(run)


def test_a_leader_that_begins_in_the_middle_of_a_message_goes_on_there() -> None:
    run = Split()
    run.limits = TurnLimits(commands=3)
    run.position += 1
    first = run.turn()
    assert not first.take(run.position, "replies", b"\n".join(creates(8)))
    run.seal(first)
    run.shard = run.replayed()
    second = run.turn()
    assert not second.take(run.position, "replies", b"\n".join(creates(8)))
    assert ids([second.replies["replies"]]) == ["c-3", "c-4", "c-5"], "and the first three are not asked for again"


def test_another_message_than_the_one_that_was_begun_is_decided_from_its_first_line() -> None:
    run = Split()
    run.shard.consume(run.position, 2)
    run.position += 1
    assert len(run.message(*creates(3))[0]) == 3


def test_a_message_of_much_is_split_by_bytes() -> None:
    run = Split()
    run.limits = TurnLimits(size=50_000, commit_bytes=100_000)
    answers = run.message(*[line(f"c-{n}", LARGE, f"t{n}") for n in range(9)])
    assert [len(part) for part in answers] == [3, 3, 3]
    whole(run)


def test_a_turn_that_has_decided_for_long_is_stored_and_the_rest_of_the_message_waits() -> None:
    run = Split()
    clock = itertools.count()
    run.ticks = lambda: next(clock) * 0.006
    assert len(ids(answers := run.message(*creates(12)))) == 12
    assert len(answers) > 2
    assert all(answers), "every turn decides a line at least"
    whole(run)


def test_the_clock_is_looked_at_when_so_much_is_recorded_and_not_for_each_line() -> None:
    run = Split()
    run.limits = TurnLimits(seconds=0.05, look_bytes=2_000)
    looks = itertools.count()
    run.ticks = lambda: next(looks) * 0.001
    assert len(run.message(*creates(60))) == 1
    assert next(looks) < 20, "some lines are decided between two looks"
    run.ticks = lambda: next(looks) * 0.1
    parts = [len(part) for part in run.message(*[line(f"l-{n}", LARGE, f"l{n}") for n in range(4)])]
    assert parts == [1, 1, 1, 1], "what one line records is looked at before the next"
    whole(run)


def test_time_counts_over_the_messages_of_a_turn_and_only_while_it_decides() -> None:
    run = Split()
    clock = itertools.count()
    run.ticks = lambda: next(clock) * 0.006
    turn = run.turn()
    for number in range(4):
        assert not turn.full
        assert turn.take(run.position + 1 + number, "replies", line(f"c-{number}", CREATE, f"t{number}"))
    assert turn.full


def test_a_decision_that_finds_no_room_waits_for_a_commit_of_its_own() -> None:
    run = Split()
    run.limits = TurnLimits(commit_bytes=30_000)
    answers = run.message(line("small", CREATE, "t0"), line("large", LARGE, "t1"), line("larger", LARGE, "t2"))
    assert [[r.accepted for r in part if isinstance(r, Outcome)] for part in answers] == [[True, True], [True]]
    whole(run)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_decision_larger_than_any_commit_is_refused_and_nothing_of_it_is_folded(level: int) -> None:
    run = lineages(level, 2)
    run.limits = TurnLimits(commit_bytes=10_000)
    before = state_root(run.shard)
    refusal = run.message(line("x", CancelSession(reason="stop the fleet"), "root-0"))[-1][-1]
    assert isinstance(refusal, Outcome)
    assert refusal.code is Code.TOO_LARGE
    assert "bytes of events" in refusal.detail
    (record,) = codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])
    assert isinstance(record.event, CommandRejected)
    assert before != state_root(run.shard), "the refusal is recorded"
    assert not any(
        s.state == SessionState.CANCELED for s in run.shard.world.tenants["acme"].indexes["session"].by_id.values()
    )
    assert state_root(run.replayed()) == state_root(run.shard)


def lineages(level: int, count: int, size: int = 60) -> Split:
    """Sessions with so many children each."""
    run = Split(level)
    for root in range(count):
        run.message(
            line(f"r-{root}", SpawnSession(blueprint=BLUEPRINT, project_id="core", limits=MANY), f"root-{root}")
        )
        children = [
            line(f"s-{root}-{n}", SpawnSession(blueprint=BLUEPRINT, parent_id=f"root-{root}"), f"child-{root}-{n}")
            for n in range(size)
        ]
        for child in children:
            run.message(child)
    return run


def test_a_batch_of_cascades_is_spread_over_commits_that_the_log_takes() -> None:
    run = lineages(3, 6)
    run.limits = TurnLimits(commit_bytes=25_000)
    commits = len(run.sealed)
    answers = run.message(*[line(f"x-{n}", CancelSession(reason="stop"), f"root-{n}") for n in range(6)])
    assert [r.accepted for part in answers for r in part if isinstance(r, Outcome)] == [True] * 6
    assert len(run.sealed) - commits == len(answers) > 2
    whole(run)


@pytest.mark.parametrize("level", [1, 2])
def test_below_its_level_a_message_stays_whole_and_what_does_not_fit_with_the_rest_is_refused(level: int) -> None:
    run = lineages(level, 6)
    run.limits = TurnLimits(commit_bytes=40_000)
    (answers,) = run.message(*[line(f"x-{n}", CancelSession(reason="stop"), f"root-{n}") for n in range(6)])
    codes = [reply.code for reply in answers if isinstance(reply, Outcome)]
    assert codes[0] is None
    assert codes[-1] is Code.TOO_LARGE
    assert b"command_line" not in run.sealed[-1].data
    assert state_root(run.replayed()) == state_root(run.shard)


@pytest.mark.parametrize("level", [1, 2])
def test_below_its_level_a_message_that_finds_no_room_moves_to_the_next_turn_as_a_whole(level: int) -> None:
    run = Split(level)
    run.limits = TurnLimits(commit_bytes=30_000)
    turn, before = run.turn(), run.shard.command_position
    assert turn.take(run.position + 1, "replies", line("a", LARGE, "t0"))
    held = state_root(run.shard)
    message = [line("b", CREATE, "t1"), line("c", LARGE, "t2"), line("c", LARGE, "t2")]
    assert not turn.take(run.position + 2, "replies", b"\n".join(message))
    assert (state_root(run.shard), turn.commands, len(turn.replies["replies"])) == (held, 1, 1)
    assert turn.full
    assert run.shard.command_position == before + 1
    run.seal(turn)
    run.position += 1
    answers = run.message(*message)
    assert [type(reply) for reply in answers[0]] == [Outcome, Outcome, Repeat]
    assert state_root(run.replayed()) == state_root(run.shard)


class Riddle(Exception):
    """A bug."""


def riddle() -> None:
    raise Riddle("of the kernel")


@pytest.mark.parametrize("level", [2, 3])
def test_a_decision_that_raises_is_refused_and_its_neighbours_are_decided(
    monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    run = Split(level)
    decide: Any = vars(turns)["decide"]

    def sometimes(context: Any, authorizer: Any) -> Any:
        return riddle() if context.target == "t1" else decide(context, authorizer)

    monkeypatch.setattr(turns, "decide", sometimes)
    turn = run.turn()
    run.position += 1
    assert turn.take(run.position, "replies", b"\n".join(creates(3)))
    run.seal(turn)
    codes = [reply.code for reply in turn.replies["replies"] if isinstance(reply, Outcome)]
    assert codes == [None, Code.UNDECIDABLE if level == 3 else Code.INVALID_STATE, None]
    refusal = turn.replies["replies"][1]
    assert isinstance(refusal, Outcome)
    assert f"line 1 of message {run.position}" in refusal.detail
    assert [(fault.kind, type(fault.error)) for fault in turn.faults] == [("line", Riddle)]
    assert state_root(run.replayed()) == state_root(run.shard)
    assert isinstance(run.message(creates(3)[1])[0][0], Repeat), "it is refused for ever"


def test_a_fault_whose_refusal_finds_no_room_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Split().turn()
    assert alone.take(1, "replies", line("c-0", LARGE, "t0"))
    run = Split()
    run.limits = TurnLimits(commit_bytes=alone.size + 50)
    decide: Any = vars(turns)["decide"]
    monkeypatch.setattr(
        turns, "decide", lambda context, authorizer: riddle()
        if context.target == "t1" else decide(context, authorizer)
    )  # fmt: skip
    both = line("c-0", LARGE, "t0") + b"\n" + line("c-1", CREATE, "t1")
    first = run.turn()
    assert not first.take(1, "replies", both)
    run.seal(first)
    second = run.turn()
    assert second.take(1, "replies", both)
    assert (len(first.faults), len(second.faults)) == (0, 1)


@pytest.mark.parametrize("place", ["evolve", "reindex"])
@pytest.mark.parametrize("after", [0, 25])
def test_a_fold_that_raises_leaves_no_trace_of_its_command(
    monkeypatch: pytest.MonkeyPatch, place: str, after: int
) -> None:
    run = lineages(3, 1)
    aggregate, fold, reindex = evolve._STEPS[SessionCanceled]
    counted = itertools.count()

    def failing(*arguments: Any) -> Any:
        whole: Any = fold if place == "evolve" else reindex
        return riddle() if next(counted) == after else whole(*arguments)

    step: Any = (aggregate, failing, reindex) if place == "evolve" else (aggregate, fold, failing)
    steps: dict[Any, Any] = evolve._STEPS
    monkeypatch.setitem(steps, SessionCanceled, step)
    answers = run.message(line("x", CancelSession(reason="stop"), "root-0"), line("y", CREATE, "t1"))
    refusal, other = [reply for part in answers for reply in part]
    assert isinstance(refusal, Outcome)
    assert isinstance(other, Outcome)
    assert (refusal.code, other.accepted) == (Code.UNDECIDABLE, True)
    replayed = run.replayed()
    assert state_root(replayed) == state_root(run.shard)
    assert run.shard.world.tenants["acme"].indexes == replayed.world.tenants["acme"].indexes
    assert run.shard.world.deadlines.due_of == replayed.world.deadlines.due_of
    assert isinstance(run.message(line("z", CancelSession(reason="stop"), "root-0"))[0][0], Outcome)
    assert state_root(run.replayed()) == state_root(run.shard)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("junk", [True, False])
def test_below_its_level_a_message_whose_refusals_go_beyond_a_commit_is_refused_as_a_whole(
    level: int, *, junk: bool
) -> None:
    run = Split(level)
    run.limits = TurnLimits(commit_bytes=10_000)
    lines = [b"junk" if junk else line(f"c-{n}", CREATE, "t1") for n in range(200)]
    (answers,) = run.message(*lines)
    assert not answers
    (record,) = codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])
    assert isinstance(record.event, CommandRejected)
    assert "the outcomes of 200 lines go beyond a commit" in record.event.detail
    assert state_root(run.replayed()) == state_root(run.shard)
    assert all(isinstance(reply, Outcome) for reply in run.message(*lines[:2])[0]), "no key was spent"


@pytest.mark.parametrize("junk", [True, False])
def test_refusals_beyond_a_commit_are_spread_over_several(*, junk: bool) -> None:
    run = Split()
    run.limits = TurnLimits(commit_bytes=10_000)
    run.message(*[b"junk" if junk else line(f"c-{n}", CREATE, "t1") for n in range(200)])
    assert max(len(sealed.data) for sealed in run.sealed) < 10_000 + 4_096
    whole(run)


def test_a_timer_that_raises_waits_for_the_next_leader_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Split()
    claimed = [(f"t{n}", kind) for n in range(2) for kind in (CREATE, MarkTaskReady(), ClaimTask(ttl_seconds=60))]
    run.message(*[line(f"{target}-{n}", arguments, target) for n, (target, arguments) in enumerate(claimed)])
    expiry: Any = vars(turns)["expiry"]
    broken = True

    def sometimes(world: Any, timer: Timer) -> Any:
        return riddle() if broken and timer.aggregate_id == "t0" else expiry(world, timer)

    monkeypatch.setattr(turns, "expiry", sometimes)
    late = NOW_MS + 61_000
    turn = run.turn(late)
    for timer in due(run.shard.world, late, 10):
        turn.fire(timer)
    run.seal(turn)
    assert [(fault.kind, fault.what, type(fault.error)) for fault in turn.faults] == [
        ("timer", "task_lease of acme/t0", Riddle)
    ]
    assert [record.aggregate_id for record in codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])][
        1
    ] == "t1"
    assert not due(run.shard.world, late, 10), "this leader tries it no more, and does not turn in circles"
    replayed = run.replayed()
    assert state_root(replayed) == state_root(run.shard)
    broken = False
    assert [timer.aggregate_id for timer in due(replayed.world, late, 10)] == ["t0"], "the next leader does"


def test_a_decision_of_more_events_than_one_may_become_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "FACTS_MAX", 10)
    run = lineages(3, 1)
    refusal = run.message(line("x", CancelSession(reason="stop the fleet"), "root-0"))[-1][-1]
    assert isinstance(refusal, Outcome)
    assert refusal.code is Code.TOO_LARGE
    assert "more than 10" in refusal.detail

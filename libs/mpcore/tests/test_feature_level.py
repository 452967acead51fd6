"""What came with a later release is recorded only once the log is at its feature level, which an operator raises."""

from pathlib import Path

import pytest
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine import turn as turns
from mpcore.engine.sealed import Sealed
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen, state_root, thaw
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact, Try
from mpschema import codec, levels
from mpschema.base import Event
from mpschema.envelope import Outcome
from mpschema.project import CreateProject
from mpschema.registry import COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.system import (
    CommandRejected,
    FeatureLevelRaised,
    LeaderElected,
    LineSurvived,
    LineTried,
    RaiseFeatureLevel,
)

from libs.mpcore.tests.story import OWNER, ROOT, Step, Story, acme

GOLDEN = Path(__file__).parents[3] / "libs" / "mpschema" / "tests" / "golden" / "commands"
NEWEST = levels.FEATURE_LEVEL
RAISE = Step(RaiseFeatureLevel(level=NEWEST), "log", ROOT, workspace_id="system")
MORE = Step(CreateProject("More"), "more")


@pytest.fixture
def log_of_before() -> Story:
    """A workspace in a log that an earlier release began."""
    story = acme()
    story.world.feature_level = NEWEST - 1
    return story


@pytest.fixture
def new_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `project.create` had come with the newest level."""
    monkeypatch.setitem(vars(COMMANDS["project.create"]), "since_level", NEWEST)


@pytest.mark.usefixtures("new_command")
def test_a_command_of_a_later_level_is_refused_until_an_operator_has_raised_the_log(log_of_before: Story) -> None:
    refusal = log_of_before.when(MORE).then_rejected(Code.INVALID_STATE)
    assert f"needs feature level {NEWEST}, and the log is at {NEWEST - 1}" in refusal.detail
    log_of_before.when(RAISE).then(FeatureLevelRaised(level=NEWEST))
    log_of_before.when(MORE).then_accepted()


@pytest.mark.usefixtures("new_command")
def test_who_may_not_give_the_command_is_told_nothing_of_levels(log_of_before: Story) -> None:
    log_of_before.when(MORE._replace(by="user:sam")).then_rejected(Code.DENIED)


def test_only_an_operator_of_the_deployment_raises_the_level(log_of_before: Story) -> None:
    log_of_before.when(RAISE._replace(by=OWNER)).then_rejected(Code.DENIED)


def test_the_level_only_rises_and_no_further_than_the_leader_reads(log_of_before: Story) -> None:
    beyond = Step(RaiseFeatureLevel(level=NEWEST + 1), "log", ROOT, workspace_id="system")
    log_of_before.when(beyond).then_rejected(Code.INVALID_STATE)
    log_of_before.given(RAISE)
    log_of_before.when(RAISE).then_rejected(Code.INVALID_STATE)


@pytest.mark.parametrize("wrong", [RAISE._replace(target="other"), RAISE._replace(workspace_id="acme")])
def test_there_is_one_log_to_raise(log_of_before: Story, wrong: Step) -> None:
    log_of_before.when(wrong).then_rejected(Code.SCHEMA_INVALID)


def elected(shard: Shard, *more: FeatureLevelRaised) -> Sealed:
    """A turn in which a kernel takes over, and perhaps raises the level."""
    turn = Turn(shard, 1, 1, RoleAuthorizer())
    for index, event in enumerate([LeaderElected(leader_epoch=1, node="k1"), *more]):
        turn.note(Fact("log", "log", event), f"election_1:{index}")
    return turn.seal("0" * 64)


def test_every_commit_says_its_level_and_the_first_level_goes_without_saying() -> None:
    shard = Shard()
    assert b"feature_level" not in elected(shard).data
    raised = elected(shard, FeatureLevelRaised(level=NEWEST))
    assert codec.split_commit(raised.data)[0].feature_level == elected(shard).header.feature_level == NEWEST


def test_the_level_is_part_of_the_state_root_and_of_a_snapshot() -> None:
    shard = Shard()
    root = state_root(shard)
    shard.world.feature_level = NEWEST
    assert state_root(shard) != root
    assert thaw(b"".join(Frozen(shard).chunks())).world.feature_level == NEWEST


def test_a_build_halts_at_a_commit_of_a_later_level(monkeypatch: pytest.MonkeyPatch) -> None:
    data = elected(Shard(), FeatureLevelRaised(level=NEWEST)).data
    monkeypatch.setattr(levels, "FEATURE_LEVEL", NEWEST - 1)
    with pytest.raises(
        codec.LevelTooHigh, match=f"at feature level {NEWEST}, this build reads up to level {NEWEST - 1}"
    ):
        codec.split_commit(data)


@pytest.mark.parametrize(
    ("level", "code", "told"), [(2, Code.INVALID_STATE, "undecidable: a riddle"), (3, Code.UNDECIDABLE, "a riddle")]
)
def test_a_refusal_is_recorded_and_answered_with_a_code_that_its_level_knows(
    monkeypatch: pytest.MonkeyPatch, level: int, code: Code, told: str
) -> None:
    monkeypatch.setattr(turns, "decide", lambda *_: (Rejection(Code.UNDECIDABLE, "a riddle"), None))
    shard = Shard()
    shard.world.feature_level = level
    turn = Turn(shard, 1, 1, RoleAuthorizer())
    turn.take(1, "replies", (GOLDEN / "task.create.v1.json").read_bytes())
    (record,) = codec.decode_records(codec.split_commit(turn.seal("0" * 64).data)[1])
    assert isinstance(record.event, CommandRejected)
    (outcome,) = turn.replies["replies"]
    assert isinstance(outcome, Outcome)
    assert (record.event.code, record.event.detail) == (outcome.code, outcome.detail) == (code, told)


def noted(shard: Shard, epoch: int, event: Event) -> None:
    """One event about the log, in a commit of its own."""
    turn = Turn(shard, epoch, 1, RoleAuthorizer())
    turn.note(Fact("log", "log", event), f"noted_{shard.world.seq}:0")


@pytest.mark.parametrize("level", [2, 3])
def test_elections_that_come_no_further_are_counted_from_level_3_on(level: int) -> None:
    shard = Shard()
    shard.world.feature_level = level
    for epoch in (1, 2):
        noted(shard, epoch, LeaderElected(leader_epoch=epoch, node="k1"))
    assert shard.world.unmoved_elections == (2 if level == 3 else 0)
    shard.consume(1)
    assert shard.world.unmoved_elections == 0


def test_tries_of_a_line_are_state_until_it_is_consumed_or_its_process_says_it_lives() -> None:
    shard = Shard()
    shard.consume(6, 2)
    for process in ("a", "b"):
        noted(shard, 1, LineTried(position=7, line=2, process=process))
    noted(shard, 1, LineSurvived(position=7, line=2, process="a"))
    thawed = thaw(b"".join(Frozen(shard).chunks()))
    assert shard.world.tries == thawed.world.tries == (Try(7, 2, "b"),)
    assert (thawed.command_position, thawed.command_line) == (6, 2)
    assert state_root(thawed) == state_root(shard)
    shard.consume(6, 2)
    assert shard.world.tries == (Try(7, 2, "b"),), "it went no further"
    shard.consume(6, 3)
    assert not shard.world.tries


def test_the_line_in_a_header_is_left_out_at_0() -> None:
    shard = Shard()
    assert b"command_line" not in elected(shard).data
    shard.consume(6, 2)
    header = codec.split_commit(elected(shard).data)[0]
    assert (header.command_position, header.command_line) == (6, 2)
    folded = Shard()
    folded.fold(header, [])
    assert (folded.command_position, folded.command_line) == (6, 2)

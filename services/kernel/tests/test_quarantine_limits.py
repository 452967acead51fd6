"""The begin and the end of the quarantine, and the tries that count."""

import pytest
from mpcore.engine.shard import Shard
from mpcore.state.facts import Try
from mpkernel import quarantine as quarantines
from mpkernel.ports import CommandMessage
from mpkernel.quarantine import ELECTIONS_BEFORE, TRIES, Quarantine, decide_tried
from mpschema.system import LineSurvived, LineTried

from services.kernel.tests.test_limits import Split
from services.kernel.tests.test_turn import CREATE, line


def message(position: int) -> CommandMessage:
    return CommandMessage(position, "replies", line(f"c-{position}", CREATE, f"t{position}"))


def stuck(consumed: int = 0) -> Quarantine:
    """A quarantine of a leader that finds the consumed position where those before it left it."""
    shard = Shard(command_position=consumed)
    shard.world.unmoved_elections = ELECTIONS_BEFORE + 1
    return Quarantine(shard, "k1")


def test_only_what_waited_at_the_election_may_have_killed() -> None:
    quarantine = stuck()
    quarantine.begin(2)
    assert quarantine.covers(message(2))
    assert not quarantine.covers(message(3))
    assert not quarantine.open, "and it is not opened again"
    assert not quarantine.covers(message(2))


def test_where_nothing_waits_nothing_killed() -> None:
    quarantine = stuck(consumed=7)
    quarantine.begin(7)
    assert not quarantine.open
    quarantine.begin(8)
    assert quarantine.open


def test_it_ends_after_more_lines_than_two_turns_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantines, "LINES_MAX", 3)
    quarantine = stuck()
    quarantine.begin(100)
    for position in (1, 2, 3):
        assert quarantine.covers(message(position))
        quarantine.trial(message(position))
    assert not quarantine.covers(message(4))


def test_who_tries_a_line_again_is_no_proof_against_it() -> None:
    """It lives: had the line ended it, this process would not be there to try it once more."""
    run = Split()
    tried = run.position + 1
    tries = tuple(Try(tried, 0, f"k{number}") for number in range(TRIES))
    lines = message(tried)
    whole, refused = decide_tried(run.turn(), lines, LineTried(tried, 0, tries[0].process), tries)
    assert (whole, refused) == (True, False)
    _, refused = decide_tried(run.turn(), message(tried + 1), LineTried(tried + 1, 0, "another"), tries)
    assert refused


def test_nobody_says_of_another_that_it_survived() -> None:
    shard = Shard()
    shard.world.tries = (Try(5, 1, "k1"), Try(5, 2, "k2"))
    assert Quarantine(shard, "k3").survived() is None
    assert Quarantine(shard, "k1").survived() == LineSurvived(5, 1, "k1")


@pytest.mark.parametrize(("level", "counted"), [(1, 0), (2, 0), (3, 1)])
def test_elections_that_came_no_further_count_from_the_level_on_that_knows_them(level: int, counted: int) -> None:
    """The roots of earlier logs stay what they were."""
    run = Split(level)
    run.decide(line("c", CREATE, "t1"))
    run.elect()
    assert run.shard.world.unmoved_elections == run.replayed().world.unmoved_elections == counted

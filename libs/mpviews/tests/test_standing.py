"""The reported status of a projection's build."""

from dataclasses import replace

import pytest
from mpviews.standing import BuildRow, BuildStatus, standing

LIVE = BuildRow(phase="serving", state="live", position=100, head=100, lag_seconds=0.0, owned=True, silent_seconds=0.4)


def test_lag_is_against_the_head_now_and_not_against_what_its_owner_saw() -> None:
    assert standing(LIVE, 7_900) == BuildStatus("live", 7_900, 7_800, 0.0)


def test_who_is_folded_by_nobody_is_unowned_and_grows_old() -> None:
    left = replace(LIVE, owned=False, silent_seconds=90.0)
    assert standing(left, 7_900) == BuildStatus("unowned", 7_900, 7_800, 90.0)
    assert standing(left, 100) == BuildStatus("unowned", 100, 0, 0.0)


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("phase", ["serving", "as_of"])
def test_halted_stays_halted_whoever_owns_it_and_whatever_it_is_for(owned: bool, phase: str) -> None:
    told = replace(LIVE, phase=phase, state="halted", owned=owned)
    assert standing(told, 200) == BuildStatus("halted", 200, 100, 0.0 if owned else 0.4)


def test_what_is_as_of_then_lags_behind_nothing() -> None:
    assert standing(replace(LIVE, phase="as_of", owned=False), 7_900) == BuildStatus("as_of", 7_900, 0, 0.0)


def test_where_the_head_is_not_known_the_row_must_do() -> None:
    assert standing(replace(LIVE, head=150), None) == BuildStatus("live", 150, 50, 0.0)

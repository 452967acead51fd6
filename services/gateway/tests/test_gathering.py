"""The memory that request bodies hold together: nobody takes the room of the others."""

import itertools

import pytest
from mpgateway.gathering import Gathering, TooMuchAtOnce


def test_nobody_holds_more_than_is_still_free() -> None:
    gathering = Gathering(total_max=16, principal_max=16)
    assert [_taken(gathering, name) for name in "abcd"] == [8, 4, 2, 1]
    assert gathering.total == 15


def _taken(gathering: Gathering, name: str) -> int:
    """Take bytes until refused, and return their number."""
    for held in itertools.count():
        try:
            gathering.take(name, 1)
        except TooMuchAtOnce as error:
            assert str(error).startswith(f"{name} sends too many large bodies at once")  # noqa: PT017 - the last of many
            return held
    raise AssertionError


def test_nobody_holds_more_than_its_own_share() -> None:
    gathering = Gathering(total_max=100, principal_max=10)
    gathering.take("a", 10)
    with pytest.raises(TooMuchAtOnce):
        gathering.take("a", 1)
    gathering.take("b", 10)


def test_what_is_refused_is_not_held_and_what_is_given_back_is_free_again() -> None:
    gathering = Gathering(total_max=20, principal_max=10)
    gathering.take("a", 6)
    with pytest.raises(TooMuchAtOnce):
        gathering.take("a", 5)
    assert gathering.total == 6
    gathering.take("a", 1)
    gathering.give_back("a", 7)
    assert gathering.total == 0
    gathering.take("a", 10)

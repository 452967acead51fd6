"""How far a figure may be off before the doctor names it."""

import pytest
from mpoperator.doctor.report import State
from mpoperator.doctor.servers import judge_room, judge_skew
from mpoperator.doctor.streams import judge_copies


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.2, State.OK), (-1.5, State.WARNING), (4.9, State.WARNING), (-5.1, State.PROBLEM)]
)
def test_clocks_that_differ(seconds: float, state: State) -> None:
    assert judge_skew("clock nats", seconds).state is state


@pytest.mark.parametrize(("used", "state"), [(10, State.OK), (85, State.WARNING), (96, State.PROBLEM)])
def test_storage_that_fills(used: int, state: State) -> None:
    assert judge_room("nats storage", used, 100, "are used", "make room").state is state


@pytest.mark.parametrize(
    ("copies", "nodes", "state"),
    [(1, 1, State.OK), (3, 3, State.OK), (3, 5, State.OK), (1, 3, State.PROBLEM), (1, None, State.UNKNOWN)],
)
def test_copies_that_are_too_few_for_the_nodes(copies: int, nodes: int | None, state: State) -> None:
    assert judge_copies("copies", copies, nodes, "again").state is state

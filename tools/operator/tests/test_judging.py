"""Limits of figures beyond which the doctor names them."""

import pytest
from mpoperator.doctor.examination import deduced
from mpoperator.doctor.report import DoctorCheck, DoctorReport, State, follows, ok, problem, unknown, warning
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


def _report(*checks: DoctorCheck) -> dict[str, str]:
    return {check.name: check.because for check in DoctorReport.of(deduced(list(checks))).checks}


def test_what_no_kernel_does_follows_from_the_kernels_where_none_is_well() -> None:
    stuck = (problem("leader", "nobody leads", "start"), problem("progress", "nothing moves", "look"))
    first, second = problem("service kernel-1", "does not answer", ""), ok("service kernel-2", "ready")
    assert _report(*stuck, first) == {"leader": first.name, "progress": first.name, first.name: ""}
    assert _report(*stuck, first, second)["progress"] == "leader", "a kernel that is well could lead"
    assert _report(*stuck, first, second)["leader"] == ""
    assert _report(ok("leader", "x leads"), stuck[1], first)["progress"] == first.name
    foreign = problem("log chain", "every reader halts", "mpctl log mend ./kept")
    halted = follows(first, "log chain")
    assert _report(foreign, *stuck, halted)["progress"] == "log chain", "the first cause is named"


def test_a_closed_door_follows_from_nats_alone() -> None:
    closed = warning("concern gateway-1", "the door is closed: what is known of the log ends at event 8")
    away = problem("nats", "NATS is away", "start")
    assert _report(away, closed)["concern gateway-1"] == "nats"
    assert _report(ok("nats", "answers"), closed)["concern gateway-1"] == ""


def test_a_line_that_names_itself_is_a_cause() -> None:
    assert _report(unknown("log chain", "could not be looked at", because="log chain")) == {"log chain": ""}

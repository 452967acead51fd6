"""Processes that end are started again, ever more patiently while they keep ending."""

from __future__ import annotations

from pathlib import Path

from mpd.process import ChildProcess
from mpd.services import ServiceProcess
from mpd.supervisor import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, STABLE_SECONDS, Watch


def _watch() -> Watch:
    return Watch(ChildProcess("kernel-1", ["true"], Path("kernel-1.log")))


def test_each_end_doubles_the_wait_up_to_a_limit() -> None:
    watch, waits = _watch(), []
    for _ in range(10):
        watch.ended(now=0.0)
        waits.append(watch.backoff_seconds)
        watch.started(now=0.0)
    assert waits[:3] == [BACKOFF_FIRST_SECONDS, 2 * BACKOFF_FIRST_SECONDS, 4 * BACKOFF_FIRST_SECONDS]
    assert waits[-1] == BACKOFF_MAX_SECONDS
    assert watch.restarts == 10


def test_a_process_that_ran_for_long_is_trusted_again() -> None:
    watch = _watch()
    for _ in range(5):
        watch.ended(now=0.0)
    watch.started(now=0.0)
    watch.ended(now=STABLE_SECONDS + 1)
    assert watch.backoff_seconds == BACKOFF_FIRST_SECONDS


def test_the_state_of_a_process_that_never_ran_says_so() -> None:
    assert _watch().state() == {
        "name": "kernel-1", "pid": None, "running": False, "ready": False, "restarts": 0, "exit_code": None
    }  # fmt: skip


class Answering(ServiceProcess):
    """A service without a program, which answers as it is told."""

    alive = True

    def __init__(self) -> None:
        super().__init__("projector", "projector-1", 0, Path("projector-1.log"), {})

    def is_alive(self) -> bool:
        return self.alive


def test_a_service_is_stuck_for_as_long_as_it_has_not_been_alive() -> None:
    service = Answering()
    watch = Watch(service)
    assert watch.stuck_seconds(now=100.0) == 0
    service.alive = False
    assert [watch.stuck_seconds(now=at) for at in (101.0, 104.0, 110.0)] == [0, 3, 9]
    service.alive = True
    assert watch.stuck_seconds(now=112.0) == 0


def test_a_silence_that_nobody_listened_to_does_not_count() -> None:
    service = Answering()
    watch = Watch(service)
    assert watch.stuck_seconds(now=100.0) == 0
    service.alive = False
    assert watch.stuck_seconds(now=200.0) == 0, "it was asked once"

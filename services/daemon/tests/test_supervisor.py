"""Processes that end are started again, ever more patiently while they keep ending; so are those beyond help."""

from __future__ import annotations

import sys
from pathlib import Path

from mpd.process import ChildProcess
from mpd.services import ServiceProcess
from mpd.stack import Stack
from mpd.supervisor import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, STABLE_SECONDS, Supervisor, Watch


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


class Clock:
    """Stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Sleeper(ChildProcess):
    """A program that runs and answers nothing, unless `answers` is set."""

    stuck_seconds_max = 10.0
    answers = True

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        super().__init__("sleeper", command, folder / "sleeper.log", ready=lambda: self.answers)


def _supervisor(folder: Path, process: ChildProcess, clock: Clock) -> Supervisor:
    stack = Stack(folder, kernels=0, projectors=0, gateways=0)
    stack.servers[:] = [process]
    return Supervisor(stack, clock)


def test_a_process_that_runs_and_does_not_answer_is_started_again(tmp_path: Path) -> None:
    sleeper, clock = Sleeper(tmp_path), Clock()
    sleeper.start()
    first, supervisor = sleeper.pid, _supervisor(tmp_path, sleeper, clock)
    sleeper.answers = False
    for clock.now in (0.0, 9.0):
        supervisor.tend()
        assert sleeper.running
    for clock.now in (11.0, 11.1):
        supervisor.tend()
    sleeper.answers, clock.now = True, 12.0
    supervisor.tend()
    assert sleeper.running
    assert sleeper.pid != first
    sleeper.kill()


def test_a_process_that_recovers_in_time_is_left_alone(tmp_path: Path) -> None:
    sleeper, clock = Sleeper(tmp_path), Clock()
    sleeper.start()
    first, supervisor = sleeper.pid, _supervisor(tmp_path, sleeper, clock)
    for clock.now, sleeper.answers in ((0.0, False), (9.0, True), (10.0, False), (19.0, False)):
        supervisor.tend()
    assert sleeper.pid == first
    sleeper.kill()


def test_a_disk_without_room_does_not_end_the_supervisor(tmp_path: Path) -> None:
    sleeper, clock = Sleeper(tmp_path), Clock()
    supervisor = _supervisor(tmp_path, sleeper, clock)
    supervisor.tend()
    sleeper.log_path = Path("/dev/full/sleeper.log")  # Nothing can be made below a file.
    clock.now = BACKOFF_FIRST_SECONDS
    supervisor.tend()
    assert not sleeper.running
    sleeper.log_path = tmp_path / "sleeper.log"
    clock.now += BACKOFF_MAX_SECONDS
    supervisor.tend()
    assert sleeper.running
    sleeper.kill()


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

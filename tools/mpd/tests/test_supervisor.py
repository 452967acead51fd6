"""Processes that end are started again, ever more patiently while they keep ending; so are those beyond help."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from mpd.process import ChildProcess, ServerFailed
from mpd.stack import Stack
from mpd.supervisor import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, STABLE_SECONDS, SupervisedProcess, Supervisor
from structlog.testing import capture_logs


def _watch() -> SupervisedProcess:
    return SupervisedProcess(ChildProcess("kernel-1", ["true"], Path("kernel-1.log")))


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
        "name": "kernel-1", "pid": None, "running": False, "ready": False, "says": "", "restarts": 0, "exit_code": None
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

    def __init__(self, folder: Path, name: str = "sleeper") -> None:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        super().__init__(name, command, folder / f"{name}.log", ready=lambda: self.answers)


def _supervisor(folder: Path, process: ChildProcess, clock: Clock, *others: ChildProcess) -> Supervisor:
    stack = Stack(folder, kernels=0, projectors=0, gateways=0)
    stack.servers[:] = [process, *others]
    return Supervisor(stack, clock)


def test_a_process_that_runs_and_does_not_answer_is_started_again(tmp_path: Path) -> None:
    sleeper, clock = Sleeper(tmp_path), Clock()
    sleeper.start()
    first, supervisor = sleeper.pid, _supervisor(tmp_path, sleeper, clock)
    sleeper.answers = False
    for clock.now in (0.0, 9.0):
        supervisor.tend()
        assert sleeper.running
    clock.now = 11.0
    supervisor.tend()
    sleeper.wait(10)
    supervisor.tend()
    sleeper.answers, clock.now = True, 12.0
    supervisor.tend()
    assert sleeper.running
    assert sleeper.pid != first
    sleeper.kill()


def test_the_last_words_of_one_that_is_stuck_are_its_own_and_of_that_time(tmp_path: Path) -> None:
    sleeper, clock = Sleeper(tmp_path), Clock()
    sleeper.of_others = ("authentication error",)
    sleeper.start()
    supervisor = _supervisor(tmp_path, sleeper, clock)
    with sleeper.log_path.open("a") as log:
        log.write("of before\n")
        log.flush()
        sleeper.answers = False
        supervisor.tend()
        with capture_logs() as told:
            log.write('[ERR] authentication error - User ""\n')
            log.flush()
            clock.now = 11.0
            supervisor.tend()
    sleeper.wait(10)
    assert [(line["event"], line["said"]) for line in told] == [("process is stuck", "")]
    assert sleeper.last_words() == "of before"


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


def test_one_that_does_not_become_ready_keeps_nobody_from_being_started(tmp_path: Path) -> None:
    clock, server, service = Clock(), Sleeper(tmp_path, "server"), Sleeper(tmp_path, "service")
    service.answers, service.start_seconds_max = False, 3.0
    supervisor = _supervisor(tmp_path, server, clock, service)
    supervisor.tend()  # Both are found dead.
    server.spawn()
    clock.now = BACKOFF_FIRST_SECONDS
    supervisor.tend()  # The service is started; it waits for its server, which dies in that moment.
    server.kill()
    for clock.now in (1.0, 1.0 + BACKOFF_MAX_SECONDS):
        supervisor.tend()
    assert service.running
    assert server.running
    for process in (server, service):
        process.kill()


def test_the_dead_are_started_servers_first(tmp_path: Path) -> None:
    clock, started = Clock(), list[str]()

    class Told(Sleeper):
        def spawn(self) -> None:
            started.append(self.name)
            super().spawn()

    server, service = Told(tmp_path, "server"), Told(tmp_path, "service")
    supervisor = _supervisor(tmp_path, server, clock, service)
    for clock.now in (0.0, BACKOFF_FIRST_SECONDS):
        supervisor.tend()
    assert started == ["server", "service"]
    for process in (server, service):
        process.kill()


def test_who_has_much_to_read_at_its_start_is_given_more_time_each_time(tmp_path: Path) -> None:
    sleeper, clock = Sleeper(tmp_path), Clock()
    sleeper.answers, sleeper.start_seconds_max = False, 60.0
    supervisor = _supervisor(tmp_path, sleeper, clock)
    lives = []
    for patience in (60.0, 120.0, 240.0):
        clock.now += BACKOFF_MAX_SECONDS
        for _ in range(2):  # Found dead, then started after its backoff.
            supervisor.tend()
            clock.now += BACKOFF_MAX_SECONDS
        supervisor.tend()
        clock.now += patience
        supervisor.tend()
        lives.append(sleeper.running)
        clock.now += 2.0
        supervisor.tend()
        sleeper.wait(10)
    assert lives == [True, True, True]


def test_those_who_hang_are_asked_at_the_same_time(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=30)

    class Hanging(Sleeper):
        def is_alive(self) -> bool:
            together.wait()  # Asked one after the other, the first would wait for the second for ever.
            return True

    hanging = [Hanging(tmp_path, f"hanging-{number}") for number in range(3)]
    for process in hanging:
        process.spawn()
    _supervisor(tmp_path, hanging[0], Clock(), *hanging[1:]).tend()
    assert not together.broken
    for process in hanging:
        process.kill()


def test_a_start_ends_at_once_when_a_server_ends_meanwhile(tmp_path: Path) -> None:
    server, service = Sleeper(tmp_path, "server"), Sleeper(tmp_path, "service")
    server.start()
    service.answers = False
    service.spawn()
    server.kill()
    with pytest.raises(ServerFailed, match="server: ended with exit code -9 before service was ready"):
        service.wait_ready(needs=[server])
    service.kill()


def _asked(watch: SupervisedProcess, at: float, alive: bool) -> float:
    watch.answered(alive, at)
    return watch.stuck_seconds(at)


def test_a_service_is_stuck_for_as_long_as_it_has_not_been_alive() -> None:
    watch = _watch()
    assert _asked(watch, 100.0, alive=True) == 0
    assert [_asked(watch, at, alive=False) for at in (101.0, 104.0, 110.0)] == [0, 3, 9]
    assert _asked(watch, 112.0, alive=True) == 0


def test_a_silence_that_nobody_listened_to_does_not_count() -> None:
    watch = _watch()
    assert _asked(watch, 100.0, alive=True) == 0
    assert _asked(watch, 200.0, alive=False) == 0, "it was asked once"

"""`mpd` says what is wrong and exits with a code that means it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
from click.testing import CliRunner, Result
from mpd.cli import main
from mpd.installation import exclusive
from mpd.ports import HOST, free_port
from mpd.supervisor import state_path

from tests.support import eventually_sync


def _mpd(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("command", ["start", "status", "stop", "logs"])
def test_every_command_has_help_with_examples(command: str) -> None:
    result = _mpd(command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output


def test_a_second_start_on_the_same_folder_says_so_and_exits_with_3(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        for mode in ([], ["--detach"]):
            result = _mpd("start", "--data", str(tmp_path), *mode)
            assert result.exit_code == 3
            assert "already running" in result.output


def test_status_and_stop_exit_with_3_when_nothing_runs(tmp_path: Path) -> None:
    for command in ("status", "stop"):
        result = _mpd(command, "--data", str(tmp_path))
        assert result.exit_code == 3
        assert "nothing is running" in result.output


def test_status_as_json_is_json_even_when_nothing_runs(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--json", "--data", str(tmp_path)])
    assert json.loads(result.stdout) == {"phase": "stopped", "processes": []}


def test_status_is_not_headed_ready_while_a_process_is_not(tmp_path: Path) -> None:
    names = {"nats": True, "kernel-1": False, "relay-1": False}
    processes = [{"name": name, "pid": 1, "ready": ok, "running": True, "restarts": 0} for name, ok in names.items()]
    state = {"phase": "ready", "url": "http://127.0.0.1:1", "pid": os.getpid(), "processes": processes}
    with exclusive(tmp_path):
        state_path(tmp_path).write_text(json.dumps(state))
        result = _mpd("status", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "not ready: 2 of 3 processes (kernel-1, relay-1)" in " ".join(result.output.split())


@contextmanager
def _stopped_program() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as program:
        os.kill(program.pid, signal.SIGSTOP)
        eventually_sync(lambda: psutil.Process(program.pid).status() == psutil.STATUS_STOPPED)
        yield program.pid
        program.kill()


def test_status_does_not_believe_an_mpd_that_has_said_nothing_for_long(tmp_path: Path) -> None:
    processes = [{"name": "nats", "pid": 1, "ready": True, "running": True, "restarts": 0}]
    state = {"phase": "ready", "url": "http://127.0.0.1:1", "processes": processes}
    with exclusive(tmp_path), _stopped_program() as pid:
        for seconds, code in ((0, 0), (60, 1)):
            told = {**state, "pid": pid, "written_uptime_seconds": time.monotonic() - seconds}
            state_path(tmp_path).write_text(json.dumps(told))
            result = _mpd("status", "--data", str(tmp_path))
            assert result.exit_code == code, result.output
        said = " ".join(result.output.split())
        assert f"mpd itself (pid {pid}) has said nothing for 6" in said
        assert f"`kill -CONT {pid}` lets it go on" in said
        assert "not known (it was ready)" in said
        told = json.loads(_mpd("status", "--json", "--data", str(tmp_path)).stdout)
    assert told["silence"].startswith("mpd itself")


class _Halted(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(
            {"waits_for": "NATS does not answer", "concerns": [f"of {self.connection.getsockname()[1]}"]}
        ).encode()
        self.send_response(503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tell nobody."""


def test_status_tells_a_sentence_once_with_everybody_who_says_it(tmp_path: Path) -> None:
    with ExitStack() as open_:
        doors = {}
        for name in ("kernel-1", "relay-1"):
            door = open_.enter_context(ThreadingHTTPServer((HOST, 0), _Halted))
            Thread(target=door.serve_forever, daemon=True).start()
            open_.callback(door.shutdown)
            doors[name] = door.server_port
        processes = [{"name": each, "pid": 1, "ready": False, "running": True, "restarts": 0} for each in doors]
        state = {"phase": "ready", "url": "http://127.0.0.1:1", "pid": os.getpid(), "processes": processes}
        services = {name: f"http://{HOST}:{port}" for name, port in doors.items()}
        (tmp_path / "operator.json").write_text(json.dumps({"services": services}))
        open_.enter_context(exclusive(tmp_path))
        state_path(tmp_path).write_text(json.dumps(state))
        lines = _mpd("status", "--data", str(tmp_path)).output.splitlines()
    assert [line for line in lines if "NATS" in line] == ["kernel-1, relay-1: NATS does not answer"]
    assert f"relay-1: of {doors['relay-1']}" in lines, "another's sentence stays its own"


def test_a_taken_http_port_is_wrong_usage(tmp_path: Path) -> None:
    with socket.create_server((HOST, free_port())) as server:
        result = _mpd("start", "--data", str(tmp_path), "--http-port", str(server.getsockname()[1]))
    assert result.exit_code == 2
    assert "is taken" in result.output


def test_a_taken_port_that_nobody_chose_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"gateway-1": port}))
        command = [sys.executable, "-m", "mpd", "start", "--data", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as starting:
            assert starting.stderr is not None
            told = starting.stderr.readline()
            starting.terminate()
            starting.communicate(timeout=60)
    assert told.startswith(f"port {port} is taken by another program: the API takes the next free one")
    assert "--http-port PORT" in told


def test_logs_of_an_unknown_process_name_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "nats.log").write_text("hello\n")
    assert _mpd("logs", "--data", str(tmp_path)).output == "nats         hello\n"
    unknown = _mpd("logs", "--data", str(tmp_path), "kernel-7")
    assert unknown.exit_code == 1
    assert "there are: nats" in unknown.output


def test_without_a_home_it_asks_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MP_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    for command in ("start", "status", "stop", "logs"):
        result = _mpd(command)
        assert result.exit_code == 2
        assert "this user has no home folder: say by --data or MP_HOME where the data go" in result.output


@pytest.mark.parametrize("mode", [[], ["--detach"]])
def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path, mode: list[str]) -> None:
    (tmp_path / "file").touch()
    result = _mpd("start", "--data", str(tmp_path / "file" / "data"), *mode)
    assert result.exit_code == 1
    assert "cannot be made (Not a directory): say by --data or MP_HOME where the data go" in result.output

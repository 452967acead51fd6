"""The whole of it as real processes: comes up, heals itself, stops in order, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mpd.installation import read_state, running_pid
from mpd.ports import free_port
from mpd.process import ChildProcess, ServerFailed
from mpd.stack import Stack
from mpd.supervisor import Supervisor, state_path

from tests.support import eventually_sync
from tests.support.plugin import StackFactory

START_SECONDS_MAX = 120.0


@contextmanager
def _mpd_start(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`mpd start` in the foreground, ready. Killed at the end if it still runs."""
    command = [sys.executable, "-m", "mpd", "start", "--data", str(folder), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            eventually_sync(lambda: process.poll() is not None or _phase(folder) == "ready", START_SECONDS_MAX)
            if process.poll() is not None:
                assert process.stdout is not None
                pytest.fail(f"mpd ended with exit code {process.returncode}: {process.stdout.read()}")
            yield process
        finally:
            process.kill()


def _phase(folder: Path) -> Any:
    return read_state(folder)["phase"]


def _process(folder: Path, name: str) -> dict[str, Any]:
    return next(process for process in read_state(folder)["processes"] if process["name"] == name)


def _api(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.root_key}"}, timeout=30)


def _was_restarted(folder: Path, name: str) -> bool:
    return bool(_process(folder, name)["restarts"] == 1)


def _mpd(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mpd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS_MAX, check=False)


def test_a_stack_is_ready_when_start_returns_and_down_when_stop_returns(new_stack: StackFactory) -> None:
    stack = new_stack(kernels=2, relays=1)
    assert all(process.is_ready() for process in stack.processes)
    stack.stop()
    assert not any(process.running for process in stack.processes)
    assert [service.exit_code for service in stack.services] == [0] * len(stack.services)


def test_a_stack_goes_on_where_it_was(tmp_path: Path) -> None:
    port = free_port()
    with Stack(tmp_path, http_port=port) as first:
        client = json.loads((tmp_path / "client.json").read_text())
        with _api(first) as api:
            created = api.post("/v1/workspaces", json={"name": "kept"}, headers={"Idempotency-Key": "one"})
        assert created.status_code == 201
    assert client == {"url": f"http://127.0.0.1:{port}", "api_key": first.root_key}
    for name in ("client.json", "operator.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    told = json.loads((tmp_path / "operator.json").read_text())
    assert told["nats_url"] == first.nats_url
    assert "PUBLIC KEY" in Path(told["public_key_file"]).read_text()
    with Stack(tmp_path, http_port=port) as second:
        assert second.root_key == first.root_key
        with _api(second) as api:
            listed = api.get("/v1/workspaces").json()["items"]
    assert [workspace["name"] for workspace in listed] == ["kept"]


def test_a_stack_whose_port_was_taken_does_not_take_the_other_for_itself(stack: Stack, tmp_path: Path) -> None:
    rival = Stack(tmp_path / "rival", http_port=stack.gateways[0].port)
    with pytest.raises(ServerFailed, match="gateway-1: ended with exit code"):
        rival.start()
    assert not any(process.running for process in rival.processes)


def test_killed_processes_are_started_again(tmp_path: Path) -> None:
    with _mpd_start(tmp_path, "--http-port", str(free_port())):
        for name in ("kernel-1", "projector-1", "gateway-1", "valkey", "postgres", "nats"):
            os.kill(_process(tmp_path, name)["pid"], signal.SIGKILL)
            eventually_sync(partial(_was_restarted, tmp_path, name), 30)
        eventually_sync(lambda: all(process["ready"] for process in read_state(tmp_path)["processes"]), 30)


@contextmanager
def _supervised(stack: Stack, stuck_seconds_max: float) -> Iterator[None]:
    """A started stack under a supervisor that soon loses patience."""
    for service in stack.services:
        service.stuck_seconds_max = stuck_seconds_max
    supervisor = Supervisor(stack)
    watching = threading.Thread(target=supervisor.watch)
    watching.start()
    try:
        yield
    finally:
        supervisor.stop()
        watching.join()


def _restarted(stack: Stack) -> list[str]:
    """Return the processes that were started again, as the supervisor last wrote down."""
    state = json.loads(state_path(stack.folder).read_text())
    return [process["name"] for process in state["processes"] if process["restarts"]]


def test_a_service_that_hangs_is_started_again_and_one_that_waits_for_its_server_is_not(
    new_stack: StackFactory,
) -> None:
    stack = new_stack(relays=1, settings={"projector": {"MP_PROJECTION_STALL_SECONDS": "1"}})
    with _supervised(stack, stuck_seconds_max=2.0):
        stack.nats.pause()
        since = time.monotonic()
        eventually_sync(lambda: time.monotonic() > since + 5)
        assert _restarted(stack) == []
        stack.nats.resume()
        stack.process("projector-1").pause()
        eventually_sync(lambda: _restarted(stack) == ["projector-1"], 30)
        eventually_sync(stack.process("projector-1").is_ready)


def _is_anew(server: ChildProcess, before: int) -> bool:
    return server.pid != before and server.is_ready()


def test_a_server_that_hangs_is_started_again(new_stack: StackFactory) -> None:
    stack = new_stack()
    for server in stack.servers:
        assert server.stuck_seconds_max is not None
        server.stuck_seconds_max = 2.0
    with _supervised(stack, stuck_seconds_max=60.0):
        for server in stack.servers:
            hung = server.pid
            os.kill(hung, signal.SIGSTOP)
            eventually_sync(partial(_is_anew, server, hung), 60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with _mpd_start(tmp_path, "--http-port", str(free_port())) as mpd:
        children = psutil.Process(mpd.pid).children(recursive=True)
        mpd.send_signal(number)
        assert mpd.wait(30) == 0
    assert not any(child.is_running() for child in children)
    assert running_pid(tmp_path) is None


def test_detached_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    started = _mpd("start", "--detach", "--json", "--data", str(tmp_path), "--http-port", str(port), "--kernels", "2")
    assert started.returncode == 0, started.stdout + started.stderr
    assert json.loads(started.stdout)["url"] == f"http://127.0.0.1:{port}"
    try:
        assert _mpd("start", "--data", str(tmp_path)).returncode == 3
        status = _mpd("status", "--json", "--data", str(tmp_path))
        assert status.returncode == 0, status.stdout
        assert {process["name"] for process in json.loads(status.stdout)["processes"]} >= {
            "kernel-1",
            "kernel-2",
            "relay-1",
        }
        assert "Server is ready" in _mpd("logs", "--data", str(tmp_path), "nats").stdout
    finally:
        stopped = _mpd("stop", "--data", str(tmp_path))
    assert stopped.returncode == 0
    assert _mpd("status", "--data", str(tmp_path)).returncode == 3

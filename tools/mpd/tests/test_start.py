"""A start ends well where everybody lives: whoever is halted or waits says so, and what mends it finds the servers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from mpbus.connect import connect
from mpbus.ingest import log_ingest
from mpd.installation import read_state
from mpd.ports import free_port
from mpd.process import ChildProcess, ServerFailed
from mpd.services import sentences
from mpd.stack import Stack
from mpd.starting import REST_SECONDS, Facts, Patience, Rest, wait_settled
from mpschema.subjects import command_stream, command_subject
from mpservice.rights import PROVISION

from tests.support import eventually_sync
from tests.support.shifted_kernel import OFFSET_FILE
from tests.support.users import GATEWAY, KERNEL

BIN = Path(sys.executable).parent
SECONDS_MAX = 240.0


def _run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, environment = [str(BIN / program), *arguments], os.environ | {"MP_HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False, env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Data on which mpd may be left running."""
    yield tmp_path / "data"
    _run(tmp_path / "data", "mpd", "stop")


async def _foreign_message(stack: Stack) -> None:
    stolen = await connect(stack.bus(KERNEL), "stolen")
    js = stolen.jetstream(timeout=30)
    await js.publish(await log_ingest(js, "0"), b"nobody of ours was me")
    await stolen.close()


async def _commands_made_anew(stack: Stack) -> None:
    provision = await connect(stack.bus(PROVISION), "careless")
    await provision.jetstream(timeout=30).delete_stream(command_stream("0"))
    await provision.close()
    await asyncio.to_thread(stack.prepare)
    gateway = await connect(stack.bus(GATEWAY), "late")
    await gateway.jetstream(timeout=30).publish(command_subject("0"), b"{}")
    await gateway.close()


def _hurt(folder: Path, how: Callable[[Stack], Coroutine[None, None, None]]) -> None:
    stack = Stack(folder, relays=1, http_port=free_port())
    stack.start()
    workspace = str(folder.parent / "workspace")
    assert _run(folder, "mpctl", "workspace", "init", workspace).returncode == 0
    for name in ("a", "b", "c"):
        assert _run(folder, "mpctl", "project", "create", "--workspace", workspace, "--name", name).returncode == 0
    for service in stack.services:
        service.stop()
    asyncio.run(how(stack))
    stack.stop()


def _told(status: subprocess.CompletedProcess[str], words: str) -> list[str]:
    return [line for line in (status.stdout + status.stderr).splitlines() if words in line]


def test_a_halted_log_leaves_everything_started_says_so_once_and_can_be_mended(folder: Path, tmp_path: Path) -> None:
    _hurt(folder, _foreign_message)
    started = _run(folder, "mpd", "start", "--detach", "--no-webhooks")
    assert started.returncode == 0, started.stdout + started.stderr
    assert "Started, and not ready: kernel-1" in started.stderr
    assert len(_told(started, "a foreign message stands there")) == 1
    status = _run(folder, "mpd", "status")
    assert status.returncode == 1
    assert len(_told(status, "a foreign message stands there")) == 1
    assert _told(status, "a foreign message stands there")[0].startswith("kernel-1, relay-1")
    pids = {process["name"]: process["pid"] for process in read_state(folder)["processes"]}
    assert all(pids.values())
    mended = _run(folder, "mpctl", "log", "mend", str(tmp_path / "kept"))
    assert mended.returncode == 0, mended.stdout + mended.stderr
    eventually_sync(lambda: _run(folder, "mpd", "status").returncode == 0, 60)
    assert {process["name"]: process["pid"] for process in read_state(folder)["processes"]} == pids


def test_a_command_stream_made_anew_leaves_everything_started(folder: Path) -> None:
    _hurt(folder, _commands_made_anew)
    started = _run(folder, "mpd", "start", "--detach", "--no-webhooks")
    assert started.returncode == 0, started.stdout + started.stderr
    assert len(_told(started, "MP_CMD_0 was made anew")) == 1


def test_while_it_starts_the_state_has_pids_and_what_came_so_far(folder: Path) -> None:
    stack = Stack(folder, http_port=free_port())
    seen = list[dict[str, Any]]()

    def whoever_starts() -> bool:
        state = read_state(folder)
        if state["phase"] == "starting" and state["processes"]:
            seen.append(state)
        return bool(state["phase"] == "ready")

    command = [str(BIN / "mpd"), "start", "--data", str(folder), "--http-port", str(stack.gateways[0].port), "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as mpd:
        eventually_sync(whoever_starts, SECONDS_MAX)
        mpd.terminate()
    assert any(process["pid"] for state in seen for process in state["processes"])
    assert len({state["written_uptime_seconds"] for state in seen}) > 1


def test_a_stack_that_has_to_be_whole_ends_at_once_with_the_cause(folder: Path) -> None:
    _hurt(folder, _foreign_message)
    stack, began = Stack(folder, http_port=free_port()), time.monotonic()
    with pytest.raises(ServerFailed, match=r"is not ready: .*a foreign message stands there"):
        stack.start()
    assert time.monotonic() - began < SECONDS_MAX / 4
    assert not any(process.running for process in stack.processes)


def test_who_waits_for_what_does_not_come_is_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpd.starting.REST_SECONDS", 3.0)
    nobody = {"webhooks": {"MP_POSTGRES_DSN": f"postgresql://mp_webhooks@127.0.0.1:{free_port()}/moduprompt"}}
    stack = Stack(folder, webhooks=1, http_port=free_port(), settings=nobody)
    stack.start(whole=False)
    (name, reason), *others = wait_settled(stack.services).items()
    assert (name, others) == ("webhooks-1", [])
    assert "PostgreSQL does not answer" in reason
    stack.stop()


def test_a_kernel_whose_clock_is_off_is_started_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpd.starting.REST_SECONDS", 3.0)
    offset = tmp_path / "offset"
    offset.write_text("3600")
    stack = Stack(folder, http_port=free_port(), settings={"kernel": {OFFSET_FILE: str(offset)}})
    stack.kernels[0].command = [sys.executable, "-m", "tests.support.shifted_kernel"]
    stack.start(whole=False)
    assert "ahead of the NATS server's" in wait_settled(stack.services)["kernel-1"]
    offset.write_text("0")
    eventually_sync(stack.kernels[0].is_ready, 60)
    stack.stop()


class Clock:
    """Stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_patience_ends_with_the_work_and_not_with_the_clock() -> None:
    clock, used = Clock(), [0.0]
    patience = Patience(lambda: used[0], 60.0, clock)
    for _ in range(20):
        clock.now, used[0] = clock.now + 50, used[0] + 1
        assert not patience.over
    clock.now += 59
    assert not patience.over
    clock.now += 2
    assert patience.over


def test_a_program_that_works_is_waited_for_longer_than_one_that_does_nothing_may_take(tmp_path: Path) -> None:
    work = "import time\nwhile time.process_time() < 3: pass\nprint('done', flush=True)\ntime.sleep(600)"
    child = ChildProcess(
        "busy", [sys.executable, "-c", work], tmp_path / "log", ready=lambda: "done" in child.log_tail()
    )
    child.start_seconds_max = 2.0
    child.start()
    child.kill()


def _is_done(child: ChildProcess) -> bool:
    return "done" in child.log_tail()


def _rest(*told: Facts | None, seconds: float) -> bool:
    clock = Clock()
    rest, found = Rest(clock), False
    for facts in told:
        found = rest.reached(facts)
        clock.now += seconds
    return found


def test_who_is_halted_rests_at_once_and_who_waits_after_a_while() -> None:
    assert _rest({"ready": False, "halted_by": "x"}, seconds=0)
    waiting: dict[str, object] = {"ready": False, "waits_for": "NATS does not answer"}
    assert not _rest(waiting, waiting, seconds=REST_SECONDS - 1)
    assert _rest(waiting, waiting, seconds=REST_SECONDS + 1)


def test_who_reads_on_or_waits_for_the_next_thing_gets_on() -> None:
    assert not _rest(*({"ready": False, "seq": seq} for seq in range(5)), seconds=REST_SECONDS + 1)
    assert not _rest({"waits_for": "it starts"}, {"waits_for": "the log is read"}, seconds=REST_SECONDS + 1)
    assert not _rest(None, None, seconds=REST_SECONDS + 1), "who says nothing is not known to live"
    ahead = ({"ready": False, "clock": f"the clock is {n} s ahead", "clock_ahead_seconds": n / 3} for n in range(5))
    assert _rest(*ahead, seconds=REST_SECONDS + 1), "a figure that moves is no progress"


def test_a_service_says_what_hinders_it_and_what_it_goes_without() -> None:
    told = json.loads(b'{"ready": true, "nats": "ok", "postgres": "PostgreSQL does not answer", "redis": "ok"}')
    assert sentences(told) == ["PostgreSQL does not answer"]
    clock = {"ready": False, "role": "starting", "lease": "ok", "clock": "the clock is 60 s ahead of the server's"}
    assert sentences(clock) == ["the clock is 60 s ahead of the server's"]
    assert sentences({"ready": True, "nats": "ok", "postgres": "postgres was not reached yet"}) == []
    assert sentences({"ready": False, "node": "x", "role": "starting"}) == ["node: x", "role: starting"]

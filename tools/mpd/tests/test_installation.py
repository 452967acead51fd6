"""A data folder has one owner at a time; its secrets, ports and logs outlive every start."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from mpd import logs
from mpd.installation import AlreadyRunning, NotRunning, exclusive, read_state, running_pid, stop
from mpd.keys import ensure_keys
from mpd.ports import FIRST, HOST, LAST, PortBook, free_port, is_free, next_free_port
from mpd.process import ChildProcess
from mpd.servers import PostgresServer
from mpd.stack import Stack

HOLD = (
    "import sys, threading; from pathlib import Path; from mpd.installation import exclusive\n"
    "with exclusive(Path(sys.argv[1])): print('held', flush=True); threading.Event().wait()\n"
)


def test_a_folder_has_one_owner_and_is_free_when_the_owner_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        assert running_pid(tmp_path) == owner.pid
        with pytest.raises(AlreadyRunning, match=str(owner.pid)), exclusive(tmp_path):
            pass
        owner.kill()
        owner.wait()
    assert running_pid(tmp_path) is None
    with exclusive(tmp_path):
        assert running_pid(tmp_path) is not None


def test_who_else_holds_the_lock_is_named_and_is_nobody_to_stop(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "mpd.lock").write_text(str(ended.pid))
    with (tmp_path / "mpd.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        said = rf"another process \(pid {os.getpid()}\) holds the lock"
        with pytest.raises(AlreadyRunning, match=said), exclusive(tmp_path):
            pass
        with pytest.raises(NotRunning, match=said):
            read_state(tmp_path)
        with pytest.raises(NotRunning, match=said):
            stop(tmp_path, timeout=1)


def test_no_other_user_can_open_the_lock_or_read_a_log_of_an_installation_that_was_open(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "home" / "logs" / "nats.log"
    log.parent.mkdir(parents=True)
    for file in (home / "mpd.lock", log):
        file.touch()
        file.chmod(0o644)
    for folder in (home, log.parent):
        folder.chmod(0o755)
    with exclusive(home):
        Stack(home)
        child = ChildProcess("nats", ["/bin/true"], log)
        child.spawn()
        child.wait(30)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (home, home / "mpd.lock", log.parent, log)}
    assert list(modes.values()) == [0o700, 0o600, 0o700, 0o600], modes


def test_a_folder_of_the_machine_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with exclusive(tmp_path):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "mpd.lock").stat().st_mode) == 0o600


def test_one_who_looks_whether_a_folder_has_an_owner_does_not_keep_it_from_having_one(tmp_path: Path) -> None:
    (tmp_path / "mpd.lock").touch()
    with (tmp_path / "mpd.lock").open() as looking, ThreadPoolExecutor() as pool:
        fcntl.flock(looking, fcntl.LOCK_SH)
        owning = pool.submit(_own_for_a_moment, tmp_path)
        with pytest.raises(TimeoutError):
            owning.result(timeout=1)
        fcntl.flock(looking, fcntl.LOCK_UN)
        assert owning.result(timeout=30) == os.getpid()


def _own_for_a_moment(folder: Path) -> int | None:
    with exclusive(folder):
        return running_pid(folder)


def test_a_folder_on_which_nothing_runs_has_no_state_and_nothing_to_stop(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        read_state(tmp_path)
    with pytest.raises(NotRunning):
        stop(tmp_path, timeout=1)


def test_an_owner_that_is_not_ready_yet_is_starting(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        assert read_state(tmp_path)["phase"] == "starting"


def test_secrets_are_generated_once_and_private(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "secrets")
    again = ensure_keys(tmp_path / "secrets")
    assert keys == again
    assert keys.root_key_hash == again.root_key_hash
    assert keys.root_key.startswith("mpk_root_")
    assert len(keys.root_key) >= len("mpk_root_") + 43
    for name in ("pepper", "token_key", "webhook_key", "root_key", "signing_key"):
        assert stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600


def test_a_role_that_is_newer_than_the_installation_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    known = PostgresServer(tmp_path).passwords
    older = {role: password for role, password in known.items() if role != "mp_webhooks"}
    (tmp_path / "passwords.json").write_text(json.dumps(older))
    newer = PostgresServer(tmp_path).passwords
    assert newer.keys() == known.keys()
    assert newer | older == newer
    assert PostgresServer(tmp_path).passwords == newer


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    one, two = ensure_keys(tmp_path / "one"), ensure_keys(tmp_path / "two")
    assert one.root_key != two.root_key
    assert (one.folder / "pepper").read_bytes() != (two.folder / "pepper").read_bytes()


def test_ports_are_remembered_until_somebody_takes_them(tmp_path: Path) -> None:
    port = PortBook(tmp_path / "ports.json").port("nats")
    assert PortBook(tmp_path / "ports.json").port("nats") == port
    with socket.create_server((HOST, port)):
        assert PortBook(tmp_path / "ports.json").port("nats") != port


def test_no_two_names_have_the_same_port_before_anybody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(port for port in range(FIRST - 5000, FIRST) if is_free(port) and is_free(port + 1))
    monkeypatch.setattr("mpd.ports.FIRST", first)
    monkeypatch.setattr("mpd.ports.LAST", first + 1)
    ports = {PortBook(tmp_path / "one").port("nats"), PortBook(tmp_path / "two").port("nats")}
    assert ports == {first, first + 1}
    with pytest.raises(OSError, match="no free port"):
        free_port()


def test_a_port_that_two_names_or_others_have_is_given_up(tmp_path: Path) -> None:
    path, doubled, others = tmp_path / "ports.json", free_port(), free_port()
    path.write_text(json.dumps({"nats": doubled, "valkey": doubled, "postgres": others}))
    book = PortBook(path, taken={others})
    ports = {name: book.port(name) for name in ("nats", "valkey", "postgres")}
    assert len(set(ports.values())) == 3
    assert ports["valkey"] == doubled
    assert ports["postgres"] != others
    assert json.loads(path.read_text()) == ports


def test_free_ports_stay_out_of_the_range_of_outgoing_connections() -> None:
    assert FIRST <= free_port() <= LAST


def test_the_next_free_port_skips_taken_ones() -> None:
    with socket.create_server((HOST, free_port())) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        assert next_free_port(taken) > taken


def test_logs_are_read_from_their_end_and_followed(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "kernel-1.log"
    path.parent.mkdir()
    path.write_text("one\ntwo\nthree\n")
    assert logs.log_names(tmp_path) == ["kernel-1"]
    assert logs.last_lines(tmp_path, "kernel-1", 2) == ["two", "three"]
    following = logs.follow(tmp_path, None)
    with path.open("a") as file:
        file.write("four\nunfinished")
    path.with_name("late.log").write_text("five\n")
    assert list(islice(following, 2)) == [("kernel-1", "four"), ("late", "five")]

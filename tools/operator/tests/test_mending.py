"""`mpctl log mend` is killed after each of its steps: whoever types it again, as the page says, has the log back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mpbus.marks import read_mark
from mpd.servers import NatsServer
from mpoperator.copies.stream import LogStream
from mpoperator.errors import ToolRefused
from mpoperator.log.mend import _look, _must_be_as_found
from mpschema import subjects
from mpstore.leases.jetstream import JetStreamLease
from nats.aio.client import Client

from tests.support.cluster import read_log
from tools.operator.tests.proving import PROVED, REFUSED, USAGE, Log, Ran, mpctl, on_bus

COMMITS = 20
FOREIGN = b"nobody of ours was me"
KILLED = """
import os, signal
from mpoperator.log import {module} as steps
step = steps.{step}
async def last(*given, **named):
    done = step(*given, **named)
    done = await done if hasattr(done, "__await__") else done
    os.kill(os.getpid(), signal.SIGKILL)
def last_at_once(*given, **named):
    step(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
steps.{step} = {replacement}
"""
"""The tool as it is, killed when a step of it is done."""
STEPS = [
    ("mend", "_look", "last"),
    ("mend", "read_commits", "last_at_once"),
    ("mend", "leave_mark", "last"),
    ("mend", "_write_down", "last"),
    ("mend", "_deleted", "last"),
    ("mend", "prepare", "last"),
    ("mend", "append", "last"),
    ("continuation", "_begin", "last"),
    ("continuation", "take_mark_away", "last"),
    ("mend", "go_on", "last"),
]


@pytest.fixture
def unhurt(log: Log, tmp_path: Path, empty_nats: NatsServer) -> Path:
    """A home whose log is good."""
    segment, home = tmp_path / "segment", tmp_path / "home"
    last = log.commits()[COMMITS - 1].position.seq
    assert log.mpctl("log", "export", "--to", str(last), segment).code == PROVED
    home.mkdir()
    (home / "operator.json").write_text(json.dumps({"nats_url": empty_nats.url}))
    assert mpctl("log", "import", "--as-it-was", segment, home=home).code == PROVED
    return home


@pytest.fixture
def hurt(unhurt: Path, empty_nats: NatsServer) -> Path:
    """A home whose log ends with a message that no kernel wrote."""
    _forge(empty_nats.url)
    return unhurt


def _forge(url: str) -> None:
    async def publish(nc: Client) -> None:
        await nc.jetstream().publish(subjects.log_subject("0"), FOREIGN)

    on_bus(url, publish)


def _killed(home: Path, folder: Path, patch: str, command: str = "mend") -> None:
    code = f"{patch}\nfrom mpctl.main import main\nmain()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, "log", command, str(folder)],
        env=environment | {"MP_HOME": str(home)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def _mended(ran: Ran, url: str, folder: Path) -> None:
    assert ran.code == PROVED, ran.out + ran.err
    commits = on_bus(url, lambda nc: read_log(nc, "0"))
    assert len(commits) == COMMITS + 1
    assert [record.name for record in commits[-1].records] == ["LogRestored"]
    assert ran.json["epoch"] == commits[-1].header.epoch
    (line,) = (folder / "foreign.jsonl").read_text().splitlines()
    assert json.loads(line)["stream_seq"] == COMMITS + 1


@pytest.mark.parametrize(("module", "step", "replacement"), STEPS, ids=[step for _, step, _ in STEPS])
def test_killed_after_any_step_it_is_gone_on_with(
    hurt: Path, empty_nats: NatsServer, tmp_path: Path, module: str, step: str, replacement: str
) -> None:
    folder = tmp_path / "kept"
    _killed(hurt, folder, KILLED.format(module=module, step=step, replacement=replacement))
    _mended(mpctl("log", "mend", folder, "--json", home=hurt), empty_nats.url, folder)


def test_with_a_mending_begun_another_folder_is_refused_and_the_right_one_is_named(
    hurt: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    first = mpctl("log", "mend", tmp_path / "kept1", "--json", home=hurt)
    _mended(first, empty_nats.url, tmp_path / "kept1")
    _forge(empty_nats.url)
    step = KILLED.format(module="mend", step="_deleted", replacement="last")
    _killed(hurt, tmp_path / "kept2", step)
    for other in ("kept1", "kept3"):
        ran = mpctl("log", "mend", tmp_path / other, home=hurt)
        assert (ran.code, f"mpctl log mend {tmp_path / 'kept2'}" in ran.err) == (REFUSED, True), ran.out + ran.err
    ran = mpctl("log", "import", tmp_path / "kept1", home=hurt)
    assert (ran.code, f"mpctl log mend {tmp_path / 'kept2'}" in ran.err) == (REFUSED, True), ran.out + ran.err
    moved = (tmp_path / "kept2").rename(tmp_path / "moved")
    ran = mpctl("log", "mend", moved, "--json", home=hurt)
    assert ran.code == PROVED, ran.out + ran.err
    commits = on_bus(empty_nats.url, lambda nc: read_log(nc, "0"))
    assert (len(commits), ran.json["epoch"]) == (COMMITS + 2, commits[-1].header.epoch)
    assert ran.json["epoch"] > first.json["epoch"]
    again = mpctl("log", "mend", tmp_path / "kept1", home=hurt)
    assert (again.code, "there is nothing to mend" in again.err) == (REFUSED, True), again.out + again.err


def _delete(url: str) -> None:
    on_bus(url, lambda nc: nc.jetstream().delete_stream(subjects.log_stream("0")))


def test_a_log_that_is_gone_is_nothing_to_mend_and_no_older_copy_is_put_in_its_place(
    hurt: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    assert mpctl("log", "mend", tmp_path / "kept", home=hurt).code == PROVED
    _delete(empty_nats.url)
    for folder in ("kept", "new"):
        ran = mpctl("log", "mend", tmp_path / folder, home=hurt)
        assert ran.code == REFUSED, ran.out + ran.err
        assert "there is no stream MP_LOG_0" in ran.err
        assert "mpctl log restore --from archive" in ran.err
    on_bus(empty_nats.url, lambda nc: JetStreamLease(nc, "kernel-0", "kernel-1-abc", 60).acquire())
    assert "there is no stream MP_LOG_0" in mpctl("log", "mend", tmp_path / "new", home=hurt).err


def _relayed(url: str, beyond: int, epoch: int, commit_hash: str = "") -> int:
    """A feed that goes so far beyond the log, with its last event of an epoch. Returns its last event."""

    async def publish(nc: Client) -> int:
        commit = [each for each in await read_log(nc, "0") if each.data != FOREIGN][-1]
        for seq in range(1, commit.position.seq + beyond + 1):
            headers = {"Nats-Msg-Id": f"0:{epoch}:{seq}", "Mp-Hash": commit_hash or commit.hash}
            await nc.jetstream().publish(subjects.feed_subject("0", "acme", "task", "t1"), b"{}", headers=headers)
        return commit.position.seq + beyond

    last: int = on_bus(url, publish)
    return last


def test_what_the_feed_saw_behind_the_place_is_not_given_up(
    unhurt: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    last = _relayed(empty_nats.url, 1, 1)
    ran = mpctl("log", "mend", tmp_path / "kept", home=unhurt)
    assert (ran.code, "its tail is lost" in ran.err) == (REFUSED, True), ran.out + ran.err
    _forge(empty_nats.url)
    ran = mpctl("log", "mend", tmp_path / "kept", home=unhurt)
    assert (ran.code, f"the feed saw the log as far as event {last}" in ran.err) == (REFUSED, True), ran.err
    assert not (tmp_path / "kept").exists()


def test_a_feed_of_another_log_keeps_nobody_from_mending(unhurt: Path, empty_nats: NatsServer, tmp_path: Path) -> None:
    _relayed(empty_nats.url, 1, 1, commit_hash="f" * 64)
    _forge(empty_nats.url)
    _mended(mpctl("log", "mend", tmp_path / "kept", "--json", home=unhurt), empty_nats.url, tmp_path / "kept")


def test_no_epoch_is_begun_below_one_that_anybody_saw(unhurt: Path, empty_nats: NatsServer, tmp_path: Path) -> None:
    seen = 5_000_000_000
    _relayed(empty_nats.url, 0, seen)
    _forge(empty_nats.url)
    ran = mpctl("log", "mend", tmp_path / "kept", "--json", home=unhurt)
    _mended(ran, empty_nats.url, tmp_path / "kept")
    assert ran.json["epoch"] > seen
    _delete(empty_nats.url)
    ran = mpctl("log", "import", tmp_path / "kept", "--json", home=unhurt)
    assert (ran.code, ran.json["epoch"] > seen) == (PROVED, True), ran.out + ran.err


def test_a_restore_that_was_killed_half_way_keeps_the_lease_and_is_gone_on_with(
    unhurt: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    assert mpctl("log", "export", tmp_path / "whole", home=unhurt).code == PROVED
    _delete(empty_nats.url)
    step = KILLED.format(module="transfer", step="append", replacement="last")
    _killed(unhurt, tmp_path / "whole", step, "import")
    kernel = on_bus(empty_nats.url, lambda nc: JetStreamLease(nc, "kernel-0", "kernel-1", 60).acquire())
    assert not kernel, "no kernel leads what was not said to be whole"
    mark = on_bus(empty_nats.url, lambda nc: read_mark(nc, "0"))
    assert mark is not None
    assert (mark.command, mark.stream_seq) == (f"mpctl log import --resume {tmp_path / 'whole'}", COMMITS)
    ran = mpctl("log", "import", "--resume", tmp_path / "whole", home=unhurt)
    assert ran.code == PROVED, ran.out + ran.err
    assert on_bus(empty_nats.url, lambda nc: JetStreamLease(nc, "kernel-0", "kernel-1", 60).acquire())
    assert on_bus(empty_nats.url, lambda nc: read_mark(nc, "0")) is None


def test_a_log_that_somebody_wrote_to_while_it_was_looked_at_is_not_deleted(hurt: Path, empty_nats: NatsServer) -> None:
    async def mended(nc: Client) -> None:
        stream = LogStream(nc, "0")
        found = await _look(stream)
        await nc.jetstream().publish(subjects.log_subject("0"), FOREIGN)
        with pytest.raises(ToolRefused, match="not what it was when we looked"):
            await _must_be_as_found(stream, found)

    on_bus(empty_nats.url, mended)


def test_what_is_foreign_is_called_so_where_it_is_verified(hurt: Path) -> None:
    ran = mpctl("log", "verify", "--json", home=hurt)
    assert "a foreign message stands there" in ran.finding["detail"]
    assert "mpctl log mend" in ran.finding["detail"]


def test_a_folder_that_keeps_another_log_is_refused(hurt: Path, empty_nats: NatsServer, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    _mended(mpctl("log", "mend", folder, "--json", home=hurt), empty_nats.url, folder)
    _forge(empty_nats.url)
    ran = mpctl("log", "mend", folder, home=hurt)
    assert (ran.code, "name a new folder" in ran.err) == (REFUSED, True), ran.err


def test_what_the_archive_saw_behind_the_place_is_not_given_up_and_it_says_what_to_do(
    log: Log, hurt: Path, tmp_path: Path
) -> None:
    ran = mpctl("log", "mend", tmp_path / "kept", home=hurt, MP_POSTGRES_OWNER_DSN=log.stack.postgres.dsn())
    assert ran.code == REFUSED
    assert "mpctl log restore --from archive" in ran.err
    assert "mpctl backup restore" in ran.err


def test_where_nothing_is_wrong_it_says_so_and_no_kernel_is_asked_to_stop(
    hurt: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    ran = mpctl("log", "mend", tmp_path / "kept", "--json", home=hurt)
    _mended(ran, empty_nats.url, tmp_path / "kept")
    on_bus(empty_nats.url, lambda nc: JetStreamLease(nc, "kernel-0", "kernel-1-abc", 60).acquire())
    ran = mpctl("log", "mend", tmp_path / "other", home=hurt)
    assert ran.code == REFUSED
    assert "all commits of MP_LOG_0 verify: there is nothing to mend" in ran.err
    assert "lease" not in ran.err
    _forge(empty_nats.url)
    assert "kernel-1-abc holds the lease" in mpctl("log", "mend", tmp_path / "other", home=hurt).err


def test_the_end_reminds_of_the_kernels_key(hurt: Path, tmp_path: Path) -> None:
    ran = mpctl("log", "mend", tmp_path / "kept", home=hurt)
    assert ran.code == PROVED
    assert "give the kernel another one" in ran.out


def test_without_the_seed_of_who_restores_it_is_asked_for_by_name(unhurt: Path, tmp_path: Path) -> None:
    away = tmp_path / "offline.seed"
    ran = mpctl("log", "mend", tmp_path / "kept", home=unhurt, MP_NATS_RESTORE_SEED_FILE=str(away))
    assert (ran.code, f"not at {away}: bring it back" in ran.err) == (USAGE, True), ran.err
    assert "MP_NATS_RESTORE_SEED_FILE" in ran.err

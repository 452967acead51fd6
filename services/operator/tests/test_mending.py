"""`mpctl log mend` is killed after each of its steps: whoever types it again, as the page says, has the log back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mpd.servers import NatsServer
from mpkernel.adapters.jetstream_lease import JetStreamLease
from mpschema import subjects
from nats.aio.client import Client

from services.operator.tests.proving import PROVED, REFUSED, Log, Ran, mpctl, on_bus
from tests.support.cluster import read_log

COMMITS = 20
FOREIGN = b"nobody of ours was me"
KILLED = """
import os, signal
from mpoperator import {module} as steps
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
    ("mending", "_first_flaw", "last"),
    ("mending", "read_commits", "last_at_once"),
    ("mending", "_write_down", "last"),
    ("mending", "_deleted", "last"),
    ("mending", "prepare", "last"),
    ("mending", "append", "last"),
    ("continuing", "_begin", "last"),
    ("mending", "go_on", "last"),
]


@pytest.fixture
def hurt(log: Log, tmp_path: Path, empty_nats: NatsServer) -> Path:
    """A home whose log ends with a message that no kernel wrote."""
    segment, home = tmp_path / "segment", tmp_path / "home"
    last = log.commits()[COMMITS - 1].position.seq
    assert log.mpctl("log", "export", "--to", str(last), segment).code == PROVED
    home.mkdir()
    (home / "operator.json").write_text(json.dumps({"nats_url": empty_nats.url}))
    assert mpctl("log", "import", "--as-it-was", segment, home=home).code == PROVED
    _forge(empty_nats.url)
    return home


def _forge(url: str) -> None:
    async def publish(nc: Client) -> None:
        await nc.jetstream().publish(subjects.log_subject("0"), FOREIGN)

    on_bus(url, publish)


def _killed(home: Path, folder: Path, patch: str) -> None:
    code = f"{patch}\nfrom mpclient.cli.main import main\nmain()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, "log", "mend", str(folder)],
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

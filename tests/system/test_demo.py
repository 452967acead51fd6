"""The demo as a new user types it: a true story on a real repository; a worker is killed, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from mpd.ports import free_port
from mpd.stack import Stack

from tests.support.terminal import Terminal

Event = dict[str, Any]
ENDLESS = "sleep 4711"
MARK = "TO" + "DO"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all stories."""
    stack = Stack(tmp_path_factory.mktemp("stack"), http_port=free_port())
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture
def terminal(tmp_path: Path, running: Stack) -> Terminal:
    """A folder to type in; no workspace is current."""
    return Terminal(tmp_path, running.folder)


def _git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with four marked comments, one of them in a file that does not compile."""
    root = tmp_path / "repository"
    root.mkdir()
    for name in ("a", "b", "c"):
        (root / f"{name}.py").write_text(f"x = 1  # {MARK}: think about {name}\n")
    (root / "broken.py").write_text(f"x = (  # {MARK}: close it\n")
    _git(root, "init", "--quiet")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "a start")
    return root


def _told(out: str) -> tuple[list[Event], dict[str, Any]]:
    """The events and the summary of a story told with --json."""
    lines = [json.loads(line) for line in out.splitlines()]
    return lines[:-1], lines[-1]["summary"]


def _named(events: list[Event], name: str) -> list[Event]:
    return [event for event in events if f".{name}." in event["type"]]


def _left_behind() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("mpctl-demo-*")}


def test_a_killed_workers_task_is_done_by_another(terminal: Terminal, repository: Path) -> None:
    before = _left_behind()
    words = ("demo", "--repo", str(repository), "--workers", "3", "--lease-seconds", "6", "--json")
    typed = terminal.mpctl(*words, seconds=150)
    assert typed.code == 0, typed.err
    events, summary = _told(typed.out)

    (expired,) = _named(events, "TaskLeaseExpired")
    killed = expired["data"]["holder"]
    claims = [event for event in _named(events, "TaskClaimed") if event["subject"] == expired["subject"]]
    assert [claim["data"]["fence"] for claim in claims] == [1, 2]
    assert claims[0]["actor"] == killed != claims[1]["actor"]
    assert summary["sessions"].pop(killed.removeprefix("agent:")) == "failed"
    assert {*summary["sessions"].values()} == {"completed"}
    (notice,) = [event for event in _named(events, "MessagePosted") if event["data"]["kind"] == "notice"]
    assert notice["seq"] < expired["seq"]

    # The one that does not compile is sent back once, then left to a person.
    assert (summary["done"], summary["canceled"], summary["open"]) == (3, 1, 0)
    assert len(_named(events, "TaskRejected")) == 1

    assert _git(repository, "status", "--porcelain") == ""
    assert len(_git(repository, "worktree", "list").splitlines()) == 1
    assert _left_behind() == before


def test_every_step_is_taken_by_an_agent_with_nothing_but_its_token(terminal: Terminal, repository: Path) -> None:
    words = ("demo", "--repo", str(repository), "--workers", "2", "--no-kill-worker", "--tasks", "2", "--json")
    typed = terminal.mpctl(*words, seconds=150)
    assert typed.code == 0, typed.err
    events, summary = _told(typed.out)
    lead = f"agent:{summary['lead']}"
    workers = {f"agent:{name}" for name in summary["sessions"]} - {lead}
    for name in ("TaskClaimed", "TaskStarted", "TaskSubmitted"):
        assert {event["actor"] for event in _named(events, name)} <= workers
    for name in ("TaskAccepted", "TaskCompleted", "ChannelOpened"):
        assert {event["actor"] for event in _named(events, name)} == {lead}
    assert {event["data"]["provenance"] for event in _named(events, "MessagePosted")} == {"peer"}
    for submitted in _named(events, "TaskSubmitted"):
        checks = [each for each in submitted["data"]["evidence"] if each["kind"] == "check"]
        assert checks
        assert all(len(each["sha256"]) == 64 and each["summary"].startswith("exit ") for each in checks)
    assert not _named(events, "TaskLeaseExpired")


def test_a_person_reads_a_story_and_how_it_ended(terminal: Terminal, repository: Path) -> None:
    words = ("demo", "--repo", str(repository / ".git" / ".."), "--workers", "1", "--tasks", "1")
    typed = terminal.mpctl(*words, "--check", "git log -1 --format=%s -- {file}", seconds=150)
    assert typed.code == 0, typed.err
    for said in (
        "opens project repository-",
        "lead spawns worker-1",
        "worker-1 claims",
        "worker-1 hands in",
        "lead accepts",
    ):
        assert said in typed.out
    assert "lead is done: 1 done" in typed.out
    assert "mpctl board show" in typed.err


def test_a_story_that_is_interrupted_leaves_nothing_open(terminal: Terminal, repository: Path) -> None:
    before = _left_behind()
    # This check never ends by itself.
    words = ("demo", "--repo", str(repository), "--workers", "2", "--no-kill-worker", "--check", ENDLESS, "--json")
    with terminal.keep_running(*words) as story:
        story.until(lambda lines: bool(_named([json.loads(line) for line in lines], "TaskStarted")), seconds=60)
        project = json.loads(story.lines[0])["subject"].removeprefix("project/")
        os.kill(story.process.pid, signal.SIGINT)
        assert story.process.wait(timeout=60) != 0
    assert _left_behind() == before
    assert not [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ENDLESS.split()]
    tasks = json.loads(terminal.mpctl("task", "list", "-w", "demo", "--project", project, "--json").out)
    assert {task["state"] for task in tasks["items"]} == {"canceled"}
    sessions = json.loads(terminal.mpctl("session", "list", "-w", "demo", "--project", project, "--json").out)
    assert {session["state"] for session in sessions["items"]} == {"canceled"}
    assert len(_git(repository, "worktree", "list").splitlines()) == 1


def test_when_no_worker_can_work_the_story_says_why_and_ends(terminal: Terminal, repository: Path) -> None:
    # A filter that must run and fails: no worktree of this repository can be made.
    (repository / ".gitattributes").write_text("*.py filter=bad\n")
    _git(repository, "add", ".gitattributes")
    _git(repository, "commit", "--quiet", "--message", "a filter")
    _git(repository, "config", "filter.bad.smudge", "false")
    _git(repository, "config", "filter.bad.required", "true")
    words = ("demo", "--repo", str(repository), "--workers", "1", "--lease-seconds", "2")
    typed = terminal.mpctl(*words, seconds=150)
    assert typed.code == 2
    assert "no_workers_left" in typed.err


@pytest.mark.parametrize(
    ("files", "why"), [(None, "not a git repository"), ({}, "no commit yet"), ({"data.bin": "x"}, "nothing to work on")]
)
def test_what_is_no_repository_with_work_in_it_is_refused(
    terminal: Terminal, tmp_path: Path, files: dict[str, str] | None, why: str
) -> None:
    root = tmp_path / "other"
    root.mkdir()
    if files is not None:
        _git(root, "init", "--quiet")
    for name, text in (files or {}).items():
        (root / name).write_text(text)
        _git(root, "add", "--all")
        _git(root, "commit", "--quiet", "--message", "data")
    typed = terminal.mpctl("demo", "--repo", str(root))
    assert (typed.code, typed.out) == (2, "")
    assert why in typed.err

"""Parts of the demo: real findings of a repository, checks that leave evidence, a rule, a fold, a story."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from mpdemo.checks import ADVICE, CHECK, DemoCheck, checks_for, exit_code
from mpdemo.lead import packaged_blueprint
from mpdemo.picture import Picture
from mpdemo.repository import GitFailed, Repository
from mpdemo.reviewing import ReviewVerdict, judge
from mpdemo.story import Story, shortened_path
from mpschema import session, task
from mpschema.base import Event
from mpschema.cloudevents import CloudEvent
from mpschema.examples import EVENTS
from mpschema.registry import RECORDS
from mpschema.story import BLUEPRINT, EVIDENCE, LIMITS
from mpschema.task import Evidence, TaskState

from tests.support import eventually

MARK = "TO" + "DO"


def _git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, and no marked comment."""
    root = tmp_path / "a repository"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("x = 1\n")
    (root / "b.py").write_text(f'y = "{MARK} in a text, not in a comment"\n')
    _git(root, "init", "--quiet")
    _commit(root)
    return root


def _commit(root: Path) -> None:
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "a change")


def test_marked_comments_are_found_one_of_each_file_first(repository: Path) -> None:
    (repository / "src" / "a.py").write_text(f"x = 1  # {MARK}: make it two\n# {MARK}(ada): and this\n")
    (repository / "c.js").write_text(f"// {MARK} - later */\n")
    _commit(repository)
    (repository / "c.js").write_text("not committed\n")
    found = Repository.open(repository / "src").findings(6)
    assert [(each.path, each.line) for each in found] == [("c.js", 1), ("src/a.py", 1), ("src/a.py", 2)]
    assert [each.title for each in found][1:] == [
        f"{MARK} src/a.py:1 make it two",
        f"{MARK} src/a.py:2 and this",
    ]
    assert len(Repository.open(repository).findings(2)) == 2


def test_without_marked_comments_the_latest_changes_are_reviewed(repository: Path) -> None:
    (repository / "b.py").write_text("y = 2\n")
    _commit(repository)
    found = Repository.open(repository).findings(6)
    assert [each.title for each in found] == ["Review b.py", "Review src/a.py"]
    assert "a change" in found[0].description


def test_a_folder_without_a_commit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match=r"not a git repository.*--repo DIRECTORY"):
        Repository.open(tmp_path)
    _git(tmp_path, "init", "--quiet")
    with pytest.raises(GitFailed, match="no commit yet"):
        Repository.open(tmp_path)


def test_worktrees_leave_nothing_behind_even_if_a_worker_was_killed(repository: Path) -> None:
    opened = Repository.open(repository)
    before = sorted(repository.rglob("*"))
    with opened.worktrees_folder() as folder:
        opened.add_worktree(folder / "tidy")
        assert (folder / "tidy" / "src" / "a.py").read_text() == "x = 1\n"
        opened.remove_worktree(folder / "tidy")
        _git(repository, "worktree", "add", "--detach", str(folder / "left"))
        assert [path.name for path in folder.iterdir()] == ["left"]
    assert not folder.exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1
    assert [path for path in before if not path.exists()] == []


def test_the_owners_hooks_do_not_run(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{repository}/hooked'\n")
    hook.chmod(0o755)
    opened = Repository.open(repository)
    with opened.worktrees_folder() as folder:
        opened.add_worktree(folder / "one")
    assert not (repository / "hooked").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [((sys.executable, "-c", "print('fine')"), 0), ((sys.executable, "-c", "exit(3)"), 3), (("no-such-program",), 127)],
)
async def test_a_check_leaves_its_exit_code(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    evidence = await DemoCheck(CHECK, words).run(tmp_path, "git:x@1:a.py")
    assert exit_code(evidence) == code
    assert (evidence.kind, evidence.uri) == (CHECK, "git:x@1:a.py")


async def test_a_check_leaves_the_digest_of_its_output(tmp_path: Path) -> None:
    evidence = await DemoCheck(CHECK, (sys.executable, "-c", "print('fine')")).run(tmp_path, "here")
    assert evidence.sha256 == hashlib.sha256(b"fine\n").hexdigest()
    assert evidence.summary.splitlines()[1] == "fine"


async def test_who_stops_waiting_for_a_check_stops_all_it_has_started(tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text("sleep 60 &\necho $! > started.part\nmv started.part started\nwait\n")
    running = asyncio.create_task(DemoCheck(CHECK, ("sh", str(script))).run(tmp_path, "here"))
    await eventually((tmp_path / "started").exists)
    running.cancel()
    await asyncio.wait({running})
    child = int((tmp_path / "started").read_text())
    await eventually(lambda: _is_gone(child))


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_what_is_run_suits_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = (")
    (tmp_path / "good.toml").write_text("x = 1\n")
    (tmp_path / "bad.json").write_text("{")
    codes = {}
    for name in ("bad.py", "good.toml", "bad.json"):
        evidence = await checks_for(name, None)[0].run(tmp_path, "here")
        codes[name] = exit_code(evidence)
    assert codes == {"bad.py": 1, "good.toml": 0, "bad.json": 1}


def test_a_command_of_ones_own_takes_the_place_of_the_others() -> None:
    (check,) = checks_for("a b.py", "pytest -q {file}")
    assert check.words == ("pytest", "-q", "a b.py")


def _evidence(code: int, kind: str = CHECK, sha256: str | None = "ab" * 32) -> Evidence:
    return Evidence(kind=kind, summary=f"exit {code}: pytest", sha256=sha256)


@pytest.mark.parametrize(
    ("evidence", "rejections", "verdict"),
    [
        ([_evidence(0)], 0, ReviewVerdict.ACCEPT),
        ([_evidence(0), _evidence(1, ADVICE)], 0, ReviewVerdict.ACCEPT),
        ([_evidence(0), _evidence(1)], 0, ReviewVerdict.REJECT),
        ([_evidence(1)], 1, ReviewVerdict.CANCEL),
        ([_evidence(0, sha256=None)], 0, ReviewVerdict.REJECT),
        ([_evidence(0, ADVICE)], 0, ReviewVerdict.REJECT),
        ([*EVIDENCE], 0, ReviewVerdict.REJECT),
    ],
    ids=["good", "advice does not decide", "one check fails", "fails again", "no digest", "no check", "no exit code"],
)
def test_the_lead_judges_by_evidence(evidence: list[Evidence], rejections: int, verdict: ReviewVerdict) -> None:
    assert judge(evidence, rejections).verdict is verdict


def test_the_packaged_blueprints_let_a_lead_have_workers_and_workers_none() -> None:
    lead, worker = packaged_blueprint("lead"), packaged_blueprint("worker")
    assert lead.limits.max_depth == 1
    assert worker.limits.max_children == 0


_seqs = iter(range(1, 10_000))


def _event(fact: Event, name: str, actor: str = "user:ada", **changes: Any) -> CloudEvent:
    record = RECORDS[type(fact)]
    return CloudEvent(
        specversion="1.0", id="c:0", source="/workspaces/w", type=record.event_type,
        subject=f"{record.aggregate}/{name}", time="2026-01-01T12:00:00.000Z", dataschema="", datacontenttype="",
        data=msgspec.to_builtins(fact), seq=next(_seqs), streamversion=1, prevhash="", hash="", epoch=1, actor=actor,
        commandid="c", correlationid="c", **changes,
    )  # fmt: skip


async def _stream(*events: CloudEvent) -> AsyncIterator[CloudEvent]:
    for event in events:
        yield event


CLAIMED = task.TaskClaimed("agent:w", "l", 3, 5, 0)
HISTORY = [
    (task.TaskCreated("demo", "One"), "t1"),
    (task.TaskCreated("another", "Not ours"), "t2"),
    (task.TaskReady(), "t1"),
    (task.TaskReady(), "t2"),
    (CLAIMED, "t1"),
    (task.TaskSubmitted(3, EVIDENCE), "t1"),
    (task.TaskCompleted(), "t1"),
]


async def test_a_picture_is_folded_from_the_events_of_its_project() -> None:
    picture = Picture("demo")
    await picture.follow(_stream(*(_event(fact, name) for fact, name in HISTORY[:3])))
    assert (picture.ready, picture.settled) == (["t1"], False)
    await picture.follow(_stream(*(_event(fact, name) for fact, name in HISTORY[3:6])))
    assert (picture.states, picture.fences, picture.freed) == ({"t1": TaskState.IN_REVIEW}, {"t1": 3}, 1)
    await picture.follow(_stream(_event(*HISTORY[6])))
    assert picture.settled


async def test_whoever_waits_for_a_picture_is_woken_by_the_event_that_matters() -> None:
    picture = Picture("demo")
    waiting = asyncio.create_task(picture.until(lambda: picture.settled))
    await picture.follow(_stream(*(_event(fact, name) for fact, name in HISTORY[:6])))
    assert not waiting.done()
    await picture.follow(_stream(_event(*HISTORY[6])))
    await asyncio.wait_for(waiting, 30)


def test_a_story_calls_things_by_their_names() -> None:
    story = Story()
    spawned = session.SessionSpawned(BLUEPRINT, "lead", 1, ("lead",), LIMITS, purpose="worker-1")
    story.tell(_event(task.TaskCreated("demo", "Review a/b/c/d/e.py"), "t1"))
    story.tell(_event(spawned, "s1", "agent:lead"))
    told = story.tell(_event(CLAIMED, "t1", "agent:s1"))
    assert told is not None
    assert told.plain.split(None, 1)[1] == (
        "worker-1 claims Review a/…/d/e.py for 5 s, fence 3: claimed for the third time"
    )
    assert story.counts == {"TaskCreated": 1, "SessionSpawned": 1, "TaskClaimed": 1}


def test_a_story_can_be_told_of_every_event_there_is() -> None:
    story = Story()
    told = [story.tell(_event(fact, "x1")) for fact in EVENTS]
    assert any(told)
    assert all("\n" not in each.plain for each in told if each)


def test_a_story_says_nothing_of_what_it_does_not_know() -> None:
    unknown = msgspec.structs.replace(_event(task.TaskReady(), "t1"), type="mp.task.TaskPainted.v1")
    assert Story().tell(unknown) is None


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Review a/b.py", "Review a/b.py"),
        ("Review a/b/c/d/e.py now", "Review a/…/d/e.py now"),
        ("x /abs/o/lute/pa/th", "x /abs/o/lute/pa/th"),
    ],
)
def test_long_paths_are_told_by_their_ends(text: str, short: str) -> None:
    assert shortened_path(text) == short

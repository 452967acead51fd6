"""`mpctl` against a real server: what a person types after the quickstart, and what it answers when told no."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from mpctl.main import build
from mpd.ports import free_port
from mpd.stack import Stack

from tests.support import eventually_sync


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of this file; each works in a workspace of its own."""
    stack = Stack(tmp_path_factory.mktemp("stack"), http_port=free_port())
    stack.start()
    yield stack
    stack.kill()


class Typed:
    """The result of one typed line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Terminal:
    """A place to type in, with a current workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = f"w{secrets.token_hex(4)}"

    def mpctl(self, *words: str, stdin: str = "", **environment: str) -> Typed:
        """Type a line."""
        done = CliRunner().invoke(build(), words, input=stdin, env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Typed(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def terminal(running: Stack, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A folder to type in, with a current workspace of its own."""
    monkeypatch.setenv("MP_HOME", str(running.folder))
    terminal = Terminal(Path.cwd())
    made = terminal.mpctl("workspace", "init", f"./{terminal.workspace}")
    assert made.code == 0, made.err
    return terminal


def test_doing_it_again_changes_nothing(terminal: Terminal) -> None:
    folder = terminal.folder / terminal.workspace
    mine = folder / "agents" / "blueprints" / "reviewer.yaml"
    mine.write_text("mine")
    again = terminal.mpctl("workspace", "init", f"./{folder.name}")
    assert (again.code, "was there already" in again.out) == (0, True)
    assert mine.read_text() == "mine"


def test_who_may_not_create_a_workspace_can_still_work_in_one(terminal: Terminal) -> None:
    terminal.mpctl("principal", "bind-role", "user:eve", "--role", "developer")
    bound = json.loads(terminal.mpctl("principal", "bind-role", "user:eve", "--role", "viewer", "--json").out)
    key = terminal.mpctl("key", "issue", "user:eve", "--key-id", f"dev-{terminal.workspace}").out.strip()
    assert terminal.mpctl("workspace", "get", "--after-seq", str(bound["last_seq"] + 1)).code == 0
    joined = terminal.mpctl("workspace", "init", "./hers", "--id", terminal.workspace, "--token", key)
    assert (joined.code, "was there already" in joined.out) == (0, True), joined.err
    denied = terminal.mpctl("workspace", "init", "./mine", "--token", key)
    assert (denied.code, Path("mine").exists()) == (4, False)


def test_no_secret_is_written_to_the_workspace_folder(terminal: Terminal, running: Stack) -> None:
    written = [path for path in terminal.folder.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if running.root_key in path.read_text()] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("task get nowhere", 5, "error: not_found: "),
        ("project create --name core", 3, "error: name_taken: "),
        ("task mark-ready later", 3, "error: blocked: "),
        ("task mark-ready first --expected-version 9", 3, "error: stale_version: "),
        ("task create first --project core --title again", 3, "error: already_exists: "),
        ("task list --token mpk_nobody_0123456789012345678901234567890123456789012", 4, "error: unauthenticated: "),
        ("task start first --fence 7", 3, "error: stale_fence: "),
        ("session spawn --blueprint nowhere.yaml", 2, "error: no blueprint nowhere.yaml in "),
        ("task list --url http://127.0.0.1:1", 7, "error: no server answers "),
        ("task list --workspace ./nowhere", 2, "error: "),
    ],
)
def test_a_refusal_is_one_line_a_problem_and_an_exit_code(terminal: Terminal, words: str, code: int, said: str) -> None:
    for line in (
        "project create core --name core",
        "task create first --project core --title First",
        "task create later --project core --title Later",
        "task link first --kind blocks --to later",
    ):
        assert terminal.mpctl(*line.split()).code == 0
    told = terminal.mpctl(*words.split())
    assert (told.code, told.out) == (code, "")
    assert told.err.startswith(said)
    shown = terminal.mpctl(*words.split(), "--json")
    assert shown.code == code
    assert re.match(r'\{"type":"urn:moduprompt:problem:', shown.out)


def test_a_task_from_draft_to_done_by_hand(terminal: Terminal) -> None:
    def typed(line: str) -> str:
        done = terminal.mpctl(*line.split())
        assert done.code == 0, f"{line}: {done.err}"
        return done.out

    typed("project create core --name core")
    typed("task create t1 --project core --title Do")
    typed("task mark-ready t1")
    claimed = json.loads(typed("task claim t1 --ttl-seconds 60 --json"))
    assert claimed["fence"] == 1
    typed("task start t1 --fence 1")
    evidence = '--evidence={"kind":"test","summary":"fine"}'
    typed(f"task submit t1 --fence 1 {evidence}")
    typed("task accept t1 --note fine")
    done = json.loads(typed("task complete t1 --json"))
    shown = json.loads(typed(f"task get t1 --json --after-seq {done['last_seq']}"))
    assert (shown["state"], shown["evidence"]) == ("done", [{"kind": "test", "summary": "fine"}])
    last = [json.loads(line)["event_type"] for line in typed("events tail -n 2 --json").splitlines()]
    assert last == ["mp.task.TaskAccepted.v1", "mp.task.TaskCompleted.v1"]


def test_the_same_key_gets_the_same_answer(terminal: Terminal) -> None:
    line = ("project", "create", "--name", "core", "--idempotency-key", "once", "--json")
    first, again = (json.loads(terminal.mpctl(*line).out) for _ in range(2))
    assert again.pop("request_id") != first["command_id"]
    assert again == first | {"duplicate": True}


def test_an_enqueued_command_is_found_by_its_id(terminal: Terminal) -> None:
    enqueued = json.loads(terminal.mpctl("project", "create", "--name", "core", "--async", "--json").out)

    def recorded() -> str:
        row = json.loads(terminal.mpctl("command", "get", enqueued["command_id"], "--json").out)
        return str(row["status"])

    assert eventually_sync(recorded) == "accepted"


def test_a_batch_is_counted_and_ends_with_the_first_refusal(terminal: Terminal) -> None:
    lines = [
        {"type": "project.create", "target": "core", "payload": {"name": "core"}},
        {"type": "task.create", "target": "t1", "payload": {"project_id": "core", "title": "One"}},
        {"type": "task.create", "target": "t2", "payload": {"project_id": "nowhere", "title": "Two"}},
    ]
    text = "\n".join(map(json.dumps, lines))
    told = terminal.mpctl("batch", "-", stdin=text)
    assert (told.code, told.out) == (5, "2 of 3 accepted\n")
    assert "line 3: not_found" in told.err
    assert terminal.mpctl("batch", "-", stdin='{"type": "task.create"}\nno json').code == 2


def test_lists_are_paged_and_filtered(terminal: Terminal) -> None:
    create = {"type": "project.create", "target": "core", "payload": {"name": "core"}}
    tasks = [
        {"type": "task.create", "target": f"t{n}", "payload": {"project_id": "core", "title": "x"}} for n in range(5)
    ]
    sent = terminal.mpctl("batch", "-", "--json", stdin="\n".join(map(json.dumps, [create, *tasks])))
    head = str(json.loads(sent.out.splitlines()[-1])["last_seq"])
    page = json.loads(terminal.mpctl("task", "list", "--limit", "2", "--json", "--after-seq", head).out)
    rest = json.loads(terminal.mpctl("task", "list", "--cursor", page["next_cursor"], "--all", "--json").out)
    assert [task["id"] for task in [*page["items"], *rest["items"]]] == [f"t{n}" for n in range(5)]
    assert rest["next_cursor"] is None
    assert terminal.mpctl("task", "list", "--project", "core", "--state", "done").out.count("\n") == 1


def test_an_agent_speaks_with_its_token_alone(terminal: Terminal) -> None:
    assert terminal.mpctl("project", "create", "core", "--name", "core").code == 0
    spawn = ("session", "spawn", "s1", "--project", "core", "--blueprint", "agents/blueprints/reviewer.yaml")
    assert terminal.mpctl(*spawn).code == 0
    token = terminal.mpctl("session", "token", "s1").out.strip()
    assert terminal.mpctl("session", "start", "s1", MPCTL_TOKEN=token).code == 0
    assert terminal.mpctl("project", "create", "--name", "mine", MPCTL_TOKEN=token).code == 4
    assert "s1 active reviewer@1.0.0" in terminal.mpctl("session", "tree", "s1").out


def test_a_key_is_shown_once_and_speaks_for_its_principal(terminal: Terminal) -> None:
    bound = json.loads(terminal.mpctl("principal", "bind-role", "user:eve", "--role", "viewer", "--json").out)
    key = terminal.mpctl("key", "issue", "user:eve", "--key-id", f"eve-{terminal.workspace}").out.strip()
    assert key.startswith("mpk_")
    seen = terminal.mpctl("project", "list", "--token", key, "--after-seq", str(bound["last_seq"] + 1))
    assert seen.code == 0, seen.err
    assert terminal.mpctl("project", "create", "--name", "hers", "--token", key).code == 4
    listed = terminal.mpctl("key", "list", "user:eve").out
    assert key not in listed


def test_the_current_workspace_can_be_changed(terminal: Terminal) -> None:
    assert terminal.mpctl("workspace", "init", f"./{terminal.workspace}-two").code == 0
    assert f"{terminal.workspace}-two" in terminal.mpctl("whoami").out
    assert terminal.mpctl("use", f"./{terminal.workspace}").code == 0
    assert json.loads(terminal.mpctl("whoami", "--json").out)["workspace"] == terminal.workspace


def test_status_tells_how_the_server_is(terminal: Terminal) -> None:
    told = terminal.mpctl("status", "--json")
    status = json.loads(told.out)
    assert (told.code, status["ready"], status["complaints"]) == (0, True, [])
    assert status["epoch"] >= 1
    assert {row["state"] for row in status["projections"]} == {"live"}
    assert f"mpctl {status['version']}" == terminal.mpctl("--version").out.strip(), "all that is ours has one version"

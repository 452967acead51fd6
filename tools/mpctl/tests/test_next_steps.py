"""A refusal, a wait or a lost answer says what to type next."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from mpctl.batching import KEY_CHARACTERS_MAX, keyed, read_lines

from tests.support.terminal import PROGRAM
from tests.support.waiting import eventually_sync
from tools.mpctl.tests.test_against_server import Terminal, running, terminal

__all__ = ["running", "terminal"]  # Fixtures.


def test_a_project_with_live_sessions_is_named_with_what_ends_them(terminal: Terminal) -> None:
    made = json.loads(terminal.mpctl("project", "create", "--name", "core", "--json").out)
    spawn = ("session", "spawn", "s1", "--project", "core", "--blueprint", "agents/blueprints/reviewer.yaml")
    assert terminal.mpctl(*spawn).code == 0
    refused = terminal.mpctl("project", "archive", "core")
    assert refused.err.splitlines()[0] == (
        "error: invalid_state: project 'core' has 1 live sessions: end them first, or archive with cancel: running"
    )
    shown = re.search(r"mpctl (session list --project \S+);", refused.err)
    assert shown, refused.err
    assert "s1" in terminal.mpctl(*shown[1].split()).out
    assert made["target"] in shown[1]
    assert terminal.mpctl("session", "cancel", "s1").code == 0
    assert terminal.mpctl("project", "archive", "core").code == 0


def test_a_key_for_a_stranger_names_how_it_gets_a_role(terminal: Terminal) -> None:
    refused = terminal.mpctl("key", "issue", "user:ada")
    assert (refused.code, "mpctl principal bind-role user:ada --role ROLE" in refused.err) == (5, True), refused.err


def test_who_is_denied_learns_which_role_may(terminal: Terminal) -> None:
    assert terminal.mpctl("principal", "bind-role", "user:eve", "--role", "viewer").code == 0
    key = terminal.mpctl("key", "issue", "user:eve").out.strip()
    for line, role in (("project create --name x", "developer or operator or owner"), ("workspace archive", "owner")):
        refused = terminal.mpctl(*line.split(), MPCTL_TOKEN=key)
        assert (refused.code, refused.err.strip().endswith(f"that takes the role {role}")) == (4, True), refused.err


def test_a_project_that_is_spelled_nearly_right_is_suggested(terminal: Terminal) -> None:
    made = json.loads(terminal.mpctl("project", "create", "--name", "backend", "--json").out)
    terminal.mpctl("project", "list", "--after-seq", str(made["last_seq"]))
    refused = terminal.mpctl("task", "create", "--project", "bakend", "--title", "x")
    assert (refused.code, "did you mean 'backend'?" in refused.err) == (5, True), refused.err


def test_an_archived_project_is_called_so_by_its_name_too(terminal: Terminal) -> None:
    made = json.loads(terminal.mpctl("project", "create", "--name", "p2", "--json").out)
    assert terminal.mpctl("project", "archive", "p2").code == 0
    for named in ("p2", made["target"]):
        refused = terminal.mpctl("task", "create", "--project", named, "--title", "x")
        assert (refused.code, "archived: project" in refused.err) == (3, True), refused.err
    assert terminal.mpctl("project", "create", "p2", "--name", "another").code == 0
    created = terminal.mpctl("task", "create", "--project", "p2", "--title", "x")
    assert created.code == 0, "an id that is there is meant before the name of what is archived"


def test_a_name_of_several_archived_projects_asks_for_an_id(terminal: Terminal) -> None:
    ids = set()
    for _ in range(2):
        ids.add(json.loads(terminal.mpctl("project", "create", "--name", "p3", "--json").out)["target"])
        last = json.loads(terminal.mpctl("project", "archive", "p3", "--json").out)["last_seq"]
    assert terminal.mpctl("project", "list", "--after-seq", str(last)).code == 0
    refused = terminal.mpctl("project", "get", "p3")
    assert (refused.code, all(each in refused.err for each in ids)) == (2, True), refused.err


def test_a_revoked_key_is_said_to_be_refused_by_whoami(terminal: Terminal) -> None:
    assert terminal.mpctl("principal", "bind-role", "user:ada", "--role", "viewer").code == 0
    key_id = f"ada-{terminal.workspace}"
    key = terminal.mpctl("key", "issue", "user:ada", "--key-id", key_id).out.strip()
    told = terminal.mpctl("whoami", MPCTL_TOKEN=key)
    assert (told.code, re.search(r"^accepted +yes$", told.out, re.MULTILINE) is not None) == (0, True), told.out
    assert terminal.mpctl("key", "revoke", "user:ada", "--key-id", key_id).code == 0
    eventually_sync(lambda: terminal.mpctl("whoami", MPCTL_TOKEN=key).code == 4)
    told = terminal.mpctl("whoami", MPCTL_TOKEN=key)
    assert re.search(r"^accepted +no: the credential is unknown, expired or revoked$", told.out, re.MULTILINE), told.out
    assert json.loads(terminal.mpctl("whoami", "--json", MPCTL_TOKEN=key).out)["accepted"] is False
    away = terminal.mpctl("whoami", "--url", "http://127.0.0.1:1", "--token", key)
    assert (away.code, "not known" in away.out) == (0, True), away.out


def test_no_key_is_issued_that_has_ended_already(terminal: Terminal) -> None:
    assert terminal.mpctl("principal", "bind-role", "user:ada", "--role", "viewer").code == 0
    for moment in ("0", "1000"):
        refused = terminal.mpctl("key", "issue", "user:ada", "--expires-at-ms", moment)
        assert (refused.code, "which has passed" in refused.err) == (2, True), refused.err


def test_who_claims_a_draft_learns_how_it_is_offered(terminal: Terminal) -> None:
    terminal.mpctl("project", "create", "core", "--name", "core")
    assert terminal.mpctl("task", "create", "t1", "--project", "core", "--title", "x").code == 0
    refused = terminal.mpctl("task", "claim", "t1")
    shown = re.search(r"mpctl (task mark-ready t1)$", refused.err, re.MULTILINE)
    assert shown, refused.err
    assert terminal.mpctl(*shown[1].split()).code == 0
    assert terminal.mpctl("task", "claim", "t1").code == 0


@pytest.mark.parametrize("line", ["project create --name x", "key issue user:ada", "task claim t1", "use"])
def test_a_workspace_that_is_not_there_names_where_to_see_those_that_are(terminal: Terminal, line: str) -> None:
    where = () if line == "use" else ("--workspace",)
    refused = terminal.mpctl(*line.split(), *where, "no-such")
    assert (refused.code, "mpctl workspace list" in refused.err) == (5, True), refused.err


def test_keys_speak_the_words_of_their_group(terminal: Terminal) -> None:
    told = terminal.mpctl("key", "revoke", "--help").out
    assert "mpctl key revoke [OPTIONS] PRINCIPAL" in told or "revoke [OPTIONS] PRINCIPAL" in told
    assert "mpctl key revoke user:" in told
    assert "mpctl principal revoke-key user:" in terminal.mpctl("principal", "revoke-key", "--help").out


def test_a_batch_whose_answer_was_lost_is_asked_again_by_one_key(terminal: Terminal) -> None:
    line = json.dumps({"type": "project.create", "payload": {"name": "once"}})
    lost = terminal.mpctl("batch", "-", "--url", "http://127.0.0.1:1", stdin=line)
    assert lost.code == 7
    again = re.search(r"mpctl batch (--idempotency-key \S+) FILE", lost.err)
    assert again, lost.err
    first = terminal.mpctl("batch", "-", "--json", *again[1].split(), stdin=line)
    second = terminal.mpctl("batch", "-", "--json", *again[1].split(), stdin=line)
    assert (first.code, second.code) == (0, 0)
    targets = {json.loads(each.out)["target"] for each in (first, second)}
    assert len(targets) == 1
    assert json.loads(second.out)["duplicate"] is True


def test_a_line_keeps_its_own_key_and_a_long_word_is_refused(terminal: Terminal) -> None:
    lines = read_lines(b'{"type":"project.create","idempotency_key":"mine"}\n{"type":"project.create"}\n')
    assert [line.idempotency_key for line in keyed(lines, "k")] == ["mine", "k:2"]
    too_long = "k" * (KEY_CHARACTERS_MAX + 1)
    assert terminal.mpctl("batch", "-", "--idempotency-key", too_long, stdin="").code == 2


def test_who_waits_at_a_terminal_is_told_what_for(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        command = [str(PROGRAM), "project", "create", "--name", "x", "--workspace", "acme", "--url", url]
        environment = os.environ | {"HOME": str(home), "FORCE_COLOR": "1", "COLUMNS": "200"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as waiting:
            alarm = threading.Timer(60, waiting.kill)
            alarm.start()
            assert waiting.stderr is not None
            told = waiting.stderr.readline()
            waiting.kill()
            alarm.cancel()
    assert f"waiting for {url} to answer project.create" in told

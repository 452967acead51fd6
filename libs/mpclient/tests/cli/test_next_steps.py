"""A refusal, a wait or a lost answer says what to type next."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

from mpclient.cli.batching import KEY_CHARACTERS_MAX, keyed, read_lines

from libs.mpclient.tests.cli.test_against_server import Terminal, running, terminal
from tests.support.terminal import PROGRAM

__all__ = ["running", "terminal"]  # Fixtures.


def test_a_project_with_live_sessions_is_named_with_what_ends_them(terminal: Terminal) -> None:
    made = json.loads(terminal.mpctl("project", "create", "--name", "core", "--json").out)
    spawn = ("session", "spawn", "s1", "--project", "core", "--blueprint", "agents/blueprints/reviewer.yaml")
    assert terminal.mpctl(*spawn).code == 0
    refused = terminal.mpctl("project", "archive", "core")
    assert refused.err.splitlines()[0] == "error: invalid_state: project 'core' has 1 live sessions: end them first"
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

"""The history of one thing: by whom, because of which command; and how it differs between two places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpcli.exits import Exit
from mpclient import Client
from mpd.ports import free_port
from mpd.stack import Stack
from mpschema.envelope import Outcome

from tools.operator.tests.proving import Ran, mpctl


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything."""
    stack = Stack(tmp_path_factory.mktemp("stack"), http_port=free_port())
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture(scope="module")
def told(stack: Stack) -> list[Outcome]:
    """A task's way, command by command."""
    with Client(stack.url, stack.root_key, "studio") as client:
        client.workspaces.create(id="studio", name="Studio")
        client.projects.create(id="core", name="core")
        made = client.tasks.create(id="fix", project_id="core", title="Fix the login", priority=1)
        ready = client.tasks.mark_ready("fix")
        claimed = client.tasks.claim("fix", ttl_seconds=600)
        edited = client.tasks.edit("fix", title="Fix the login retry")
        client.tasks.get("fix", after=edited)
        client.history.list(after=edited)
        return [made, ready, claimed, edited]


def ask(stack: Stack, *words: str | Path) -> Ran:
    """Run `mpctl` against the stack."""
    return mpctl(*words, "-w", "studio", home=stack.folder)


def test_every_event_says_what_it_changed_by_whom_and_because_of_which_command(
    stack: Stack, told: list[Outcome]
) -> None:
    events = json.loads(ask(stack, "history", "task", "fix", "--json").out)
    assert [event["seq"] for event in events] == [outcome.first_seq for outcome in told]
    assert [event["command_id"] for event in events] == [outcome.command_id for outcome in told]
    assert {event["actor"] for event in events} == {"user:root"}
    assert events[1]["changed"] == {"state": ["draft", "ready"]}
    assert events[3]["changed"] == {"title": ["Fix the login", "Fix the login retry"]}


def test_a_person_reads_it_line_by_line(stack: Stack, told: list[Outcome]) -> None:
    shown = ask(stack, "history", "task", "fix").out
    assert f"mp.task.TaskReady.v1  by user:root, command {told[1].command_id}" in shown
    assert "draft" in shown


def test_a_difference_names_the_fields_and_the_events_in_between(stack: Stack, told: list[Outcome]) -> None:
    made, ready, claimed, _ = told
    found = ask(stack, "diff", "task", "fix", str(made.last_seq), str(claimed.last_seq), "--json").json
    assert found["between"] == [made.last_seq, claimed.last_seq]
    assert found["changed"]["state"] == ["draft", "claimed"]
    assert [event["seq"] for event in found["events"]] == [ready.first_seq, claimed.first_seq]


def test_a_difference_between_times(stack: Stack, told: list[Outcome]) -> None:
    ages = "2001-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    found = ask(stack, "diff", "task", "fix", *ages, "--json").json
    assert found["between"] == [0, told[-1].last_seq]
    assert found["changed"]["title"] == [None, "Fix the login retry"]


def test_the_command_line_shows_a_thing_as_it_was(stack: Stack, told: list[Outcome]) -> None:
    then = ask(stack, "task", "get", "fix", "--at-seq", str(told[1].last_seq), "--json").json
    assert (then["state"], then["title"]) == ("ready", "Fix the login")
    assert ask(stack, "task", "get", "fix", "--at", "2001-01-01T00:00:00Z").code == Exit.NOT_FOUND


def test_what_is_not_there_or_no_time_is_said_so(stack: Stack, told: list[Outcome]) -> None:
    assert ask(stack, "history", "task", "nothing").code == Exit.NOT_FOUND
    wrong = ask(stack, "diff", "task", "fix", "1", "yesterday")
    assert (wrong.code, "is no time" in wrong.err) == (Exit.USAGE, True)

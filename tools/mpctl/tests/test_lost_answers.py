"""Whoever loses an answer is told the key that finds it."""

from __future__ import annotations

import json

import pytest
from mpcli.context import Context
from mpclient import Client, Retries, errors
from mpctl.failures import report
from mpctl.server import Flags, RemoteServer
from mpschema.envelope import Outcome

from tests.support.scripted import HangUp, Reply, problem, scripted

AGAIN = Reply(
    body=json.dumps(
        {
            "command_id": "c1",
            "status": "accepted",
            "duplicate": True,
            "epoch": 3,
            "first_seq": 7,
            "last_seq": 7,
            "target": "t1",
            "version": 2,
        }
    ).encode()
)
_ONCE = Retries(attempts_max=2, pause_seconds=0.001)


def _server(url: str) -> RemoteServer:
    return RemoteServer(Client(url, "mpk_test", "acme", retries=_ONCE), Context(url, "mpk_test", "acme", None))


@pytest.mark.parametrize("lost", [problem("outcome_unknown"), HangUp()], ids=["unknown", "hung up"])
def test_a_lost_answer_names_the_key_that_was_sent(lost: Reply | HangUp, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(lost) as asked, _server(asked.url) as server, pytest.raises(errors.ClientError) as failed:
        server.command("task.claim", "t1", {"ttl_seconds": 60}, Flags())
    report(failed.value, as_json=False)
    key = asked.asked[0].headers["idempotency-key"]
    assert f"--idempotency-key {key}" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("given", "again"), [(None, False), ("mine", True)])
def test_only_a_key_that_was_given_finds_what_was_recorded_before(given: str | None, again: bool) -> None:
    with scripted(HangUp(), AGAIN) as asked, _server(asked.url) as server:
        answer = server.command("task.claim", "t1", {"ttl_seconds": 60}, Flags(given))
    assert isinstance(answer, Outcome)
    assert answer.duplicate is again

"""Agreement of the SDK's requests with the OpenAPI document."""

import datetime as dt
import json
import re
from typing import Any

import msgspec
import pytest
from mpclient import calls, order
from mpclient.calls import command_call, query_call
from mpschema import examples, openapi, story
from mpschema.envelope import Outcome, Status
from mpschema.problems import Problem
from mpschema.queries import QUERIES
from mpschema.registry import ALL_COMMANDS, LOG_COMMANDS
from mpschema.rows import QuerySpec
from mpschema.task import ClaimTask, StartTask
from mpschema.vocabulary import CommandSpec

DOCUMENT = openapi.document()
OUTCOME = Outcome(command_id="c1", status=Status.ACCEPTED, epoch=3, first_seq=7, last_seq=9)


def operation(method: str, path: str) -> dict[str, Any]:
    """The documented operation that a path of a call belongs to."""
    matching = [
        item[method.lower()]
        for template, item in DOCUMENT["paths"].items()
        if method.lower() in item and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
    ]
    exact = [item[method.lower()] for template, item in DOCUMENT["paths"].items() if template == path]
    found: dict[str, Any] = (exact or matching)[0]
    return found


def parameters(documented: dict[str, Any], place: str) -> set[str]:
    resolved = [
        DOCUMENT["components"]["parameters"][p["$ref"].rpartition("/")[2]] if "$ref" in p else p
        for p in documented["parameters"]
    ]
    return {p["name"] for p in resolved if p["in"] == place}


@pytest.mark.parametrize("spec", ALL_COMMANDS.values(), ids=list(ALL_COMMANDS))
def test_every_command_goes_to_its_documented_route(spec: CommandSpec) -> None:
    options = calls.CommandOptions(correlation_id="x", traceparent=story.TRACEPARENT)
    if spec not in LOG_COMMANDS.values():
        options["expected_version"] = 0
    call = command_call("acme", spec.command_type, "t1", examples.command_example(spec.arguments), options)
    documented = operation(call.method, call.path)
    assert documented["operationId"] == spec.command_type.replace(".", "_")
    assert set(call.params) <= parameters(documented, "query")
    assert set(call.headers) - {"Content-Type"} <= parameters(documented, "header")
    assert json.loads(call.body or b"") == documented["requestBody"]["content"]["application/json"]["example"]


@pytest.mark.parametrize("spec", QUERIES.values(), ids=list(QUERIES))
def test_every_query_goes_to_its_documented_route(spec: QuerySpec) -> None:
    then = calls.as_of(4, dt.datetime(2026, 7, 30, 12, tzinfo=dt.UTC))
    wanted = dict.fromkeys(spec.filters, "x") | ({"order": "desc", "limit": 10, "cursor": "c"} if spec.many else then)
    call = query_call("acme", spec.query_type, "t1", wanted, OUTCOME)
    documented = operation(call.method, call.path)
    assert documented["operationId"] == spec.query_type.replace(".", "_")
    assert set(call.params) == parameters(documented, "query")
    assert call.params["after_seq"] == "9"


def test_a_moment_is_sent_in_utc_and_must_name_its_time_zone() -> None:
    assert calls.as_of(None, dt.datetime(2026, 7, 30, 12, tzinfo=dt.UTC))["at"] == "2026-07-30T12:00:00Z"
    with pytest.raises(ValueError, match="no time zone"):
        calls.as_of(None, dt.datetime(2026, 7, 30, 12))  # noqa: DTZ001 - that is what is refused


def test_a_version_is_expected_by_if_match_and_absence_by_if_none_match() -> None:
    claim = command_call("acme", "task.claim", "t1", ClaimTask(), {"expected_version": 4})
    assert claim.headers["If-Match"] == '"4"'
    made = command_call("acme", "project.create", "core", {"name": "core"}, {"expected_version": 0})
    assert made.headers["If-None-Match"] == "*"
    with pytest.raises(ValueError, match="no version yet"):
        command_call("acme", "project.create", "core", {"name": "core"}, {"expected_version": 4})


def test_the_workspace_is_the_client_s_unless_the_command_is_about_another() -> None:
    assert command_call("acme", "workspace.thaw", "", {}, {}).path == "/v1/workspaces/acme/thaw"
    assert command_call("acme", "workspace.thaw", "other", {}, {}).path == "/v1/workspaces/other/thaw"
    with pytest.raises(ValueError, match="which workspace"):
        command_call(None, "task.claim", "t1", {}, {})
    with pytest.raises(ValueError, match="needs an id"):
        command_call("acme", "task.claim", "", {}, {})


def test_what_could_leave_its_path_segment_is_escaped() -> None:
    call = command_call("acme", "task.claim", "../principals/user:ada?x", {}, {})
    assert call.path == "/v1/workspaces/acme/tasks/..%2Fprincipals%2Fuser:ada%3Fx/claim"


def test_a_batch_is_a_line_a_command_each_with_a_key() -> None:
    mine = {"type": "task.start", "target": "t1", "payload": {"fence": 1}, "idempotency_key": "k1"}
    call = calls.batch_call("acme", [order(ClaimTask(ttl_seconds=60), "t1", expected_version=3), mine])
    claim, start = [json.loads(line) for line in (call.body or b"").splitlines()]
    assert claim.pop("idempotency_key")
    assert claim == {"type": "task.claim", "target": "t1", "payload": {"ttl_seconds": 60}, "expected_version": 3}
    assert start == mine
    assert operation(call.method, call.path)["operationId"] == "commands_batch"


def test_the_answers_of_a_batch_are_outcomes_and_problems_in_order() -> None:
    problem = Problem(type="urn:x", title="Stale fence", status=409, detail="no", code="stale_fence")
    data = msgspec.json.encode(OUTCOME) + b"\n" + msgspec.json.encode(problem) + b"\n"
    assert calls.batch_answers(data) == [OUTCOME, problem]


def test_an_order_names_the_command_of_its_arguments() -> None:
    assert order(StartTask(fence=2), "t1").type == "task.start"


def test_streams_begin_after_an_outcome_or_a_position() -> None:
    assert calls.position_of(OUTCOME) == "3:9"
    assert calls.position_of("0:0") == "0:0"
    assert calls.position_of(None) is None

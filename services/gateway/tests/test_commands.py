"""Commands over HTTP: one recorded outcome, its position, and what a repeated or conditional request gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mpgateway.conditions import _TAGS

from services.gateway.tests.door import BLUEPRINT, Door
from tests.support import eventually

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_command_that_creates_answers_201_with_location_and_position(door: Door) -> None:
    answer = await door.send("/tasks?id=t1", {"project_id": "core", "title": "Fix it"})
    outcome = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{door.path}/tasks/t1"
    assert answer.headers["mp-position"] == f"{outcome['epoch']}:{outcome['last_seq']}"
    assert outcome["target"] == "t1"
    assert outcome["version"] == 1


async def test_an_id_that_is_not_given_derives_from_the_command(door: Door) -> None:
    outcome = await door.done("/tasks", {"project_id": "core", "title": "Fix it"})
    assert outcome["target"] == "task_" + outcome["command_id"].replace("-", "")


async def test_a_command_on_something_that_exists_answers_200(door: Door) -> None:
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "Fix it"})
    answer = await door.send("/tasks/t1/mark_ready")
    assert answer.status_code == 200
    assert answer.json()["version"] == 2


async def test_a_body_may_be_left_out_where_every_argument_has_a_default(door: Door) -> None:
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "Fix it"})
    answer = await door.ask("POST", f"{door.path}/tasks/t1/mark_ready")
    assert answer.status_code == 200


async def test_a_recorded_refusal_is_a_problem_that_names_its_place_in_the_log(door: Door) -> None:
    answer = await door.send("/tasks/none/mark_ready", traceparent=TRACE)
    problem = answer.json()
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "urn:moduprompt:problem:not_found"
    assert problem["instance"] == f"{door.path}/tasks/none/mark_ready"
    assert problem["trace_id"] == TRACE.split("-")[1]
    assert answer.headers["mp-position"] == f"{problem['epoch']}:{problem['seq']}"


async def test_the_same_key_and_body_get_the_same_answer(door: Door) -> None:
    body = {"project_id": "core", "title": "Fix it"}
    first = await door.done("/tasks", body, idempotency_key="once")
    again = await door.done("/tasks", dict(reversed(body.items())), idempotency_key="once")
    assert again["duplicate"] is True
    assert (again["command_id"], again["target"]) == (first["command_id"], first["target"])


async def test_the_same_key_with_another_body_is_a_conflict(door: Door) -> None:
    await door.done("/tasks", {"project_id": "core", "title": "Fix it"}, idempotency_key="once")
    answer = await door.send("/tasks", {"project_id": "core", "title": "Break it"}, idempotency_key="once")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")


async def test_if_match_is_the_version_the_target_must_have(door: Door) -> None:
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "Fix it"})
    stale = await door.send("/tasks/t1/edit", {"title": "Fix it soon"}, if_match='"7"')
    fresh = await door.send("/tasks/t1/edit", {"title": "Fix it soon"}, if_match='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    assert fresh.status_code == 200


async def test_if_match_is_read_as_the_standard_has_it(door: Door) -> None:
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "Fix it"})
    expected = {
        "*": (200, None),
        '"1"': (412, "stale_version"),  # It has version 2 by now.
        '"2"': (200, None),
        'W/"3"': (412, "stale_version"),
        'W/"3", "3"': (200, None),
        '"abc", "4"': (200, None),
        '"abc"': (412, "stale_version"),
        '""': (412, "stale_version"),
        '"5", "6"': (400, "malformed"),
        "5": (400, "malformed"),
        'w/"5"': (400, "malformed"),
        '*, "5"': (400, "malformed"),
    }
    answers = [await door.send("/tasks/t1/edit", {"title": "Fix it"}, if_match=each) for each in expected]
    assert [(answer.status_code, answer.json().get("code")) for answer in answers] == list(expected.values())
    assert (await door.send("/tasks/none/edit", {"title": "x"}, if_match="*")).status_code == 404


def test_a_list_of_tags_is_read_once_however_it_is_written() -> None:
    """A pattern that tried all its readings of this would go on for ever."""
    assert _TAGS.match('"1"' + " , " * 4_000 + '"2"')
    assert not _TAGS.match('"1"' + " , " * 4_000 + "x")


async def test_if_none_match_lets_only_the_first_create(door: Door) -> None:
    body = {"project_id": "core", "title": "Fix it"}
    first = await door.send("/tasks?id=t1", body, if_none_match="*")
    second = await door.send("/tasks?id=t1", body, if_none_match="*")
    assert first.status_code == 201
    assert second.status_code in (409, 412)


async def test_respond_async_answers_202_and_where_the_outcome_will_be(door: Door) -> None:
    answer = await door.send("/tasks?id=t1", {"project_id": "core", "title": "Fix it"}, prefer="respond-async")
    assert answer.status_code == 202

    async def outcome() -> httpx.Response:
        found = await door.ask("GET", answer.headers["location"])
        assert found.status_code == 200
        return found

    assert (await eventually(outcome)).json()["target"] == "t1"


async def test_respond_async_under_a_key_names_the_key_as_the_place_of_the_outcome(door: Door) -> None:
    body = {"project_id": "core", "title": "Fix it"}
    for _ in range(2):
        answer = await door.send("/tasks", body, prefer="respond-async", idempotency_key="a/b&c?")

    async def outcomes() -> list[dict[str, object]]:
        items: list[dict[str, object]] = (await door.ask("GET", answer.headers["location"])).json()["items"]
        assert len(items) == 1
        return items

    assert (await eventually(outcomes))[0]["status"] == "accepted"


async def test_a_workspace_created_twice_under_one_key_is_one_workspace(door: Door) -> None:
    headers = {"idempotency-key": "make-it-once"}
    first = await door.ask("POST", "/v1/workspaces", json={"name": "Twice"}, headers=headers)
    again = await door.ask("POST", "/v1/workspaces", json={"name": "Twice"}, headers=headers)
    assert first.status_code == again.status_code == 201
    assert again.json()["target"] == first.json()["target"]
    assert again.json()["duplicate"] is True


async def test_trace_and_correlation_are_recorded_with_the_event(door: Door) -> None:
    outcome = await door.done("/projects?id=p2", {"name": "p2"}, traceparent=TRACE, x_correlation_id="matter-7")
    history = (await door.get("/history", outcome, aggregate_id="p2")).json()["items"]
    assert history[0]["event"]["traceparent"] == TRACE
    assert history[0]["event"]["correlation_id"] == "matter-7"


async def test_an_agent_token_acts_as_the_session_it_was_made_for(door: Door) -> None:
    await door.done("/sessions?id=s1", {"blueprint": BLUEPRINT, "project_id": "core"})
    issued = await door.done("/sessions/s1/issue_token", {"ttl_seconds": 120})
    agent = door.seen_by(issued["token"])
    started = await agent.done("/sessions/s1/start")
    history = (await agent.get("/history", started, aggregate_id="s1")).json()["items"]
    assert history[-1]["actor"] == "agent:s1"
    assert history[-1]["event"]["session_id"] == "s1"


async def test_a_batch_answers_each_line_in_order_and_a_refusal_stops_none(door: Door) -> None:
    lines = [
        {"type": "task.create", "target": "t1", "payload": {"project_id": "core", "title": "One"}},
        {"type": "task.create", "target": "t1", "payload": {"project_id": "core", "title": "Again"}},
        {"type": "task.mark_ready", "target": "t1"},
        {"type": "task.unknown", "target": "t1"},
        {"type": "task.edit", "target": "t1", "payload": {"nonsense": 1}},
        {"type": "task.cancel", "target": "t1", "command_id": "my-own-id", "idempotency_key": "k"},
    ]
    answers = await _batch(door, "\n".join(json.dumps(line) for line in lines) + "\n{broken\n")
    told = [answer.get("code", answer.get("status")) for answer in answers]
    assert told == [
        "accepted",
        "already_exists",
        "accepted",
        "unknown_type",
        "schema_invalid",
        "accepted",
        "malformed",
    ]
    assert answers[5]["command_id"] == "my-own-id"


async def test_a_dated_id_that_a_caller_chose_counts_as_its_key(door: Door) -> None:
    chosen = "0197d5f9-b000-7000-8000-000000000001"
    line = {"type": "project.create", "target": "mine", "payload": {"name": "mine"}, "command_id": chosen}
    first, again = [(await _batch(door, json.dumps(line)))[0] for _ in range(2)]
    assert first["request_id"] == again["request_id"] == chosen
    assert first["command_id"] == again["command_id"] != chosen
    assert again["duplicate"] is True
    keyed = line | {"type": "project.archive", "payload": {}, "idempotency_key": "k"}
    (other,) = await _batch(door, json.dumps(keyed))
    assert (other["status"], other["request_id"]) == ("accepted", chosen)
    assert other["command_id"] not in (chosen, first["command_id"])


async def test_a_thousand_lines_keep_their_order(door: Door) -> None:
    def line(number: int) -> str:
        payload = {"project_id": "core", "title": f"Task {number}"}
        return json.dumps({"type": "task.create", "target": f"t{number}", "payload": payload})

    answers = await _batch(door, "\n".join(line(number) for number in range(1_000)))
    assert [answer["target"] for answer in answers] == [f"t{number}" for number in range(1_000)]
    assert [answer["first_seq"] for answer in answers] == sorted(answer["first_seq"] for answer in answers)


async def test_an_id_used_twice_in_a_batch_is_one_command_or_a_conflict(door: Door) -> None:
    def line(title: str) -> str:
        payload = {"project_id": "core", "title": title}
        return json.dumps({"type": "task.create", "payload": payload, "command_id": f"own-{door.workspace_id}"})

    first, same, other = await _batch(door, "\n".join([line("One"), line("One"), line("Two")]))
    assert same["first_seq"] == first["first_seq"]
    assert other["code"] == "idempotency_conflict"


async def test_a_key_repeated_in_a_batch_gets_the_first_answer(door: Door) -> None:
    payload = {"project_id": "core", "title": "One"}
    line = json.dumps({"type": "task.create", "payload": payload, "idempotency_key": "once"})
    first, second = await _batch(door, f"{line}\n{line}\n")
    assert second["command_id"] == first["command_id"]
    assert second["duplicate"] is True


async def _batch(door: Door, body: str) -> list[dict[str, Any]]:
    headers = {"content-type": "application/x-ndjson"}
    answer = await door.ask("POST", f"{door.path}/commands:batch", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_nobody_creates_a_workspace_with_a_credential_of_another(
    door: Door, new_workspace_id: Callable[[], str]
) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "owner"})
    key = (await door.done("/principals/user:bob/keys"))["key"]
    answer = await door.seen_by(key).ask("POST", f"/v1/workspaces?id={new_workspace_id()}", json={"name": "Mine"})
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")


async def test_a_batch_in_json_is_an_array_and_so_is_its_answer(door: Door) -> None:
    lines = [
        {
            "type": "task.create",
            "target": "t1",
            "payload": {"project_id": "core", "title": "Fix it", "description": "a\u2028b"},
        },
        {"type": "task.mark_ready", "target": "t1"},
        {"type": "task.mark_ready", "target": "none"},
        {"type": "task.mark_ready", "target": "t1", "unknown": 1},
    ]
    answer = await door.ask("POST", f"{door.path}/commands:batch", json=lines)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    codes = [each.get("code") or each["status"] for each in answer.json()]
    assert codes == ["accepted", "accepted", "not_found", "schema_invalid"]


@pytest.mark.parametrize("body", [b"{}", b"[", b'{"type":"x"}\n', b"[]"])
async def test_a_batch_in_json_that_is_no_array_of_commands_is_malformed(door: Door, body: bytes) -> None:
    content_type = {"Content-Type": "application/json"}
    answer = await door.ask("POST", f"{door.path}/commands:batch", content=body, headers=content_type)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_the_answers_of_a_batch_are_one_line_each_for_every_reader_of_lines(door: Door) -> None:
    line = json.dumps({"type": "task.\u2028\u0085\u2029", "target": "t1"}, ensure_ascii=False)
    content_type = {"Content-Type": "application/x-ndjson"}
    answer = await door.ask("POST", f"{door.path}/commands:batch", content=line.encode(), headers=content_type)
    (only,) = answer.text.splitlines()
    assert json.loads(only)["code"] == "unknown_type"

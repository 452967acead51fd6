"""Time travel over HTTP: a thing as it was after an event or at a moment, labelled with the event it is as of."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mpschema.queries import QUERIES
from mpschema.rows import QuerySpec

from services.gateway.tests.door import BLUEPRINT, Door
from services.gateway.tests.runaway import runaway, swept
from tests.support import eventually

SUBJECTS = {
    "principal": "user:bob",
    "project": "core",
    "board": "b1",
    "task": "t1",
    "session": "lead",
    "channel": "talk",
    "webhook": "ci",
}
SINGLE = [spec for spec in QUERIES.values() if not spec.many]


async def a_task(door: Door) -> list[dict[str, Any]]:
    """A task that was created, made ready, and claimed; the outcomes."""
    made = await door.done("/tasks?id=t1", {"project_id": "core", "title": "One", "labels": ["x"]})
    ready = await door.done("/tasks/t1/mark_ready")
    return [made, ready, await door.done("/tasks/t1/claim", {"ttl_seconds": 60})]


async def a_sweep(door: Door) -> tuple[dict[str, Any], str]:
    """A sweep that has ended; an outcome after it, and its id."""
    await runaway(door)
    (sweep,) = await eventually(lambda: swept(door))
    return await door.done("/boards?id=b2", {"project_id": "core", "name": "Later"}), sweep["id"]


async def test_a_task_is_seen_as_it_was_after_each_of_its_events(door: Door) -> None:
    outcomes = await a_task(door)
    seen = [await door.get("/tasks/t1", at_seq=outcome["last_seq"]) for outcome in outcomes]
    assert [answer.json()["state"] for answer in seen] == ["draft", "ready", "claimed"]
    assert [answer.headers["etag"] for answer in seen] == ['"1"', '"2"', '"3"']
    assert [answer.headers["mp-position"] for answer in seen] == [
        f"{outcome['epoch']}:{outcome['last_seq']}" for outcome in outcomes
    ]


async def test_a_position_between_two_events_of_a_thing_shows_the_former(door: Door) -> None:
    made, ready, _ = await a_task(door)
    answer = await door.get("/tasks/t1", at_seq=ready["last_seq"] - 1)
    assert answer.json()["state"] == "draft"
    assert answer.headers["mp-position"] == f"{made['epoch']}:{made['last_seq']}"


@pytest.mark.parametrize("spec", SINGLE, ids=lambda spec: spec.query_type)
async def test_as_of_now_every_single_thing_is_what_it_is(door: Door, spec: QuerySpec) -> None:
    await a_task(door)
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    await door.done("/boards?id=b1", {"project_id": "core", "name": "Board"})
    await door.done("/boards/b1/add_column", {"column": "Doing", "wip_limit": 3})
    await door.done("/sessions?id=lead", {"blueprint": BLUEPRINT})
    await door.done("/sessions/lead/start")
    await door.done("/channels?id=talk", {"session_id": "lead", "scope": "subtree", "name": "talk"})
    await door.done("/webhooks?id=ci", {"endpoint": "https://ci.example/hook"})
    await door.done("/webhooks/ci/pause", {"reason": "moving"})
    last = await door.done("/channels/talk/post", {"kind": "note", "body": "hello"})
    if spec.aggregate == "sweep":
        last, subject = await a_sweep(door)
    else:
        subject = SUBJECTS.get(spec.aggregate, last["command_id"])
    path = spec.route.replace("{workspace_id}", door.workspace_id).replace("{id}", subject)
    now = await door.ask("GET", path, params={"after_seq": last["last_seq"]})
    then = await door.ask("GET", path, params={"at_seq": last["last_seq"]})
    assert then.status_code == 200, then.text
    assert then.json() == now.json()
    moment = await door.ask("GET", path, params={"at": "2100-01-01T00:00:00Z"})
    assert moment.json() == now.json()


async def test_before_it_was_made_it_was_not_there(door: Door) -> None:
    made, *_ = await a_task(door)
    before = await door.get("/tasks/t1", at_seq=made["first_seq"] - 1)
    assert (before.status_code, before.json()["code"]) == (404, "not_found")
    outcome = await door.get(f"/commands/{made['command_id']}", at_seq=made["first_seq"] - 1)
    assert outcome.status_code == 404


async def test_at_a_moment_what_was_recorded_by_then_counts(door: Door) -> None:
    made, ready, _ = await a_task(door)
    recorded = {row["seq"]: row["recorded_at"] for row in (await door.get("/history", ready)).json()["items"]}
    answer = await door.get("/tasks/t1", at=recorded[made["last_seq"]])
    assert answer.json()["state"] in {"draft", "ready"}
    assert int(answer.headers["mp-position"].partition(":")[2]) >= made["last_seq"]
    for before in ("2001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        assert (await door.get("/tasks/t1", at=before)).status_code == 404
    assert (await door.get("/tasks/t1", at="9999-12-31T23:59:59-14:00")).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"at_seq": "0"},
        {"at_seq": "x"},
        {"at": "yesterday"},
        {"at": "2026-07-30T12:00:00"},
        {"at_seq": "1", "at": "2026-07-30T12:00:00Z"},
    ],
)
async def test_a_time_that_is_none_is_refused(door: Door, query: dict[str, str]) -> None:
    refused = await door.ask("GET", f"{door.path}/tasks/t1", params=query)
    assert (refused.status_code, refused.json()["code"]) == (422, "schema_invalid")


async def test_an_event_that_is_not_there_yet_is_unavailable_for_now(door: Door) -> None:
    refused = await door.get("/tasks/t1", at_seq=2**52)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_nobody_travels_into_another_workspace(
    door: Door, http: httpx.AsyncClient, gateway_stack: Any, new_workspace_id: Any
) -> None:
    _, _, claimed = await a_task(door)
    other = Door(http, new_workspace_id(), gateway_stack.root_key)
    made = await other.ask("POST", f"/v1/workspaces?id={other.workspace_id}", json={"name": "other"})
    assert made.status_code == 201
    assert (await other.get("/tasks/t1", at_seq=claimed["last_seq"])).status_code == 404
    await other.done("/principals/user:eve/bind_role", {"role": "viewer"})
    key = (await other.send("/principals/user:eve/keys")).json()["key"]
    denied = await door.seen_by(key).get("/tasks/t1", at_seq=claimed["last_seq"])
    assert denied.status_code in (403, 404)


@pytest.mark.parametrize("at", ["2026-11-26T10:00:00+01:00", "2026-11-26T10:00:00.5+0100"])
async def test_a_raw_plus_in_a_time_is_told_as_what_it_is(door: Door, at: str) -> None:
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "x"})
    refused = await door.ask("GET", f"{door.path}/tasks/t1?at={at}")
    assert (refused.status_code, refused.json()["code"]) == (422, "schema_invalid")
    assert "%2B" in refused.json()["detail"]
    encoded = await door.ask("GET", f"{door.path}/tasks/t1?at={at.replace('+', '%2B')}")
    assert encoded.status_code in (200, 404)

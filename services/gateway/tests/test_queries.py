"""Queries over HTTP: rows as promised, pages without gaps, one's own write, and nobody else's workspace."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import msgspec
import pytest
from mpd.stack import Stack
from mpgateway.queries.sql import COLLECTIONS
from mpschema.api import Page
from mpschema.cloudevents import CloudEvent
from mpschema.queries import QUERIES
from mpschema.rows import QuerySpec
from mpschema.task import TaskCreated
from mpviews import VIEWS

from services.gateway.tests.door import BLUEPRINT, Door
from services.gateway.tests.runaway import runaway, swept
from tests.support import eventually

RawPage = Page[msgspec.Raw]
SUBJECTS = {
    "principal": "user:root",
    "project": "core",
    "board": "b1",
    "task": "t1",
    "session": "child",
    "session.descendants": "lead",
    "channel": "talk",
    "webhook": "ci",
}
OF_DELIVERIES = ("webhook.parked", "webhook.deliveries", "webhook.waiting")
"""The queries that need a running delivery: see `services/webhooks/tests`."""


async def _fill(door: Door) -> dict[str, Any]:
    """Something of every kind; returns the last outcome."""
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    await door.done("/principals/user:root/keys", {"key_id": f"k-{door.workspace_id}"})
    await door.done("/boards?id=b1", {"project_id": "core", "name": "Board"})
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "One", "labels": ["x"]})
    await door.done("/tasks?id=t2", {"project_id": "core", "title": "Two"})
    await door.done("/tasks/t1/link", {"kind": "blocks", "to": "t2"})
    await door.done("/sessions?id=lead", {"blueprint": BLUEPRINT})
    await door.done("/sessions/lead/start")
    await door.done("/sessions?id=child", {"blueprint": BLUEPRINT, "parent_id": "lead"})
    await door.done("/channels?id=talk", {"session_id": "lead", "scope": "subtree", "name": "talk"})
    await door.done("/channels/talk/post", {"kind": "note", "body": "hello"})
    await door.done("/webhooks?id=ci", {"endpoint": "https://ci.example/hook", "event_types": ["TaskReady"]})
    await runaway(door)
    return await door.done("/channels/talk/ack", {"cursor": 1})


@pytest.mark.parametrize("spec", QUERIES.values(), ids=lambda spec: spec.query_type)
async def test_every_query_answers_rows_of_its_type(door: Door, spec: QuerySpec) -> None:
    last = await _fill(door)
    subject = SUBJECTS.get(spec.query_type, SUBJECTS.get(spec.aggregate, last["command_id"]))
    if spec.aggregate == "sweep":
        (sweep,) = (await door.get("/sweeps", last)).json()["items"]
        subject = sweep["id"]
    path = spec.route.replace("{workspace_id}", door.workspace_id).replace("{id}", subject)
    answer = await door.ask("GET", path, params={"after_seq": last["last_seq"]})
    assert answer.status_code == 200, answer.text
    raws = msgspec.json.decode(answer.content, type=RawPage).items if spec.many else [msgspec.Raw(answer.content)]
    assert raws or spec.query_type in OF_DELIVERIES
    for raw in raws:
        assert frozenset(json.loads(bytes(raw))) == frozenset(spec.row.__struct_fields__)
        msgspec.json.decode(raw, type=spec.row)


def test_every_collection_is_fed_by_the_projection_that_owns_its_table() -> None:
    fed = {place.table: place.projection for place in COLLECTIONS.values() if place.projection}
    owned = {table.name: view.name for view in VIEWS.values() for table in view.tables}
    assert fed.items() <= owned.items()


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_follow_one_another_without_gap_or_repeat(door: Door, order: str) -> None:
    for number in range(7):
        last = await door.done(f"/tasks?id=t{number}", {"project_id": "core", "title": "x"})
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 3, "order": order}
    for _ in range(3):
        page = (await door.get("/tasks", last, **query)).json()
        seen += [task["id"] for task in page["items"]]
        query["cursor"] = page["next_cursor"]
    assert seen == [f"t{number}" for number in (range(7) if order == "asc" else reversed(range(7)))]
    assert page["next_cursor"] is None


async def test_a_cursor_belongs_to_one_order(door: Door) -> None:
    for name in ("t1", "t2"):
        last = await door.done(f"/tasks?id={name}", {"project_id": "core", "title": "x"})
    cursor = (await door.get("/tasks", last, limit=1)).json()["next_cursor"]
    refused = await door.get("/tasks", last, order="desc", cursor=cursor)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed")
    unknown = await door.get("/tasks", last, order="sideways")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "schema_invalid")


async def test_filters_are_exact_and_narrow_together(door: Door) -> None:
    await door.done("/tasks?id=t1", {"project_id": "core", "title": "x"})
    await door.done("/tasks?id=t2", {"project_id": "core", "title": "x"})
    last = await door.done("/tasks/t2/mark_ready")
    ready = await door.get("/tasks", last, state="ready", project_id="core")
    nothing = await door.get("/tasks", last, state="ready", project_id="other")
    assert [task["id"] for task in ready.json()["items"]] == ["t2"]
    assert nothing.json() == {"items": [], "next_cursor": None}


async def test_a_lineage_is_listed_from_the_root_down(door: Door) -> None:
    parent: dict[str, str] = {}
    for name in ("root", "middle", "leaf"):
        last = await door.done(f"/sessions?id={name}", {"blueprint": BLUEPRINT, **parent})
        await door.done(f"/sessions/{name}/start")
        parent = {"parent_id": name}
    ancestors = await door.get("/sessions/leaf/ancestors", last)
    first = (await door.get("/sessions/leaf/ancestors", last, limit=1)).json()
    second = await door.get("/sessions/leaf/ancestors", last, limit=1, cursor=first["next_cursor"])
    descendants = await door.get("/sessions/root/descendants", last)
    assert [session["id"] for session in ancestors.json()["items"]] == ["root", "middle"]
    assert [session["id"] for session in second.json()["items"]] == ["middle"]
    assert [session["id"] for session in descendants.json()["items"]] == ["middle", "leaf"]


async def test_what_a_sweep_has_not_reached_yet_is_ending_and_listed_as_ended(door: Door, gateway_stack: Stack) -> None:
    await runaway(door)
    await eventually(lambda: swept(door))
    owner = await asyncpg.connect(gateway_stack.postgres.dsn())
    try:  # As it was in the middle of the sweep.
        await owner.execute("UPDATE mp.sweeps SET state = 'running' WHERE workspace_id = $1", door.workspace_id)
        await owner.execute(
            "UPDATE mp.sessions SET state = 'requested' WHERE workspace_id = $1 AND id = 'r2'", door.workspace_id
        )
    finally:
        await owner.close()
    shown = (await door.get("/sessions/r2")).json()
    assert (shown["state"], shown["ending"]) == ("requested", True)
    assert (await door.get("/sessions/r1")).json()["ending"] is False

    async def listed(state: str) -> list[str]:
        return [session["id"] for session in (await door.get("/sessions", state=state)).json()["items"]]

    assert await listed("requested") == []
    assert await listed("canceled") == ["runaway", "r1", "r2"]


async def test_one_reads_ones_own_write(door: Door) -> None:
    for number in range(20):
        outcome = await door.done(f"/tasks?id=t{number}", {"project_id": "core", "title": "x"})
        assert (await door.get(f"/tasks/t{number}", outcome)).status_code == 200


async def test_a_position_the_log_has_not_reached_is_unavailable_for_now(door: Door) -> None:
    answer = await door.get("/tasks", after_seq=2**52)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_a_row_carries_its_version_as_etag_for_if_match(door: Door) -> None:
    outcome = await door.done("/tasks?id=t1", {"project_id": "core", "title": "x"})
    etag = (await door.get("/tasks/t1", outcome)).headers["etag"]
    assert (await door.send("/tasks/t1/edit", {"title": "y"}, if_match=etag)).status_code == 200


async def test_a_role_that_is_taken_away_closes_the_workspace(door: Door) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    bob = door.seen_by((await door.done("/principals/user:bob/keys"))["key"])
    assert (await bob.get("/tasks")).status_code == 200
    gone = await door.done("/principals/user:bob/unbind_role", {"role": "viewer"})

    async def closed() -> bool:
        return (await bob.get("/tasks", gone)).status_code == 403

    await eventually(closed)


async def test_a_workspace_that_does_not_exist_looks_like_one_that_is_not_yours(door: Door) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    bob = door.seen_by((await door.done("/principals/user:bob/keys"))["key"])
    missing = await bob.ask("GET", "/v1/workspaces/no-such-workspace/tasks")
    assert (missing.status_code, missing.json()["code"]) == (403, "denied")


async def test_a_credential_of_one_workspace_lists_that_one_alone(door: Door) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    bob = door.seen_by((await door.done("/principals/user:bob/keys"))["key"])

    async def listed() -> bool:
        items = (await bob.ask("GET", "/v1/workspaces")).json()["items"]
        return [item["workspace_id"] for item in items] == [door.workspace_id]

    await eventually(listed)


async def test_history_is_given_as_cloudevents_to_whoever_accepts_them(door: Door) -> None:
    for number in range(3):
        last = await door.done(f"/tasks?id=t{number}", {"project_id": "core", "title": f"Fix {number}"})
    plain = (await door.get("/history", last, event_type="mp.task.TaskCreated.v1")).json()["items"]
    wanted = {"accept": "application/cloudevents-batch+json, application/json;q=0.5"}
    path, found = f"{door.path}/history?limit=2&event_type=mp.task.TaskCreated.v1", []
    while path:
        answer = await door.ask("GET", path, headers=wanted)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/cloudevents-batch+json")
        assert answer.headers["vary"] == "accept"
        found += answer.json()
        path = answer.links.get("next", {}).get("url", "")
    assert [(each["id"], each["seq"]) for each in found] == [(each["id"], each["seq"]) for each in plain]
    first = msgspec.convert(found[0], CloudEvent)
    assert (first.specversion, first.sequence, first.aggregate_id) == ("1.0", f"{first.seq:016d}", "t0")
    assert isinstance(first.event, TaskCreated)


async def test_history_is_rows_to_everybody_else(door: Door) -> None:
    answer = await door.ask("GET", f"{door.path}/history", headers={"accept": "*/*"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["items"][0]["event_type"] == "mp.workspace.WorkspaceCreated.v1"

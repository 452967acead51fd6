"""Deliveries to an endpoint: all that it subscribed to, in order per aggregate, signed, repeated until accepted."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import asyncpg
import httpx
import msgspec
from mpd.stack import Stack
from mpschema import levels
from mpschema.webhook.rows import DeliveryRow, ParkedKeyRow, WaitingKeyRow

from services.webhooks.tests.conftest import Tenant, ids, parked_key
from services.webhooks.tests.receiver import Receiver, Reply
from tests.support.waiting import eventually


async def test_it_is_told_what_its_filter_names_in_order_and_signed(tenant: Tenant, receiver: Receiver) -> None:
    secret = await tenant.hook(receiver, event_types=["TaskCreated", "mp.task.TaskEdited.v1"])
    await asyncio.gather(*(tenant.task(f"t{number}", edits=4) for number in range(5)))
    await tenant.call("/tasks/t1/mark_ready")
    await tenant.task("last")
    told = [row for row in await tenant.items("/history", aggregate="task") if "TaskReady" not in row["event_type"]]
    await eventually(lambda: len(receiver.heard()) >= len(told))
    assert sorted(ids(receiver.heard())) == sorted(f"{row['epoch']}:{row['seq']}" for row in told)
    for number in range(5):
        seqs = [request.event["seq"] for request in receiver.heard() if request.key == f"task/t{number}"]
        assert seqs == sorted(seqs)
    assert all(request.is_signed_with(secret) for request in receiver.requests)
    assert all(abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60 for request in receiver.requests)


async def test_the_body_is_the_event_as_a_stream_tells_it(tenant: Tenant, receiver: Receiver) -> None:
    await tenant.hook(receiver, aggregates=[], after_seq=0)
    await tenant.task("t1")
    where = f"/v1/workspaces/{tenant.workspace_id}/events?after=0:0"
    streamed: list[dict[str, Any]] = []
    async with tenant.http.stream("GET", where) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                streamed.append(json.loads(line.removeprefix("data: ")))
                if streamed[-1]["subject"] == "task/t1":
                    break
    without_webhooks = [each for each in streamed if not each["subject"].startswith("webhook/")]
    await eventually(lambda: len(receiver.heard()) >= len(without_webhooks))
    heard = sorted((request.event for request in receiver.heard()), key=lambda event: event["seq"])
    assert heard == without_webhooks
    assert receiver.requests[0].headers["content-type"] == "application/cloudevents+json"


async def test_it_is_tried_again_until_it_is_heard(tenant: Tenant, receiver: Receiver) -> None:
    receiver.reply = lambda _key, before: Reply(204 if before == 2 else 503)
    await tenant.hook(receiver)
    await tenant.task("t1", edits=2)
    await eventually(lambda: len(receiver.heard()) == 3)
    assert ids(receiver.requests) == [each for each in await tenant.task_events() for _ in range(3)]
    await eventually(lambda: nothing_waits(tenant))
    (row,) = msgspec.convert(await tenant.items("/webhooks/w1/deliveries"), list[DeliveryRow])
    assert (row.delivered, row.failure) == (3, "task/t1: the receiver answered 503")


async def test_only_the_key_that_fails_waits_and_is_delivered_in_order_when_requeued(
    tenant: Tenant, receiver: Receiver
) -> None:
    receiver.reply = lambda key, _: Reply(500 if key == "task/bad" else 204)
    await tenant.hook(receiver)
    await tenant.task("bad", edits=2)
    await tenant.task("good", edits=3)
    row = msgspec.convert(await parked_key(tenant, "task/bad"), ParkedKeyRow)
    assert (row.attempts, row.reason) == (3, "the receiver answered 500")

    async def its_place_is_kept() -> bool:
        (waiting,) = msgspec.convert(await tenant.items("/webhooks/w1/waiting"), list[WaitingKeyRow])
        return (waiting.key, waiting.after_seq, waiting.parked_seq) == ("task/bad", row.seq - 1, row.last_seq)

    await eventually(its_place_is_kept)  # The worker writes it down once the kernel has answered.
    await eventually(lambda: len(ids(receiver.heard(), "task/good")) == 4)
    await tenant.task("good2")
    await eventually(lambda: ids(receiver.heard(), "task/good2") != [])
    assert len(ids(receiver.requests, "task/bad")) == 3
    receiver.reply = lambda _key, _before: Reply()
    await tenant.call("/webhooks/w1/requeue", {"key": "task/bad"})
    await eventually(lambda: len(ids(receiver.heard(), "task/bad")) == 3)
    seqs = [request.event["seq"] for request in receiver.heard() if request.key == "task/bad"]
    assert seqs == sorted(seqs)
    await eventually(lambda: nothing_waits(tenant))
    await tenant.call("/tasks/bad/edit", {"title": "again"})
    await eventually(lambda: len(ids(receiver.heard(), "task/bad")) == 4)


async def test_what_fails_again_is_parked_again(tenant: Tenant, receiver: Receiver) -> None:
    receiver.reply = lambda _key, _before: Reply(500)
    await tenant.hook(receiver)
    await tenant.task("t1")
    first = await parked_key(tenant, "task/t1")
    await tenant.call("/webhooks/w1/requeue")

    async def parked_anew() -> bool:
        return bool((await parked_key(tenant, "task/t1"))["last_seq"] > first["last_seq"])

    await eventually(parked_anew)
    assert len(receiver.requests) == 6


async def test_a_receiver_that_is_gone_pauses_its_webhook_and_nothing_is_lost(
    tenant: Tenant, receiver: Receiver
) -> None:
    receiver.reply = lambda _key, _before: Reply(410)
    await tenant.hook(receiver)
    await tenant.task("t1", edits=1)

    async def paused() -> bool:
        row = await tenant.get("/webhooks/w1")
        return bool(row["state"] == "paused" and "410" in row["reason"])

    await eventually(paused)
    receiver.reply = lambda _key, _before: Reply()
    await tenant.call("/webhooks/w1/resume")
    await eventually(lambda: len(receiver.heard()) == 2)
    assert ids(receiver.heard()) == await tenant.task_events()


async def test_it_is_resumed_from_another_place(tenant: Tenant, receiver: Receiver) -> None:
    await tenant.hook(receiver)
    await tenant.task("t1", edits=3)
    await eventually(lambda: len(receiver.heard()) == 4)
    second = receiver.heard()[1].event["seq"]
    await tenant.call("/webhooks/w1/pause")
    await tenant.call("/webhooks/w1/resume", {"after_seq": second})
    await eventually(lambda: len(receiver.heard()) == 6)
    assert [request.event["seq"] for request in receiver.heard()[4:]] == [second + 1, second + 2]


async def test_a_rotated_secret_signs_beside_the_new_one(tenant: Tenant, receiver: Receiver) -> None:
    old = await tenant.hook(receiver)
    new = (await tenant.call("/webhooks/w1/rotate_secret"))["secret"]
    assert new != old

    async def signed_by_both() -> bool:
        await tenant.call("/tasks", {"project_id": "core", "title": "x"})
        return receiver.heard()[-1].is_signed_with(new)

    await eventually(signed_by_both)
    assert receiver.heard()[-1].is_signed_with(old)
    await tenant.call("/webhooks/w1/rotate_secret")
    await tenant.task("later")
    await eventually(lambda: not receiver.heard()[-1].is_signed_with(old))


async def test_a_webhook_hears_nothing_of_another_workspace_and_is_not_seen_from_there(
    delivering: Stack, tenant: Tenant, receiver: Receiver
) -> None:
    await tenant.hook(receiver, aggregates=[], after_seq=0)
    other = Tenant(tenant.http, f"{tenant.workspace_id}-other")
    await tenant.http.post("/v1/workspaces", json={"name": "Other"}, params={"id": other.workspace_id})
    await other.call("/principals/user:eve/bind_role", {"role": "owner"})
    key = (await other.call("/principals/user:eve/keys"))["key"]
    await other.call("/projects", {"name": "core"}, id="core")
    await other.task("theirs")
    await tenant.task("ours")
    await eventually(lambda: ids(receiver.heard(), "task/ours") != [])
    assert {request.event["source"] for request in receiver.requests} == {f"/workspaces/{tenant.workspace_id}"}
    async with httpx.AsyncClient(base_url=delivering.url, headers={"authorization": f"Bearer {key}"}) as eve:
        for path in ("", "/w1", "/w1/parked", "/w1/deliveries", "/w1/waiting"):
            assert (await eve.get(f"/v1/workspaces/{tenant.workspace_id}/webhooks{path}")).status_code == 403
        assert (await eve.post(f"/v1/workspaces/{tenant.workspace_id}/webhooks/w1/requeue")).status_code == 403
        for path in ("", "/w1/parked", "/w1/deliveries", "/w1/waiting"):
            answer = await eve.get(f"/v1/workspaces/{other.workspace_id}/webhooks{path}")
            assert answer.json()["items"] == []


async def test_only_the_service_itself_parks(tenant: Tenant, receiver: Receiver) -> None:
    await tenant.hook(receiver)
    where = f"/v1/workspaces/{tenant.workspace_id}/webhooks/w1/park"
    answer = await tenant.http.post(where, json={"key": "task/t1", "seq": 1, "reason": "x", "attempts": 1})
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")


async def test_workers_that_are_killed_go_on_where_they_were(
    delivering: Stack, tenant: Tenant, receiver: Receiver
) -> None:
    heard_half = asyncio.Event()
    killed = threading.Event()
    loop = asyncio.get_running_loop()

    def until_killed(_key: str, _before: int) -> Reply:
        if len(receiver.requests) >= 60:
            loop.call_soon_threadsafe(heard_half.set)
            killed.wait(30)
        return Reply()

    receiver.reply = until_killed
    await asyncio.gather(*(tenant.task(f"t{number}", edits=9) for number in range(15)))
    await tenant.hook(receiver, after_seq=0)
    await asyncio.wait_for(heard_half.wait(), 60)
    for worker in delivering.webhooks:
        await asyncio.to_thread(worker.kill)
    killed.set()
    before = len(receiver.requests)
    await asyncio.gather(*(asyncio.to_thread(worker.start) for worker in delivering.webhooks))
    told = await tenant.task_events()
    await eventually(lambda: set(ids(receiver.heard())) == set(told), timeout=60)
    assert before < len(told), "the kill came half-way"
    assert len(receiver.requests) - len(told) <= 16, "only what was in flight comes twice"
    for number in range(15):
        mine = list(dict.fromkeys(ids(receiver.heard(), f"task/t{number}")))
        assert mine == [each for each in told if each in mine]


async def test_one_worker_takes_over_from_another(delivering: Stack, tenant: Tenant, receiver: Receiver) -> None:
    await tenant.hook(receiver)
    await tenant.task("t1")
    await eventually(lambda: len(receiver.heard()) == 1)
    owner = await asyncpg.connect(delivering.postgres.dsn())
    query = "SELECT owner FROM mp_webhooks.positions WHERE workspace_id = $1"
    node = str(await owner.fetchval(query, tenant.workspace_id))
    await owner.close()
    worker = delivering.process(node.rpartition("-")[0])
    await asyncio.to_thread(worker.kill)
    await tenant.task("t2")
    await eventually(lambda: len(receiver.heard()) == 2, timeout=60)
    await asyncio.to_thread(worker.start)


async def nothing_waits(tenant: Tenant) -> bool:
    """Tell whether a webhook has nothing parked and nothing to try again."""
    return await tenant.items("/webhooks/w1/parked") == [] == await tenant.items("/webhooks/w1/waiting")


async def test_every_service_says_which_feature_level_it_reads(delivering: Stack) -> None:
    async with httpx.AsyncClient() as http:
        for service in delivering.services:
            facts = (await http.get(f"{service.ops_url}/readyz")).json()
            assert facts["reads_level"] == levels.FEATURE_LEVEL, service.name

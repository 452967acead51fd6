"""The promises of a gateway when it, or anything behind it, goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from random import Random
from socket import SO_RCVBUF, SOL_SOCKET, socket
from typing import Any

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.gateway.tests.door import Door
from services.gateway.tests.sse import Listener, background, listening
from tests.support import eventually

SETTINGS = {
    "gateway": {
        "MP_STREAM_HEARTBEAT_SECONDS": "0.4",
        "MP_STREAM_RING_BYTES": "65536",
        "MP_STREAM_STALL_SECONDS": "2",
    }
}

LAST_CHUNK = b"\r\n0\r\n\r\n"  # of an HTTP answer (RFC 9112, 7.1)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processes these tests kill, with two gateways and a ring of 64 KiB."""
    stack = Stack(tmp_path_factory.mktemp("fragile"), gateways=2, http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


@asynccontextmanager
async def _door(stack: Stack) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(base_url=stack.url, timeout=httpx.Timeout(10, read=5)) as client:
        door = Door(client, f"ws-{secrets.token_hex(6)}", stack.root_key)
        await _insist(door, f"/v1/workspaces?id={door.workspace_id}", {"name": "x"}, "make")
        await _insist(door, f"{door.path}/projects?id=core", {"name": "core"}, "core")
        yield door


async def _insist(door: Door, path: str, body: dict[str, str], key: str) -> dict[str, Any]:
    """A command repeated under its key until it is acknowledged."""

    async def acknowledged() -> dict[str, Any]:
        answer = await door.ask("POST", path, json=body, headers={"idempotency-key": key})
        assert answer.is_success, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    return await eventually(acknowledged, 60)


async def _create_tasks(door: Door, name: str, count: int) -> list[dict[str, Any]]:
    body = {"project_id": "core", "title": "x" * 150}
    return [await _insist(door, f"{door.path}/tasks", body, f"{name}-{number}") for number in range(count)]


async def _restart_at_random(stack: Stack, dice: Random, times: int) -> None:
    for _ in range(times):
        name = dice.choice(["gateway-1", "gateway-2", "kernel-1", "projector-1"])
        process = stack.process(name)
        await (asyncio.to_thread(process.kill) if dice.random() < 0.5 else asyncio.to_thread(process.stop))
        await asyncio.to_thread(process.start)


async def test_every_event_once_and_in_order_through_restarts_of_everything(fragile: Stack) -> None:
    async with _door(fragile) as door, httpx.AsyncClient(base_url=fragile.gateways[1].url, timeout=30) as second:
        other = Door(second, door.workspace_id, door.credential)
        quiet = Listener(other, {"after": "0:0", "type": "mp.project.ProjectCreated.v1"})
        listeners = [Listener(door, {"after": "0:0"}), Listener(other, {"after": "0:0"})]
        async with background(listeners[0]), background(listeners[1]), background(quiet):
            restarts = asyncio.create_task(_restart_at_random(fragile, Random(7), 6))
            written = 0
            while not restarts.done():
                outcomes = await _create_tasks(door, f"round-{written}", 20)
                written += len(outcomes)
            await restarts
            last = outcomes[-1]
            expected = await _archived(door, last)
            await eventually(lambda: [listener.seqs[-1] for listener in listeners] == [last["last_seq"]] * 2, 30)
    assert [listener.seqs for listener in listeners] == [expected, expected]
    assert len(quiet.events) == 1
    assert sum(listener.connections for listener in listeners) > 2


async def _archived(door: Door, last: dict[str, Any]) -> list[int]:
    """The positions of all events of the workspace, by the archive."""
    seqs: list[int] = []
    query: dict[str, str | int] = {"limit": 500}
    while True:
        page = (await eventually(lambda: _page(door, last, query), 30)).json()
        seqs += [item["seq"] for item in page["items"]]
        if page["next_cursor"] is None:
            return seqs
        query["cursor"] = page["next_cursor"]


async def _page(door: Door, last: dict[str, Any], query: dict[str, str | int]) -> httpx.Response:
    answer = await door.get("/history", last, **query)
    assert answer.status_code == 200, answer.text
    return answer


async def test_far_behind_the_ring_the_log_itself_is_read(fragile: Stack) -> None:
    async with _door(fragile) as door:
        lines = [json.dumps({"type": "task.create", "payload": {"project_id": "core", "title": "x" * 150}})] * 2_000
        headers = {"content-type": "application/x-ndjson"}
        answer = await door.ask("POST", f"{door.path}/commands:batch", content="\n".join(lines), headers=headers)
        last = json.loads(answer.text.splitlines()[-1])
        async with listening(door, after="0:0") as listener:
            await eventually(lambda: len(listener.seqs) == 2_000 + 3, 30)
        assert listener.seqs == await _archived(door, last)


async def test_goodbye_is_said_before_the_door_closes(fragile: Stack) -> None:
    async with _door(fragile) as door:
        listener = Listener(door)
        listening_once = asyncio.create_task(listener.listen_once())
        await eventually(lambda: listener.connections == 1 and listener.messages != [])
        url = fragile.url.replace("http", "ws") + f"{door.path}/events/ws"
        async with connect(url, additional_headers={"authorization": f"Bearer {door.credential}"}) as ear:
            await ear.recv()
            exit_code = await asyncio.to_thread(fragile.gateways[0].stop)
            frames, code = await _until_closed(ear)
        await listening_once
        await asyncio.to_thread(fragile.gateways[0].start)
    assert exit_code == 0
    assert listener.messages[-1].event == "bye"
    assert listener.messages[-1].data["reason"] == "shutdown"
    assert 1_000 <= listener.messages[-1].data["retry_ms"] <= 3_000
    assert (frames[-1]["event"], frames[-1]["data"]["reason"]) == ("bye", "shutdown")
    assert code == 1012


async def _until_closed(ear: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """The frames that come until the server closes, and its close code."""
    frames = []
    while True:
        try:
            frames.append(json.loads(await ear.recv()))
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else 0


async def test_a_request_in_flight_is_answered_before_the_door_closes(fragile: Stack) -> None:
    async with _door(fragile) as door:
        await asyncio.to_thread(fragile.process("kernel-1").pause)
        asking = asyncio.create_task(door.send("/tasks?id=t1", {"project_id": "core", "title": "x"}))
        await eventually(lambda: _in_flight(fragile))
        stopping = asyncio.create_task(asyncio.to_thread(fragile.gateways[0].stop))
        await asyncio.to_thread(fragile.process("kernel-1").resume)
        answer, exit_code = await asking, await stopping
        await asyncio.to_thread(fragile.gateways[0].start)
    assert answer.status_code == 201
    assert exit_code == 0


async def test_who_waits_for_an_outcome_is_told_that_it_is_unknown_and_the_same_request_again_learns_it(
    fragile: Stack,
) -> None:
    task = {"project_id": "core", "title": "x"}
    async with _door(fragile) as door:
        await asyncio.to_thread(fragile.process("kernel-1").pause)
        asked = await door.ask(
            "POST", f"{door.path}/tasks?id=t1", json=task, headers={"idempotency-key": "t1"}, timeout=60
        )
        await asyncio.to_thread(fragile.process("kernel-1").resume)
        assert (asked.status_code, asked.json()["code"]) == (504, "outcome_unknown")
        assert (await _insist(door, f"{door.path}/tasks?id=t1", task, "t1"))["target"] == "t1"


async def _in_flight(stack: Stack) -> bool:
    async with httpx.AsyncClient(base_url=stack.gateways[0].ops_url, timeout=30) as client:
        metrics = (await client.get("/metrics")).text
    return "mp_gateway_commands_in_flight 1.0" in metrics


async def test_streams_live_through_the_loss_of_nats_and_go_on(fragile: Stack) -> None:
    async with _door(fragile) as door, listening(door) as listener:
        await eventually(lambda: listener.messages != [])
        await asyncio.to_thread(fragile.nats.stop)
        silent = len(listener.messages)
        await eventually(lambda: len(listener.messages) >= silent + 2)
        await asyncio.to_thread(fragile.nats.start)
        outcomes = await _create_tasks(door, "after", 3)
        await eventually(lambda: listener.seqs == [outcome["last_seq"] for outcome in outcomes], 30)
    assert listener.connections == 1


async def test_without_postgres_commands_go_on_and_queries_are_unavailable_for_now(fragile: Stack) -> None:
    async with _door(fragile) as door:
        await asyncio.to_thread(fragile.postgres.stop)
        command = await door.send("/tasks?id=t1", {"project_id": "core", "title": "x"})
        query = await door.get("/tasks")
        ready = await door.http.get("/readyz")
        await asyncio.to_thread(fragile.postgres.start)
        found = await eventually(lambda: _page_of_tasks(door, command.json()), 30)
    assert command.status_code == 201
    assert (query.status_code, query.json()["code"]) == (503, "unavailable")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
    assert [task["id"] for task in found.json()["items"]] == ["t1"]


async def _page_of_tasks(door: Door, last: dict[str, Any]) -> httpx.Response:
    answer = await door.get("/tasks", last)
    assert answer.status_code == 200, answer.text
    return answer


async def test_without_redis_nothing_fails(fragile: Stack) -> None:
    async with _door(fragile) as door:
        await asyncio.to_thread(fragile.valkey.kill)
        statuses = [(await door.get("/tasks")).status_code for _ in range(30)]
        await asyncio.to_thread(fragile.valkey.start)
    assert set(statuses) == {200}


async def test_a_client_that_does_not_read_is_cut_off(fragile: Stack) -> None:
    before = await _cut_off(fragile)  # On a busy machine a client of an earlier test may have been.

    async def one_more() -> bool:
        return await _cut_off(fragile) > before

    async with _door(fragile) as door, _deaf_client(door, fragile) as reader:
        await asyncio.gather(*(_flood(door) for _ in range(4)))
        await eventually(one_more, 90)
        await asyncio.wait_for(_read_to_the_end(reader), 60)


async def _read_to_the_end(reader: asyncio.StreamReader) -> None:
    """A stuck connection is cut; a stream that fell behind ends with a goodbye, on a connection that stays open."""
    rest = b""
    with suppress(ConnectionError):
        while not rest.endswith(LAST_CHUNK):
            read = await reader.read(65_536)
            if not read:
                return
            rest = (rest + read)[-1_000:]
        assert b'event: bye\ndata: {"reason":"slow"' in rest


@asynccontextmanager
async def _deaf_client(door: Door, stack: Stack) -> AsyncIterator[asyncio.StreamReader]:
    """An event stream that is opened and then not read, with small buffers."""
    host, port = stack.url.removeprefix("http://").split(":")
    small = socket()
    small.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=small, limit=1_024)
    request = f"GET {door.path}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.credential}\r\n\r\n"
    writer.write(request.encode())
    try:
        await reader.readuntil(b"\r\n\r\n")
        yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _flood(door: Door) -> None:
    line = json.dumps(
        {"type": "task.create", "payload": {"project_id": "core", "title": "x", "description": "d" * 2_000}}
    )
    headers = {"content-type": "application/x-ndjson"}
    for _ in range(5):
        await door.ask("POST", f"{door.path}/commands:batch", content=f"{line}\n" * 300, headers=headers)


async def _cut_off(stack: Stack) -> float:
    """Return the number of streams cut off so far: stuck in a write, or fallen behind the ring before that."""
    async with httpx.AsyncClient(base_url=stack.gateways[0].ops_url, timeout=30) as client:
        families = text_string_to_metric_families((await client.get("/metrics")).text)
    ended = [sample for family in families for sample in family.samples if sample.name.endswith("streams_ended_total")]
    return sum(sample.value for sample in ended if sample.labels["reason"] in {"stalled", "slow"})

"""A standard EventSource comes back from whatever ends its stream, and gets every event once."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from mpbus.connect import connect as connect_nats
from mpbus.ingest import log_ingest
from mpd.ports import free_port
from mpd.stack import Stack

from services.gateway.tests.door import Door
from tests.support import eventually
from tests.support.node import Node
from tests.support.users import KERNEL

PROGRAM = Path(__file__).with_name("event_source.mjs")
TASK_CREATED = "mp.task.TaskCreated.v1"
SETTINGS = {
    "gateway": {"MP_STREAM_PRINCIPAL_MAX": "2", "MP_STREAM_RING_BYTES": "65536", "MP_STREAM_STALL_SECONDS": "120"}
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose one gateway these tests kill."""
    stack = Stack(tmp_path_factory.mktemp("killed"), http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


@dataclass
class Ear:
    """An EventSource in a process of its own, and its reports."""

    process: asyncio.subprocess.Process
    said: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the reports of one kind."""
        return [line for line in self.said if line["kind"] == kind]

    def heard(self, kind: str) -> bool:
        """Tell whether there is a report of a kind."""
        return self.of(kind) != []

    def came_back_since(self, opened: int) -> bool:
        """Tell whether it connected more often than so many times."""
        return len(self.of("open")) > opened

    @property
    def seqs(self) -> list[int]:
        """The positions of the tasks that it reported."""
        return [line["data"]["seq"] for line in self.of(TASK_CREATED)]


@asynccontextmanager
async def _listening(node: Node, door: Door, query: str = "") -> AsyncIterator[Ear]:
    url = f"{door.http.base_url}{door.path}/events{query}"
    command = node.command(PROGRAM, url, door.credential, TASK_CREATED, "resync", "bye")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=node.folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ear = Ear(process)
    hearing = asyncio.create_task(_hear(process.stdout, ear))
    try:
        yield ear
    finally:
        process.send_signal(signal.SIGCONT)
        process.stdin.close()
        await hearing
        await process.wait()


async def _hear(stdout: asyncio.StreamReader, ear: Ear) -> None:
    async for line in stdout:
        ear.said.append(json.loads(line))


@pytest.fixture
async def door(killed: Stack) -> AsyncIterator[Door]:
    """A workspace with the project `core`, through a gateway that comes and goes."""
    async with httpx.AsyncClient(base_url=killed.url, timeout=30) as client:
        door = Door(client, f"ws-{secrets.token_hex(4)}", killed.root_key)
        await _insist(door, f"/v1/workspaces?id={door.workspace_id}", {"name": door.workspace_id}, "make")
        await _insist(door, f"{door.path}/projects?id=core", {"name": "core"}, "core")
        yield door


async def _insist(door: Door, path: str, body: dict[str, str], key: str) -> dict[str, Any]:
    async def acknowledged() -> dict[str, Any]:
        answer = await door.ask("POST", path, json=body, headers={"idempotency-key": key})
        assert answer.is_success, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    return await eventually(acknowledged, 60)


async def _task(door: Door, key: str) -> int:
    outcome = await _insist(door, f"{door.path}/tasks", {"project_id": "core", "title": "x"}, key)
    return int(outcome["last_seq"])


async def test_nothing_is_missing_or_doubled_through_kills_and_stops(killed: Stack, door: Door, node: Node) -> None:
    gateway, made = killed.process("gateway-1"), []
    async with _listening(node, door, "?after=0:0") as ear:
        await eventually(lambda: ear.heard("open"))
        for number in range(60):
            made.append(await _task(door, f"kill-{number}"))
            if number in (10, 30, 45):
                opened = len(ear.of("open"))
                await asyncio.to_thread(gateway.stop if number == 30 else gateway.kill)
                restart = asyncio.create_task(asyncio.to_thread(gateway.start))
                made.append(await _task(door, f"away-{number}"))
                await restart
                await eventually(partial(ear.came_back_since, opened))
        await eventually(lambda: len(ear.seqs) >= len(made), 60)
    assert ear.seqs == made
    assert len(ear.of("open")) >= 4
    assert {error["status"] for error in ear.of("error")} == {0}
    assert [bye["data"]["reason"] for bye in ear.of("bye")] == ["shutdown"]


async def test_a_gateway_that_has_just_started_refuses_no_stream(killed: Stack, door: Door) -> None:
    gateway = killed.process("gateway-1")
    await asyncio.to_thread(gateway.kill)
    starting = asyncio.create_task(asyncio.to_thread(gateway.start))
    statuses: list[int] = []
    while statuses.count(200) < 3:
        try:
            async with door.http.stream(
                "GET", f"{door.path}/events", headers={"authorization": f"Bearer {door.credential}"}
            ) as answer:
                statuses.append(answer.status_code)
        except httpx.TransportError:
            await asyncio.sleep(0.002)
    await starting
    assert set(statuses) == {200}


@pytest.mark.parametrize("position", ["99:3", "1:9007199254740991"])
async def test_a_stale_position_is_left_behind_with_one_resync(door: Door, node: Node, position: str) -> None:
    async with _listening(node, door, f"?after={position}") as ear:
        await eventually(lambda: len(ear.of("open")) >= 2)
        made = [await _task(door, f"stale-{number}") for number in range(3)]
        await eventually(lambda: ear.seqs == made)
    resyncs = ear.of("resync")
    assert len(resyncs) == 1
    assert resyncs[0]["id"] == resyncs[0]["data"]["head"]


async def test_for_whom_there_is_no_room_comes_back_until_there_is(door: Door, node: Node) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    bob = door.seen_by((await door.done("/principals/user:bob/keys"))["key"])
    async with AsyncExitStack() as first_ones, AsyncExitStack() as last_one:
        for _ in range(2):
            ear = await first_ones.enter_async_context(_listening(node, bob))
            await eventually(partial(ear.heard, "open"))
        third = await last_one.enter_async_context(_listening(node, bob, "?after=0:0"))
        await eventually(lambda: third.heard("bye"))
        await first_ones.aclose()
        made = await _task(door, "room")
        await eventually(lambda: made in third.seqs, 60)
    assert third.of("bye")[0]["data"]["reason"] == "overloaded"
    assert third.of("bye")[0]["data"]["retry_ms"] >= 5_000
    assert not any(error["ended"] for error in third.of("error"))


async def test_who_lost_the_role_is_told_and_ends_for_good(door: Door, node: Node) -> None:
    await door.done("/principals/user:eve/bind_role", {"role": "viewer"})
    eve = door.seen_by((await door.done("/principals/user:eve/keys"))["key"])
    async with _listening(node, eve) as ear:
        await eventually(lambda: ear.heard("open"))
        await door.done("/principals/user:eve/unbind_role", {"role": "viewer"})
        await eventually(lambda: any(error["ended"] for error in ear.of("error")), 60)
    assert ear.of("bye")[0]["data"]["reason"] == "denied"
    assert ear.of("error")[-1]["status"] == 403


async def test_who_fell_behind_is_told_and_reads_what_it_missed(door: Door, node: Node) -> None:
    payload = {"project_id": "core", "title": "x", "description": "d" * 8_000}
    lines = (json.dumps({"type": "task.create", "payload": payload}) + "\n") * 128
    headers = {"content-type": "application/x-ndjson"}
    async with _listening(node, door) as ear:
        await eventually(lambda: ear.heard("open"))
        made = [await _task(door, "first")]
        await eventually(lambda: ear.seqs == made)
        ear.process.send_signal(signal.SIGSTOP)
        for _ in range(16):
            answer = await door.ask("POST", f"{door.path}/commands:batch", content=lines, headers=headers)
            made += [json.loads(line)["last_seq"] for line in answer.text.splitlines()]
        ear.process.send_signal(signal.SIGCONT)
        await eventually(lambda: len(ear.seqs) >= len(made), 60)
    assert ear.seqs == made
    assert [bye["data"]["reason"] for bye in ear.of("bye")] == ["slow"]
    assert not any(error["ended"] for error in ear.of("error"))


async def test_a_log_that_is_broken_is_told_and_asked_for_again(killed: Stack, door: Door, node: Node) -> None:
    """The last test of this stack: nothing is recorded after it."""
    async with _listening(node, door) as ear:
        await eventually(lambda: ear.heard("open"))
        stolen = await connect_nats(killed.bus(KERNEL), "stolen")
        js = stolen.jetstream()
        await js.publish(await log_ingest(js, killed.shard), b"foreign")
        await stolen.close()
        await eventually(lambda: len(ear.of("bye")) >= 2, 60)
    assert [bye["data"]["reason"] for bye in ear.of("bye")][:2] == ["log_broken", "unavailable"]
    assert not any(error["ended"] for error in ear.of("error"))

"""The ends of WebSocket streams: each with its documented close code and sentence, and with bounded memory."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from mpbus.connect import connect as connect_bus
from mpbus.ingest import log_ingest
from mpd.ports import free_port
from mpd.stack import Stack
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.gateway.tests.door import Door
from tests.support import eventually
from tests.support.users import KERNEL

MIB = 1 << 20
SETTINGS = {
    "gateway": {
        "MP_STREAM_RING_BYTES": "65536",
        "MP_STREAM_HEARTBEAT_SECONDS": "0.4",
        "MP_STREAM_STALL_SECONDS": "600",
        "MP_HTTP_ANSWER_SECONDS": "600",
        "MP_HTTP_HEAD_SECONDS": "1.5",
    }
}
NDJSON = {"content-type": "application/x-ndjson"}
RESTART = 1012
_WRITTEN_MIB = 12
"""More than the buffers of two sockets and the ring hold."""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose gateway keeps 64 KiB of the newest commits, and waits for slow clients nearly for ever."""
    stack = Stack(tmp_path_factory.mktemp("patient"), http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


async def _owned(stack: Stack) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        door = Door(client, f"ws-{secrets.token_hex(6)}", stack.root_key)
        made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": "x"})
        assert made.status_code == 201, made.text
        await door.done("/projects?id=core", {"name": "core"})
        yield door


@pytest.fixture
async def owner(patient: Stack) -> AsyncIterator[Door]:
    """A workspace of the test's own, with the project `core`."""
    async for door in _owned(patient):
        yield door


def _socket(door: Door, query: str = "") -> connect:
    url = str(door.http.base_url).replace("http", "ws").rstrip("/") + f"{door.path}/events/ws{query}"
    return connect(url, additional_headers={"authorization": f"Bearer {door.credential}"}, max_queue=1)


async def _until_closed(ear: ClientConnection) -> tuple[list[dict[str, object]], int, str]:
    """The frames that come until the server closes, the close code, and its reason."""
    frames: list[dict[str, object]] = []
    while True:
        try:
            frames.append(json.loads(await ear.recv()))
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else 0, closed.rcvd.reason if closed.rcvd else ""


async def _fill(door: Door, mebibytes: int) -> None:
    payload = {"project_id": "core", "title": "x", "description": "d" * 8_000}
    lines = json.dumps({"type": "task.create", "payload": payload}) + "\n"
    for _ in range(mebibytes):
        answer = await door.ask("POST", f"{door.path}/commands:batch", content=lines * 128, headers=NDJSON)
        assert answer.status_code == 200, answer.text


async def _open_sockets(stack: Stack) -> float:
    async with httpx.AsyncClient(timeout=30) as client:
        text = (await client.get(f"{stack.gateways[0].ops_url}/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mp_gateway_streams" and sample.labels["transport"] == "websocket"
    )


def _resident(stack: Stack) -> int:
    return int(psutil.Process(stack.gateways[0].pid).memory_info().rss)


async def test_a_socket_that_reads_too_slowly_is_told_so_and_the_gateway_keeps_nothing_for_it(
    patient: Stack, owner: Door
) -> None:
    await _fill(owner, 2)  # What decoding and answering take once is there before we look.
    before = _resident(patient)
    async with _socket(owner) as ear:
        await ear.recv()
        await _fill(owner, _WRITTEN_MIB)
        grown = _resident(patient) - before
        frames, code, reason = await _until_closed(ear)
    assert (frames[-1]["event"], code, reason) == ("bye", RESTART, "slow")
    said = frames[-1]["data"]
    assert isinstance(said, dict)
    assert said["reason"] == "slow"
    assert said["retry_ms"] >= 1_000
    assert grown < 64 * MIB
    position = [frame["id"] for frame in frames if frame.get("id")][-1]
    async with _socket(owner, f"?after={position}") as again:
        first = json.loads(await again.recv())
        while first["event"] == "heartbeat":
            first = json.loads(await again.recv())
    seqs = [int(str(frame["id"]).partition(":")[2]) for frame in (*frames, first) if frame.get("id")]
    assert seqs == sorted(seqs), "it goes on after the last event that it saw"


async def test_sockets_that_are_cut_without_having_read_leave_nothing(patient: Stack, owner: Door) -> None:
    await _fill(owner, 4)
    before = _resident(patient)
    url = urlsplit(str(owner.http.base_url))
    handshake = (
        f"GET {owner.path}/events/ws?after=0:0 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        f"Authorization: Bearer {owner.credential}\r\n\r\n"
    )
    deaf = [await asyncio.open_connection(url.hostname, url.port, limit=4_096) for _ in range(8)]
    for reader, writer in deaf:
        writer.write(handshake.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")

    async def all_open() -> bool:
        return await _open_sockets(patient) == len(deaf)

    await eventually(all_open, 30)
    for _, writer in deaf:
        writer.transport.abort()

    async def none_open() -> bool:
        return await _open_sockets(patient) == 0

    await eventually(none_open, 30)
    assert _resident(patient) - before < 64 * MIB
    assert (await owner.get("/tasks")).status_code == 200


async def test_a_handshake_that_drips_is_cut(patient: Stack, owner: Door) -> None:
    url = urlsplit(str(owner.http.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"GET {owner.path}/events/ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-Drip: "
    writer.write(head.encode())

    async def drip() -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(60):
            with suppress(ConnectionError):
                assert not (await reader.read()).startswith(b"HTTP/1.1 101")
    finally:
        dripping.cancel()
        writer.transport.abort()
    assert await _open_sockets(patient) == 0


async def test_a_socket_of_a_log_that_is_broken_is_told_so(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "broken", http_port=free_port(), settings=SETTINGS)
    await asyncio.to_thread(stack.start)
    try:
        async for door in _owned(stack):
            async with _socket(door) as ear:
                await ear.recv()
                stolen = await connect_bus(stack.bus(KERNEL), "stolen")
                js = stolen.jetstream(timeout=30)
                await js.publish(await log_ingest(js, "0"), b"nobody of ours was me")
                await stolen.close()
                frames, code, reason = await _until_closed(ear)
            said = frames[-1]["data"]
            assert isinstance(said, dict)
            assert (frames[-1]["event"], said["reason"], code, reason) == ("bye", "log_broken", RESTART, "log_broken")
            with pytest.raises(InvalidStatus, match="503"):
                await _socket(door)
    finally:
        await asyncio.to_thread(stack.kill)

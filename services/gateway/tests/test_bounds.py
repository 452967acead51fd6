"""Whoever takes much at once meets a bound: refused streams, large bodies, reading the log, writes that wait."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET, socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.gateway.tests.door import Door
from services.gateway.tests.sse import listening
from tests.support import eventually

MIB = 1 << 20
SETTINGS = {
    "gateway": {
        "MP_STREAM_RING_BYTES": "65536",
        "MP_STREAM_HEARTBEAT_SECONDS": "0.4",
        "MP_STREAM_PRINCIPAL_MAX": "2",
        "MP_STREAM_STALL_SECONDS": "600",
        "MP_STREAM_READ_BYTES_PER_SECOND": str(MIB),
        "MP_HTTP_BODIES_BYTES": str(16 * MIB),
        "MP_HTTP_BODIES_PRINCIPAL_BYTES": str(8 * MIB),
        "MP_HTTP_BODY_SECONDS": "120",
        "MP_HTTP_BODY_IDLE_SECONDS": "120",
        "MP_HTTP_ANSWER_SECONDS": "600",
    }
}
NDJSON = {"content-type": "application/x-ndjson"}
HANDSHAKE = (
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)
STREAMS = {"sse": ("/events", ""), "websocket": ("/events/ws", HANDSHAKE)}
BURST = 50
"""Refusals that are answered at once."""


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose gateway has narrow bounds, and waits for slow clients nearly for ever."""
    stack = Stack(tmp_path_factory.mktemp("bounded"), http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture
async def owner(bounded: Stack) -> AsyncIterator[Door]:
    """A workspace of the test's own, with the project `core`."""
    async with httpx.AsyncClient(base_url=bounded.url, timeout=60) as client:
        door = Door(client, f"ws-{secrets.token_hex(6)}", bounded.root_key)
        made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": "x"})
        assert made.status_code == 201, made.text
        await door.done("/projects?id=core", {"name": "core"})
        yield door


async def _viewer(door: Door, role: str = "viewer") -> Door:
    name = f"user:{secrets.token_hex(4)}"
    return await _in_role(door, name, role)


async def _in_role(door: Door, name: str, role: str) -> Door:
    await door.done(f"/principals/{name}/bind_role", {"role": role})
    return door.seen_by((await door.done(f"/principals/{name}/keys"))["key"])


async def _fill(door: Door, mebibytes: int) -> None:
    payload = {"project_id": "core", "title": "x", "description": "d" * 8_000}
    lines = json.dumps({"type": "task.create", "payload": payload}) + "\n"
    for _ in range(mebibytes):
        answer = await door.ask("POST", f"{door.path}/commands:batch", content=lines * 128, headers=NDJSON)
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def _deaf(door: Door, transport: str = "sse") -> AsyncIterator[socket]:
    """A stream of what was that is opened and never read."""
    url, loop = urlsplit(str(door.http.base_url)), asyncio.get_running_loop()
    path, more = STREAMS[transport]
    with socket() as small:
        small.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        small.setblocking(False)
        await loop.sock_connect(small, (url.hostname, url.port))
        headers = f"Host: x\r\nAuthorization: Bearer {door.credential}\r\n{more}\r\n"
        await loop.sock_sendall(small, f"GET {door.path}{path}?after=0:0 HTTP/1.1\r\n{headers}".encode())
        assert await loop.sock_recv(small, 10) in (b"HTTP/1.1 2", b"HTTP/1.1 1")
        yield small


async def _open_sse(door: Door) -> int:
    headers = {"authorization": f"Bearer {door.credential}"} if door.credential else {}
    async with door.http.stream("GET", f"{door.path}/events", headers=headers) as answer:
        return answer.status_code


async def _open_socket(door: Door) -> int:
    url = str(door.http.base_url).replace("http", "ws", 1) + f"{door.path}/events/ws"
    headers = {"authorization": f"Bearer {door.credential}"} if door.credential else {}
    try:
        async with connect(url, additional_headers=headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


OPENERS = {"sse": _open_sse, "websocket": _open_socket}


async def _opens_in_a_loop(door: Door, transport: str) -> float:
    """Return the seconds that six refusals take, once there were many."""
    statuses = [await OPENERS[transport](door) for _ in range(BURST + 5)]
    began = time.monotonic()
    statuses += [await OPENERS[transport](door) for _ in range(6)]
    assert set(statuses) <= {401, 429}
    return time.monotonic() - began


@pytest.mark.parametrize("transport", STREAMS)
async def test_who_has_no_seat_and_asks_again_and_again_waits_for_the_answer(owner: Door, transport: str) -> None:
    eager = await _viewer(owner)
    async with AsyncExitStack() as seats:
        for _ in range(2):
            await seats.enter_async_context(_deaf(eager, transport))
        assert await _opens_in_a_loop(eager, transport) >= 2
        assert (await eager.get("/tasks")).status_code == 200
        await eventually(lambda: _sent_away(eager), 60)
    await eventually(lambda: _opened(eager, transport))


async def _sent_away(door: Door) -> bool:
    """Tell whether an event source is asked to stay away for long."""
    headers = {"authorization": f"Bearer {door.credential}", "accept": "text/event-stream"}
    answer = await door.http.get(f"{door.path}/events", headers=headers)
    assert answer.status_code == 200
    assert "event: bye" in answer.text
    return int(answer.text.partition("retry: ")[2].split()[0]) >= 60_000


async def _opened(door: Door, transport: str) -> bool:
    return await OPENERS[transport](door) in (200, 101)


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_stranger_who_opens_streams_in_a_loop_waits_for_the_answer(owner: Door, transport: str) -> None:
    assert await _opens_in_a_loop(owner.seen_by(""), transport) >= 2
    async with listening(owner) as listener:
        await eventually(lambda: listener.messages != [])


@asynccontextmanager
async def _half_a_batch(door: Door, size: int) -> AsyncIterator[asyncio.StreamReader]:
    """A batch of which the last bytes do not come."""
    url = urlsplit(str(door.http.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"POST {door.path}/commands:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
    writer.write(f"{head}Authorization: Bearer {door.credential}\r\nContent-Length: {size + 9}\r\n\r\n".encode())
    try:
        for _ in range(size // 65_536):
            writer.write(b" " * 65_536)
            await writer.drain()
        yield reader
    finally:
        writer.transport.abort()


async def test_large_bodies_of_one_principal_have_a_bound_together(owner: Door) -> None:
    greedy, other = await _viewer(owner, "developer"), await _viewer(owner, "developer")
    async with AsyncExitStack() as begun:
        answers = [await begun.enter_async_context(_half_a_batch(greedy, 5 * MIB)) for _ in range(2)]
        heard = [asyncio.create_task(answer.readuntil(b"\r\n\r\n")) for answer in answers]
        done, _ = await asyncio.wait(heard, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result()[:12] for task in done] == [b"HTTP/1.1 429"]
        await _fill(other, 1)
    await eventually(lambda: _filled(greedy))


async def _filled(door: Door) -> bool:
    with suppress(AssertionError):
        await _fill(door, 1)
        return True
    return False


async def test_who_is_behind_reads_the_log_no_faster_than_allowed(owner: Door) -> None:
    await _fill(owner, 4)
    async with httpx.AsyncClient(base_url=owner.http.base_url, timeout=60) as client:
        elsewhere = Door(client, f"ws-{secrets.token_hex(6)}", owner.credential)
        await elsewhere.ask("POST", f"/v1/workspaces?id={elsewhere.workspace_id}", json={"name": "x"})
        viewer = await _viewer(elsewhere)
        last = await elsewhere.done("/rename", {"name": "small"})
        began = time.monotonic()
        for _ in range(3):
            await _catches_up(viewer, last["last_seq"])
        took = time.monotonic() - began
    assert took >= 2 * 4 - 2


async def _catches_up(viewer: Door, seq: int) -> None:
    async with listening(viewer, after="0:0") as listener:
        await eventually(lambda: seq in listener.seqs, 60)


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_write_that_waits_ends_with_the_authority(owner: Door, bounded: Stack, transport: str) -> None:
    viewer = await _in_role(owner, "user:deaf", "viewer")
    await _fill(owner, 4)
    before = await _figure(bounded, "mp_gateway_streams_ended_total", reason="denied")

    async def ended() -> bool:
        return await _figure(bounded, "mp_gateway_streams_ended_total", reason="denied") > before

    async with _deaf(viewer, transport) as small:
        told = [-1.0]
        await eventually(lambda: _waits(bounded, small, told), 60)
        await owner.done("/principals/user:deaf/unbind_role", {"role": "viewer"})
        await eventually(ended, 60)
        rest = await asyncio.wait_for(_rest(small), 60)
    assert b"bye" not in rest


async def _waits(stack: Stack, small: socket, told: list[float]) -> bool:
    """Tell whether bytes lie in the gateway's socket, and no event was written since the last look."""
    ports = [f":{port:04X}" for port in (urlsplit(stack.url).port or 0, small.getsockname()[1])]
    rows = [line.split() for line in (await asyncio.to_thread(Path("/proc/net/tcp").read_text)).splitlines()]
    queued = [row[4] for row in rows if row[1].endswith(ports[0]) and row[2].endswith(ports[1])]
    told.append(await _figure(stack, "mp_gateway_stream_events_total"))
    return queued != [] and not queued[0].startswith("00000000") and told[-1] == told[-2]


async def _rest(small: socket) -> bytes:
    rest, loop = b"", asyncio.get_running_loop()
    with suppress(ConnectionError):
        while data := await loop.sock_recv(small, 65_536):
            rest = (rest + data)[-200:]
    return rest


async def _figure(stack: Stack, name: str, **labels: str) -> float:
    async with httpx.AsyncClient(base_url=stack.gateways[0].ops_url, timeout=30) as client:
        families = text_string_to_metric_families((await client.get("/metrics")).text)
    samples: list[Any] = [sample for family in families for sample in family.samples]
    return float(sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items()))

"""Faults by strangers and by one tenant at the gateway: the others are answered, and nothing is left."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import httpx
from mpd.ports import HOST

from tests.chaos.arena import PATIENCE_SECONDS, Arena, Faults
from tests.support.waiting import eventually

_STRANGERS, _REQUESTS = 8, 25
_HEADERS, _STREAMS = 10, 24
_HEADER_BYTES_MAX = 1 << 22
_REFUSED = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS}


async def strangers_flood_the_door(arena: Arena) -> None:
    """Commands with keys that nobody issued, by the hundred. They are refused, and stand in nobody's log."""
    marks = [f"stranger-{arena.dice.randrange(1 << 40)}" for _ in range(_STRANGERS)]
    async with _answered_meanwhile(arena), httpx.AsyncClient(base_url=arena.stack.url, timeout=30) as http:
        statuses = await asyncio.gather(*(_knock(http, mark) for mark in marks))
    assert set().union(*statuses) <= _REFUSED, statuses
    await arena.progressed()
    log = b"".join(commit.data for commit in await arena.cluster.log())
    assert not any(mark.encode() in log for mark in marks), "a stranger's command is in the log"


async def headers_without_end(arena: Arena) -> None:
    """Connections send headers that never end. Each is cut before it has sent much, and the others are answered."""
    async with _answered_meanwhile(arena), asyncio.timeout(PATIENCE_SECONDS):
        taken = await asyncio.gather(*(_header_without_end(arena) for _ in range(_HEADERS)))
    assert max(taken) < _HEADER_BYTES_MAX, f"the gateway took {max(taken)} bytes of one header"


async def streams_left_unread(arena: Arena) -> None:
    """One principal opens streams of everything and reads nothing. Others read theirs to the end meanwhile."""
    path = f"/v1/workspaces/{arena.cluster.load.workspace_id}"
    who = f"{path}/principals/user:{arena.dice.randrange(1 << 40)}"
    async with httpx.AsyncClient(base_url=arena.stack.url, headers=_root(arena), timeout=30) as http:
        await _done(http, f"{who}/bind_role", {"role": "viewer"})
        key = (await _done(http, f"{who}/keys", {}))["key"]
    head = f"GET {path}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nLast-Event-ID: 0:0\r\n\r\n"
    unread = [await asyncio.open_connection(HOST, arena.stack.gateways[0].port) for _ in range(_STREAMS)]
    try:
        for _, writer in unread:
            writer.write(head.encode())
        async with _answered_meanwhile(arena):
            await arena.progressed()
    finally:
        for _, writer in unread:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def _answered_meanwhile(arena: Arena) -> AsyncIterator[None]:
    """The operator reads as before the block, and reads a stream from its begin.

    Queries may be away for a moment after PostgreSQL was: what an earlier fault left is waited for first.
    """
    path = f"/v1/workspaces/{arena.cluster.load.workspace_id}"
    async with httpx.AsyncClient(base_url=arena.stack.url, headers=_root(arena), timeout=30) as http:

        async def read() -> None:
            answer = await http.get(f"{path}/projects")
            assert answer.status_code == httpx.codes.OK, answer.text

        await eventually(read, PATIENCE_SECONDS)
        yield
        async with asyncio.timeout(PATIENCE_SECONDS):
            await read()
            async with http.stream("GET", f"{path}/events", headers={"Last-Event-ID": "0:0"}) as response:
                assert response.status_code == httpx.codes.OK, await response.aread()
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        return
    raise AssertionError("a stream ended before its first event")


def _root(arena: Arena) -> dict[str, str]:
    return {"Authorization": f"Bearer {arena.stack.root_key}"}


async def _done(http: httpx.AsyncClient, path: str, body: dict[str, str]) -> dict[str, str]:
    answer = await http.post(path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
    assert answer.is_success, answer.text
    return dict(answer.json())


async def _knock(http: httpx.AsyncClient, mark: str) -> set[int]:
    headers = {"Authorization": f"Bearer mpk_{mark}_{'x' * 43}", "Idempotency-Key": mark}
    return {
        (await http.post(f"/v1/workspaces?id={mark}", json={"name": mark}, headers=headers)).status_code
        for _ in range(_REQUESTS)
    }


async def _header_without_end(arena: Arena) -> int:
    """Send one header without end. Returns the bytes that the gateway and the buffers took before the cut."""
    reader, writer = await asyncio.open_connection(HOST, arena.stack.gateways[0].port)
    taken, piece = 0, b"x" * 4096
    try:
        writer.write(b"GET /v1/workspaces HTTP/1.1\r\nHost: x\r\nX-Long: ")
        while taken < _HEADER_BYTES_MAX and not reader.at_eof():
            writer.write(piece)
            await writer.drain()
            taken += len(piece)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(4096), 0.01)
    except ConnectionError:
        return taken
    finally:
        writer.transport.abort()
    return taken


AT_THE_DOOR: Faults = {strangers_flood_the_door: 2, headers_without_end: 2, streams_left_unread: 2}

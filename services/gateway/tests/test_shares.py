"""Nobody's streams starve another's: seats, turns to read the log, and what lies unread."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from socket import SO_RCVBUF, SOL_SOCKET, socket
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.shares import ReadTurns, SeatLimits, Seats, Who
from prometheus_client.parser import text_string_to_metric_families

from services.gateway.tests.door import Door
from services.gateway.tests.sse import Listener, background
from services.gateway.tests.test_ring import Log
from tests.support import eventually

DEAF = 160
SETTINGS = {
    "gateway": {
        "MP_STREAM_RING_BYTES": "65536",
        "MP_STREAM_HEARTBEAT_SECONDS": "0.4",
        "MP_STREAM_PRINCIPAL_MAX": "170",
        "MP_STREAM_STALL_SECONDS": "60",
    }
}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose gateway remembers little, so that whoever comes back reads the log."""
    stack = Stack(tmp_path_factory.mktemp("crowded"), http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


async def _workspace(stack: Stack, http: httpx.AsyncClient, mebibytes: int) -> Door:
    door = Door(http, f"ws-{secrets.token_hex(4)}", stack.root_key)
    made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": door.workspace_id})
    assert made.status_code == 201, made.text
    await door.done("/projects?id=core", {"name": "core"})
    await _fill(door, mebibytes)
    return door


async def _fill(door: Door, mebibytes: int) -> None:
    payload = {"project_id": "core", "title": "x", "description": "d" * 8_000}
    lines = json.dumps({"type": "task.create", "payload": payload}) + "\n"
    for _ in range(mebibytes):
        answer = await door.ask("POST", f"{door.path}/commands:batch", content=lines * 128, headers=NDJSON)
        assert answer.status_code == 200, answer.text


async def _viewer(door: Door, name: str) -> Door:
    await door.done(f"/principals/user:{name}/bind_role", {"role": "viewer"})
    return door.seen_by((await door.done(f"/principals/user:{name}/keys"))["key"])


@asynccontextmanager
async def _deaf(door: Door, stack: Stack, after: str = "0:0") -> AsyncIterator[bytes]:
    """A stream of what was that is opened and never read. Gives the first bytes of its answer."""
    address, loop = urlsplit(stack.url), asyncio.get_running_loop()
    with socket() as small:
        small.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        small.setblocking(False)
        await loop.sock_connect(small, (address.hostname, address.port))
        headers = f"Host: x\r\nAuthorization: Bearer {door.credential}\r\n\r\n"
        await loop.sock_sendall(small, f"GET {door.path}/events?after={after} HTTP/1.1\r\n{headers}".encode())
        yield await loop.sock_recv(small, 15)


@pytest.fixture(scope="module")
async def http(crowded: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the crowded gateway."""
    async with httpx.AsyncClient(base_url=crowded.url, timeout=60) as client:
        yield client


async def test_readers_that_never_read_keep_nobody_from_catching_up(crowded: Stack, http: httpx.AsyncClient) -> None:
    large, small = await _workspace(crowded, http, 6), await _workspace(crowded, http, 0)
    hog, honest = await _viewer(large, "hog"), await _viewer(small, "ann")
    gateway = psutil.Process(crowded.process("gateway-1").pid)
    before = gateway.memory_info().rss
    async with AsyncExitStack() as open_streams:
        for _ in range(DEAF):
            assert await open_streams.enter_async_context(_deaf(hog, crowded)) == b"HTTP/1.1 200 OK"
        async with background(Listener(honest, {"after": "0:0"})) as listener:
            await eventually(lambda: len(listener.events) >= 3, 30)
        grown = gateway.memory_info().rss - before
    assert grown < 200 << 20


async def test_streams_that_lie_unread_are_cut_soon_when_they_are_many(crowded: Stack, http: httpx.AsyncClient) -> None:
    door = await _workspace(crowded, http, 0)
    outcome = await door.done("/rename", {"name": "Unread"})
    begins = f"{outcome['epoch']}:{outcome['last_seq']}"
    await _fill(door, 2)
    hog = await _viewer(door, "hob")
    before = await _stalled(crowded)

    async def only_a_few_are_left() -> bool:
        return await _stalled(crowded) - before >= DEAF - 40

    async with AsyncExitStack() as open_streams:
        for _ in range(DEAF):
            await open_streams.enter_async_context(_deaf(hog, crowded, begins))
        await eventually(only_a_few_are_left, 40)


async def _stalled(stack: Stack) -> float:
    ended = await _metric(stack, "mp_gateway_streams_ended_total")
    return ended.get("stalled", 0.0)


async def _metric(stack: Stack, name: str) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=stack.gateways[0].ops_url, timeout=30) as client:
        families = text_string_to_metric_families((await client.get("/metrics")).text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {sample.labels.get("reason", ""): sample.value for sample in samples}


async def test_who_has_many_streams_gets_no_more_and_is_told_why(crowded: Stack, http: httpx.AsyncClient) -> None:
    door = await _workspace(crowded, http, 0)
    eager, calm = await _viewer(door, "eager"), await _viewer(door, "calm")
    async with AsyncExitStack() as open_streams:
        for _ in range(170):
            await open_streams.enter_async_context(_deaf(eager, crowded))
        await eventually(lambda: _refused(eager), 30)
        refusal = await _refused(eager)
        async with background(Listener(calm)) as listener:
            await eventually(lambda: listener.messages != [])
    assert f"170 of {door.workspace_id}/user:eager" in refusal


async def _refused(door: Door) -> str:
    async with door.http.stream(
        "GET", f"{door.path}/events", headers={"authorization": f"Bearer {door.credential}"}
    ) as answer:
        assert answer.status_code == 429
        return str(json.loads(await answer.aread())["detail"])


def test_nobody_has_more_seats_than_are_free() -> None:
    seats = Seats(SeatLimits(total=16, of_workspace=16, of_principal=16))
    counts = []
    for name in "abcd":
        held = 0
        while seats.refusal(who := Who(name, f"user:{name}")) is None:
            seats.take(who)
            held += 1
        counts.append(held)
    assert counts == [8, 4, 2, 1]
    seats.give_back(Who("a", "user:a"))
    assert seats.refusal(Who("e", "user:e")) is None


async def test_turns_go_to_whom_has_the_fewest() -> None:
    turns, order = ReadTurns(2), []
    hold = asyncio.Event()

    async def read(who: Who) -> None:
        async with turns.turn(who):
            order.append(who.workspace_id)
            await hold.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(read(Who("greedy", "user:g")))
        await asyncio.sleep(0)
        group.create_task(read(Who("late", "user:l")))
        await eventually(lambda: len(order) == 2)
        hold.set()
    assert order[:2] == ["greedy", "greedy"]
    assert order.index("late") == 2


async def test_a_turn_is_given_back_while_its_client_does_not_read() -> None:
    turns, closed = ReadTurns(1), asyncio.Event()

    async def reading() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    steps = reading()
    async with turns.turn(Who("a", "user:a")) as turn:
        await anext(steps)
        async with turn.lent(steps), turns.turn(Who("b", "user:b")):  # type: ignore[arg-type]  # it is a generator
            pass
        assert turn.over
    assert closed.is_set()
    async with turns.turn(Who("c", "user:c")):
        pass


async def test_who_stops_waiting_for_a_turn_takes_none_away() -> None:
    turns = ReadTurns(1)
    async with turns.turn(Who("a", "user:a")):
        waiting = asyncio.create_task(_have_a_turn(turns))
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(_have_a_turn(turns), 30)


async def test_who_leaves_as_its_turn_comes_breaks_nobody_elses_stream() -> None:
    turns, read = ReadTurns(1), asyncio.Event()

    async def reads() -> None:
        async with turns.turn(Who("a", "user:a")):
            await read.wait()

    reading = asyncio.create_task(reads())
    await asyncio.sleep(0)
    leaving, staying = asyncio.create_task(_have_a_turn(turns)), asyncio.create_task(_have_a_turn(turns))
    await asyncio.sleep(0)
    read.set()
    leaving.cancel()
    await asyncio.wait_for(asyncio.gather(reading, staying), 30)
    assert leaving.cancelled()


async def _have_a_turn(turns: ReadTurns) -> None:
    async with turns.turn(Who("b", "user:b")):
        pass


def test_the_ring_counts_what_is_made_of_its_commits() -> None:
    log, ring = Log(), Ring(64 << 10)
    ring.extend([log.commit(*["a"] * 20) for _ in range(10)])
    held = ring.next_index
    for index in range(held):
        if (commit := ring.at(index)) is not None:
            commit.frames("a")
    kept = [commit for index in range(held) if (commit := ring.at(index)) is not None]
    assert 0 < len(kept) < held
    assert sum(commit.bytes for commit in kept) <= 64 << 10

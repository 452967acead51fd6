"""Connections that keep the gateway waiting, or make it hold what never ends, are let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from mpgateway.wire.limits import largest_beyond

from services.gateway.tests.door import Door
from tests.support import eventually

PATIENCE_SECONDS = 60.0
"""For how long a test waits to be cut off: with the limits below nothing takes a tenth of it."""
SETTINGS = {
    "gateway": {
        "MP_HTTP_HEAD_SECONDS": "1.5",
        "MP_HTTP_BODY_SECONDS": "3",
        "MP_HTTP_BODY_IDLE_SECONDS": "1.5",
        "MP_HTTP_KEEP_ALIVE_SECONDS": "2",
        "MP_HTTP_ANSWER_SECONDS": "2",
        "MP_HTTP_LINGER_SECONDS": "1",
    }
}
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose gateway waits for nobody for long."""
    stack = Stack(tmp_path_factory.mktemp("impatient"), http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture(scope="module")
async def viewer(impatient: Stack) -> AsyncIterator[Door]:
    """A workspace with the project `core`, as one of its viewers sees it."""
    async with httpx.AsyncClient(base_url=impatient.url, timeout=30) as client:
        door = Door(client, "slow", impatient.root_key)
        made = await door.ask("POST", "/v1/workspaces?id=slow", json={"name": "slow"})
        assert made.status_code == 201, made.text
        await door.done("/projects?id=core", {"name": "core"})
        await door.done("/principals/user:vera/bind_role", {"role": "viewer"})
        yield door.seen_by((await door.done("/principals/user:vera/keys"))["key"])


@asynccontextmanager
async def _connection(stack: Stack) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(stack.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@dataclass(frozen=True)
class Slow:
    """A client that never finishes: what it sends at once, and what it goes on sending, how often."""

    name: str
    first: bytes
    drip: bytes = b""
    every: float = 0.4
    answered: bool = False
    """True where it had an answer on this connection before."""
    status: int | None = None
    """The status of its answer, if it began a request that can be answered."""


def _shapes(credential: str) -> list[Slow]:
    post = b"POST /v1/workspaces/slow/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    known = post + b"Authorization: Bearer " + credential.encode() + b"\r\n"
    batch = known.replace(b"projects", b"commands:batch").replace(b"/json", b"/x-ndjson")
    chunked = known + b"Transfer-Encoding: chunked\r\n\r\n"
    begun = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "
    return [
        Slow("nothing sent", b""),
        Slow("half a header", b"GET /healthz HTTP/1.1\r\nHost", status=408),
        Slow("a header that drips", begun, b"a", status=408),
        Slow("silence after an answer", b"", answered=True),
        Slow("half a second header", b"GET /healthz HTTP/1.1\r\nHost", answered=True, status=408),
        Slow("a second header that drips", begun, b"a", answered=True, status=408),
        Slow("no byte of a body", known + b"Content-Length: 10\r\n\r\n", status=408),
        Slow("one byte of a body", known + b"Content-Length: 10\r\n\r\n{", status=408),
        Slow("no chunk", chunked, status=408),
        Slow("one chunk", chunked + b"1\r\n{\r\n", status=408),
        Slow("chunks that drip", chunked, b"1\r\n \r\n", status=408),
        Slow("no body from a stranger", post + b"Content-Length: 1000000\r\n\r\n", status=401),
        Slow("a body that drips from a stranger", post + b"Content-Length: 1000000\r\n\r\n", b"a", status=401),
        Slow("a body that nobody wants", HEALTH[:-2] + b"Content-Length: 1000000\r\n\r\n", b"a", status=200),
        Slow("no byte of a batch", batch + b"Content-Length: 10\r\n\r\n", status=408),
        Slow("a trailer that drips", chunked + b"1\r\n{\r\n0\r\nX: ", b"a", status=408),
        Slow("a chunk extension that drips", chunked + b"1;", b"a", status=408),
        Slow("empty lines", b"\r\n", b"\r\n"),
        Slow(
            "a stream with a body that drips",
            b"GET /v1/workspaces/slow/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nAuthorization: Bearer "
            + credential.encode()
            + b"\r\n\r\n",
            b"a",
            status=200,
        ),
    ]


async def _heard_until_cut_off(stack: Stack, slow: Slow) -> bytes:
    async with _connection(stack) as (reader, writer):
        if slow.answered:
            await _ask_for_health(reader, writer)
        writer.write(slow.first)
        dripping = asyncio.create_task(_drip(writer, slow))
        heard = b""
        try:
            while piece := await reader.read(65_536):
                heard += piece
        except ConnectionError:
            pass
        finally:
            dripping.cancel()
        return heard


async def _ask_for_health(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_seconds: float = 0.0
) -> None:
    writer.write(HEALTH[:20])
    await asyncio.sleep(pause_seconds)
    writer.write(HEALTH[20:])
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


async def _drip(writer: asyncio.StreamWriter, slow: Slow) -> None:
    while slow.drip:
        await asyncio.sleep(slow.every)
        writer.write(slow.drip)


async def test_whoever_never_finishes_is_told_and_cut_off(impatient: Stack, viewer: Door) -> None:
    shapes = _shapes(viewer.credential)
    async with asyncio.timeout(PATIENCE_SECONDS):
        heard = await asyncio.gather(*(_heard_until_cut_off(impatient, slow) for slow in shapes))
    told = {slow.name: int(text.split()[1]) if text else None for slow, text in zip(shapes, heard, strict=True)}
    assert told == {slow.name: slow.status for slow in shapes}


async def test_whoever_asks_in_time_may_go_on_for_ever(impatient: Stack) -> None:
    async with _connection(impatient) as (reader, writer):
        for _ in range(8):  # Longer together than any one limit.
            await _ask_for_health(reader, writer, pause_seconds=0.3)
            await asyncio.sleep(0.3)


async def test_an_answer_that_comes_before_the_body_is_read_in_full(impatient: Stack, viewer: Door) -> None:
    """Closing at once would reset the connection, and the answer with it."""
    stranger = viewer.seen_by("mpk_nobody_" + "x" * 43)
    answer = await stranger.ask("POST", f"{viewer.path}/tasks", content=b" " * (900 << 10), headers={"expect": ""})
    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


async def test_after_an_answer_that_came_before_the_body_nothing_more_is_answered(impatient: Stack) -> None:
    """What follows is the rest of a body that nobody read, whatever it looks like."""
    async with _connection(impatient) as (reader, writer):
        writer.write(b"POST /v1/workspaces/slow/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        writer.write(b" " * 10 + HEALTH)
        heard = await asyncio.wait_for(reader.read(-1), PATIENCE_SECONDS)
    assert b"HTTP/1.1" not in heard


HANDSHAKE = (
    b"GET /v1/workspaces/slow/events/ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
CHUNKED = (
    b"POST /v1/workspaces/slow/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\nAuthorization: Bearer CREDENTIAL\r\n\r\n"
)
ENDLESS = {
    "a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Endless: ",
    "a path": b"GET /",
    "a name of a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "a trailer": CHUNKED + b"0\r\nX-Endless: ",
    "a trailer after a body": CHUNKED + b"8000\r\n" + b" " * 0x8000 + b"\r\n0\r\nX-Endless: ",
    "a chunk extension": CHUNKED + b"1;",
    "a handshake": HANDSHAKE + b"X-Endless: ",
}


@pytest.mark.parametrize("beginning", ENDLESS.values(), ids=ENDLESS.keys())
@pytest.mark.parametrize("answered", [False, True], ids=["first", "second"])
async def test_what_never_ends_is_refused_where_its_bound_is(
    impatient: Stack, viewer: Door, beginning: bytes, answered: bool
) -> None:
    sent, told = 0, b""
    async with _connection(impatient) as (reader, writer):
        if answered:
            await _ask_for_health(reader, writer)
        writer.write(beginning.replace(b"CREDENTIAL", viewer.credential.encode()))
        while sent < 16 << 20 and b"HTTP/1.1 400" not in told:
            writer.write(b"a" * 65_536)
            sent += 65_536
            await asyncio.wait_for(writer.drain(), PATIENCE_SECONDS)
            told += await _so_far(reader)
    assert b"HTTP/1.1 400" in told


async def _so_far(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(0.01):
            return await reader.read(65_536)
    except TimeoutError:
        return b""


async def test_headers_without_end_do_not_fill_the_memory(impatient: Stack) -> None:
    process = psutil.Process(impatient.process("gateway-1").pid)
    before = process.memory_info().rss
    peak = before

    async def flood() -> None:
        async with _connection(impatient) as (_, writer):
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(5):
                    writer.write(HEALTH + HEALTH[:-2] + b"X-Endless: ")
                    for _ in range(16 << 4):
                        writer.write(b"a" * 65_536)
                        await writer.drain()

    floods = asyncio.gather(*(flood() for _ in range(30)))
    while not floods.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.05)
    await floods
    assert peak - before < 48 << 20


async def test_requests_in_a_row_are_answered_in_order_and_only_so_many_wait(impatient: Stack) -> None:
    async with _connection(impatient) as (reader, writer):
        writer.write(HEALTH * 1_000)
        heard = await asyncio.wait_for(reader.read(-1), PATIENCE_SECONDS)
    answers = heard.count(b"HTTP/1.1 200")
    assert 1 < answers <= 17
    assert heard.count(b"HTTP/1.1") == answers
    assert heard.lower().count(b"connection: close") == 1


async def test_what_is_no_request_leaves_the_answer_before_it_alone(impatient: Stack) -> None:
    async with _connection(impatient) as (reader, writer):
        writer.write(HEALTH + b"\x16\x03\x01 nonsense\r\n\r\n")
        heard = await asyncio.wait_for(reader.read(-1), PATIENCE_SECONDS)
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.count(b"HTTP/1.1") == 1


async def test_an_answer_that_nobody_reads_is_not_kept(impatient: Stack) -> None:
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    async with _connection(impatient) as (_, writer):
        asked = asyncio.create_task(_ask_for_ever(writer, request))
        done, _ = await asyncio.wait({asked}, timeout=PATIENCE_SECONDS)
        asked.cancel()
    assert done == {asked}


async def _ask_for_ever(writer: asyncio.StreamWriter, request: bytes) -> None:
    """Ask, and read nothing, until the connection is cut."""
    with suppress(ConnectionError):
        while True:
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(0.01)


async def test_pings_without_end_cost_the_socket(impatient: Stack, viewer: Door) -> None:
    credential = f"Authorization: Bearer {viewer.credential}\r\n\r\n".encode()
    ping = b"\x89\xfd" + b"\0" * 4 + b"p" * 125
    async with _connection(impatient) as (reader, writer):
        writer.write(HANDSHAKE + credential)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")

        async def cut_off() -> bool:
            with suppress(ConnectionError):
                for _ in range(100):
                    writer.write(ping)
                await writer.drain()
                return False
            return True

        await eventually(cut_off, PATIENCE_SECONDS)


def test_those_who_hold_most_are_let_go_first() -> None:
    held = {"a": 10, "b": 70, "c": 40, "d": 5}
    assert largest_beyond(held, held.__getitem__, 125) == []
    assert largest_beyond(held, held.__getitem__, 60) == ["b"]
    assert largest_beyond(held, held.__getitem__, 20) == ["b", "c"]


async def test_the_problem_says_what_was_waited_for(impatient: Stack) -> None:
    async with _connection(impatient) as (reader, writer):
        writer.write(HEALTH[:-2])
        heard = await asyncio.wait_for(reader.read(-1), PATIENCE_SECONDS)
    problem = json.loads(heard.partition(b"\r\n\r\n")[2])
    assert (problem["code"], problem["detail"]) == ("request_timeout", "the headers did not come within 1.5 s")


async def test_a_body_that_falls_silent_is_not_waited_for_to_its_end(impatient: Stack, viewer: Door) -> None:
    credential = viewer.credential.encode()
    async with _connection(impatient) as (reader, writer):
        writer.write(CHUNKED.replace(b"CREDENTIAL", credential) + b"1\r\n{\r\n")
        heard = await asyncio.wait_for(reader.read(-1), PATIENCE_SECONDS)
    problem = json.loads(heard.partition(b"\r\n\r\n")[2])
    assert (problem["code"], problem["detail"]) == ("request_timeout", "no byte of the body came for 1.5 s")

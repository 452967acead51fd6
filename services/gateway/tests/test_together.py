"""The common limits of all connections, all streams and all that waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import fields
from typing import Any

import pytest
from mpd.ports import HOST, free_port
from mpgateway.server import GatewayServer
from mpgateway.settings import GatewaySettings
from mpgateway.streaming.shares import SeatLimits, Seats, Who
from mpgateway.wire.limits import MIB, WireLimits
from prometheus_client import REGISTRY

from tests.support import eventually

PATIENCE_SECONDS = 60.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _as_many_bytes_as_asked(scope: Any, receive: Any, send: Any) -> None:
    """An application: `/5` is answered by five bytes."""
    await receive()
    size = int(scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": b"a" * size})


@asynccontextmanager
async def _bounded(limits: WireLimits) -> AsyncIterator[Callable[[], Any]]:
    """A server within these limits. Gives what opens a connection to it."""
    server = GatewayServer(_as_many_bytes_as_asked, HOST, free_port(), drain_seconds=1, limits=limits)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    async with AsyncExitStack() as connections:

        async def opened() -> Connection:
            reader, writer = await asyncio.open_connection(HOST, server.config.port, limit=1)
            connections.callback(writer.transport.abort)
            return reader, writer

        yield opened
    server.should_exit = True
    await serving


def _ask(connection: Connection, size: int, end: bytes = b"\r\n\r\n") -> None:
    connection[1].write(b"GET /%d HTTP/1.1\r\nHost: x" % size + end)


async def _heard(connection: Connection, size: int) -> int:
    """Read a head and a body up to a size, or to the end; return the number of body bytes."""
    heard = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(ConnectionError):
            while not heard.partition(b"\r\n\r\n")[1] or len(heard.partition(b"\r\n\r\n")[2]) < size:
                piece = await connection[0].read(MIB)
                if not piece:
                    break
                heard += piece
    return len(heard.partition(b"\r\n\r\n")[2])


def _cut(reason: str) -> float:
    return REGISTRY.get_sample_value("mp_gateway_connections_cut_total", {"reason": reason}) or 0


async def test_one_connection_too_many_is_closed_without_a_word_and_the_others_go_on() -> None:
    async with _bounded(WireLimits(connections_max=2)) as opened:
        first, second = await opened(), await opened()
        for connection in (first, second):
            _ask(connection, 7)
            assert await _heard(connection, 7) == 7
        third = await opened()
        _ask(third, 7)
        assert await _heard(third, 1) == 0
        for connection in (first, second):
            _ask(connection, 7)
            assert await _heard(connection, 7) == 7


async def test_beyond_what_requests_may_hold_together_the_largest_is_cut() -> None:
    async with _bounded(WireLimits(unfinished_bytes_max=60_000, head_seconds=PATIENCE_SECONDS)) as opened:
        large, small = await opened(), await opened()
        for connection, size in ((large, 40_000), (small, 30_000)):
            _ask(connection, 7, b"\r\nX: " + b"a" * size)
        assert await _heard(large, 1) == 0
        small[1].write(b"\r\n\r\n")
        assert await _heard(small, 7) == 7


async def test_beyond_what_answers_may_lie_unread_together_the_largest_is_cut() -> None:
    before, limits = _cut("unread"), WireLimits(unread_bytes_max=24 * MIB, answer_seconds=PATIENCE_SECONDS)
    async with _bounded(limits) as opened:
        large, small = await opened(), await opened()
        _ask(small, 16 * MIB)
        _ask(large, 64 * MIB)
        await eventually(lambda: _cut("unread") > before)
        assert await _heard(small, 16 * MIB) == 16 * MIB


def test_a_workspace_has_its_seats_whoever_sits_there() -> None:
    seats = Seats(SeatLimits(total=100, of_workspace=2, of_principal=100))
    for name in ("ann", "ben"):
        assert seats.refusal(Who("acme", name)) is None
        seats.take(Who("acme", name))
    assert "2 of this workspace" in (seats.refusal(Who("acme", "cleo")) or "")
    assert seats.refusal(Who("beta", "cleo")) is None


def test_a_principal_has_its_seats_wherever_it_sits() -> None:
    seats = Seats(SeatLimits(total=100, of_workspace=100, of_principal=2))
    for workspace in ("acme", "beta"):
        seats.take(Who(workspace, "ann"))
    assert "2 of ann" in (seats.refusal(Who("gamma", "ann")) or "")
    assert seats.refusal(Who("gamma", "ben")) is None


@pytest.mark.parametrize("name", [field.name for field in fields(WireLimits)])
def test_each_setting_is_the_limit_of_its_name(name: str) -> None:
    setting = {f"http_{name.removesuffix('_max') if name.endswith('_bytes_max') else name}": 4_711}
    known = {key: field.default for key, field in GatewaySettings.model_fields.items()}
    assert getattr(GatewaySettings.model_construct(**known | setting).wire_limits, name) == 4_711

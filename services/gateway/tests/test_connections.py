"""Connections that keep the gateway waiting are let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from litestar import Litestar
from mpd.ports import HOST, free_port
from mpgateway.server import HttpProtocol, Server

from tests.support import eventually


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server of no routes that gives a connection a fifth of a second to say what it wants."""
    monkeypatch.setattr(HttpProtocol, "header_seconds", 0.2)
    server = Server(Litestar([], openapi_config=None), HOST, free_port(), drain_seconds=1)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield server.config.port
    server.should_exit = True
    await serving


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_who_never_finishes_a_request_is_cut_off(port: int, beginning: bytes) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(beginning)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(_until_end(reader), 30)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _until_end(reader: asyncio.StreamReader) -> None:
    if await reader.read() == b"":
        raise ConnectionResetError


async def test_who_asks_in_time_is_answered_and_may_ask_again(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for _ in range(3):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()

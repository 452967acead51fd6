"""A gateway for which the log's stream answers late: it serves nobody before it can, and says what it waits for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack

from services.gateway.tests.door import Door
from tests.support import eventually
from tests.support.proxy import Proxy

HEAD = b"$JS.API.STREAM.MSG.GET.MP_LOG"
"""The start of the request for the log's end."""


@pytest.fixture(scope="module")
async def way() -> AsyncIterator[Proxy]:
    """Yield the gateway's proxy to NATS."""
    proxy = Proxy()
    yield proxy
    await proxy.close()


@pytest.fixture(scope="module")
async def late(tmp_path_factory: pytest.TempPathFactory, way: Proxy) -> AsyncIterator[Stack]:
    """A stack whose gateway reaches NATS through a proxy."""
    settings = {"gateway": {"MP_NATS_URL": f"nats://127.0.0.1:{await way.start()}"}}
    stack = Stack(tmp_path_factory.mktemp("late"), http_port=free_port(), settings=settings)
    way.target_port = stack.nats.port
    await asyncio.to_thread(stack.start)
    yield stack
    stack.kill()


@pytest.fixture
async def door(late: Stack) -> AsyncIterator[Door]:
    """A workspace of the test's own."""
    async with httpx.AsyncClient(base_url=late.url, timeout=30) as client:
        door = Door(client, f"ws-{secrets.token_hex(4)}", late.root_key)
        made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": "x"})
        assert made.status_code == 201, made.text
        yield door


async def _facts(stack: Stack) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=stack.gateways[0].ops_url, timeout=30) as client:
        facts: dict[str, Any] = (await client.get("/readyz")).json()
        return facts


async def _opens(door: Door) -> int | None:
    """The status of a stream that is opened; None where nobody listens."""
    headers = {"authorization": f"Bearer {door.credential}"}
    try:
        async with door.http.stream("GET", f"{door.path}/events", headers=headers) as answer:
            return answer.status_code
    except httpx.TransportError:
        return None


async def test_a_gateway_refuses_no_stream_while_the_log_answers_late(late: Stack, door: Door, way: Proxy) -> None:
    gateway = late.process("gateway-1")
    await asyncio.to_thread(gateway.kill)
    way.hold(HEAD)
    starting = asyncio.create_task(asyncio.to_thread(gateway.start))

    async def waits() -> bool:
        return bool((await _facts(late)).get("waits_for") == "the log is read")

    await eventually(waits, 60)
    meanwhile = []
    for _ in range(50):
        meanwhile.append(await _opens(door))
        await asyncio.sleep(0.02)
    way.speak()
    await starting
    assert set(meanwhile) == {None}
    assert await _opens(door) == 200


async def test_that_it_cannot_tell_who_may_enter_is_said(late: Stack, door: Door, way: Proxy) -> None:
    assert (await door.get()).status_code in (200, 404)

    async def concerns() -> str:
        return " ".join((await _facts(late)).get("concerns", []))

    async def said() -> bool:
        return "the door is closed" in await concerns()

    async def silent() -> bool:
        return not await said()

    await eventually(silent, 60)
    way.hold(HEAD)
    await eventually(said, 60)
    way.speak()
    await eventually(silent, 60)

"""Pages of the origins that a setting names may read answers; nobody is told anything otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from mpd.ports import HOST, free_port
from mpgateway.cors import Cors
from mpgateway.server import GatewayServer
from mpgateway.settings import GatewaySettings
from mpservice.values import Origins
from pydantic import TypeAdapter

from services.gateway.tests.door import Door
from tests.support import eventually

PAGE = "https://console.example"
PREFLIGHT = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}


@pytest.fixture
async def open_door() -> AsyncIterator[httpx.AsyncClient]:
    """A server of no routes that is open to one origin."""
    app = Cors(Litestar([], openapi_config=None), frozenset({PAGE}))
    server = GatewayServer(app, HOST, free_port(), drain_seconds=1)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{server.config.port}", timeout=30) as client:
        yield client
    server.should_exit = True
    await serving


async def test_a_page_may_read_refusals_and_what_they_say(open_door: httpx.AsyncClient) -> None:
    answer = await open_door.get("/nothing", headers={"origin": PAGE})
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"


async def test_a_browser_asks_first_and_is_told(open_door: httpx.AsyncClient) -> None:
    answer = await open_door.options("/v1/workspaces", headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST"
    taken = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "idempotency-key", "if-match", "last-event-id"} <= set(taken)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "https://console.example.evil.example"])
async def test_other_origins_are_told_nothing(open_door: httpx.AsyncClient, origin: str) -> None:
    for answer in (
        await open_door.options("/v1/workspaces", headers=PREFLIGHT | {"origin": origin}),
        await open_door.get("/nothing", headers={"origin": origin}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_it_is_off_unless_it_is_set(door: Door) -> None:
    answer = await door.ask("OPTIONS", f"{door.path}/tasks", headers=PREFLIGHT)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_origins_are_written_as_a_list() -> None:
    written = TypeAdapter(Origins).validate_python(f"{PAGE}/, http://localhost:3000")
    assert GatewaySettings.model_construct(cors_origins=written).cors_origin_names == {PAGE, "http://localhost:3000"}

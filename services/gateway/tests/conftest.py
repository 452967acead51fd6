"""Fixtures of the gateway's tests: one running stack, and a workspace of each test's own in it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack

from services.gateway.tests.door import Door

SETTINGS = {
    "gateway": {
        "MP_STREAM_HEARTBEAT_SECONDS": "0.4",
        "MP_RATE_LIMIT_PER_SECOND": "5000",
    }
}


@pytest.fixture(scope="session")
def gateway_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything, shared by the tests that break nothing."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    stack = Stack(folder, http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture
async def http(gateway_stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway without any credential."""
    async with httpx.AsyncClient(base_url=gateway_stack.url, timeout=30) as client:
        yield client


@pytest.fixture
def new_workspace_id() -> Callable[[], str]:
    """Makes workspace ids nobody else uses."""
    return lambda: f"ws-{secrets.token_hex(6)}"


@pytest.fixture
async def door(http: httpx.AsyncClient, gateway_stack: Stack, new_workspace_id: Callable[[], str]) -> Door:
    """A workspace of this test alone, with the project `core`, as the operator sees it."""
    door = Door(http, new_workspace_id(), gateway_stack.root_key)
    made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": door.workspace_id})
    assert made.status_code == 201, made.text
    await door.done("/projects?id=core", {"name": "core"})
    return door

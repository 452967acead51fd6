"""Principals of the same name in several workspaces: none takes from another, as owners name principals freely."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack

from services.gateway.tests.door import Door
from services.gateway.tests.sse import Listener, background
from tests.support import eventually

SEATS = 5
PERMITS = 200
SETTINGS = {
    "gateway": {
        "MP_STREAM_PRINCIPAL_MAX": str(SEATS),
        "MP_RATE_LIMIT_PER_SECOND": "1",
        "MP_RATE_LIMIT_BURST": str(PERMITS),
    }
}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack in which a principal has few permits and few streams."""
    stack = Stack(tmp_path_factory.mktemp("namesakes"), http_port=free_port(), settings=SETTINGS)
    stack.start()
    yield stack
    stack.kill()


@pytest.fixture
async def namesakes(narrow: Stack) -> AsyncIterator[tuple[Door, Door]]:
    """Two workspaces, each seen by its own developer of one and the same name."""
    name = f"user:{secrets.token_hex(4)}"
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as client:
        yield await _named(narrow, client, name), await _named(narrow, client, name)


async def _named(stack: Stack, client: httpx.AsyncClient, name: str) -> Door:
    door = Door(client, f"ws-{secrets.token_hex(6)}", stack.root_key)
    made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": "x"})
    assert made.status_code == 201, made.text
    await door.done(f"/principals/{name}/bind_role", {"role": "developer"})
    return door.seen_by((await door.done(f"/principals/{name}/keys"))["key"])


async def test_streams_of_a_namesake_elsewhere_leave_a_principal_its_own(namesakes: tuple[Door, Door]) -> None:
    greedy, honest = namesakes
    async with AsyncExitStack() as streams:
        listeners = [await streams.enter_async_context(background(Listener(greedy))) for _ in range(SEATS)]
        await eventually(lambda: all(listener.messages for listener in listeners))
        more = await greedy.get("/events")
        assert (more.status_code, more.json()["code"]) == (429, "overloaded")
        async with background(Listener(honest)) as listener:
            await eventually(lambda: listener.messages != [])


async def test_requests_of_a_namesake_elsewhere_leave_a_principal_its_permits(namesakes: tuple[Door, Door]) -> None:
    greedy, honest = namesakes
    lines = '{"type":"x"}\n' * 2 * PERMITS
    await greedy.ask("POST", f"{greedy.path}/commands:batch", content=lines, headers=NDJSON)
    statuses = [(await greedy.get()).status_code for _ in range(PERMITS)]
    assert 429 in statuses
    assert [(await honest.get("/tasks")).status_code for _ in range(10)] == [200] * 10

"""Connections to every server that are cut, half closed or silent: no driver's error is a 500, and all comes back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest
from mpd.ports import HOST, free_port
from mpd.stack import Stack

from tests.support.proxy import Proxy
from tests.support.waiting import eventually

TYPED = {200, 201, 429, 503, 504}
"""The statuses of answers and of temporary refusals, as the page of problems says."""
ROUNDS, ASKED = 3, 6


class Ways(NamedTuple):
    """A stack, whose gateway reaches its servers through proxies, as its clients reach the gateway."""

    stack: Stack
    proxies: dict[str, Proxy]
    url: str


@pytest.fixture(scope="module")
async def ways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ways]:
    """One of everything, with a way of its own to each server."""
    proxies = {name: Proxy() for name in ("nats", "postgres", "redis", "http")}
    ports = {name: await proxy.start() for name, proxy in proxies.items()}
    stack = Stack(tmp_path_factory.mktemp("cut"), http_port=free_port())
    targets = {"nats": stack.nats.port, "postgres": stack.postgres.port, "redis": stack.valkey.port}
    for name, port in {**targets, "http": stack.gateways[0].port}.items():
        proxies[name].target_port = port
    for service in stack.services:
        for setting, value in service.environment.items():
            for name, port in targets.items():
                if name in setting.lower() and setting.endswith(("_URL", "_DSN")):
                    service.environment[setting] = value.replace(f":{port}", f":{ports[name]}")
    await asyncio.to_thread(stack.start)
    yield Ways(stack, proxies, f"http://{HOST}:{ports['http']}")
    await asyncio.to_thread(stack.kill)
    for proxy in proxies.values():
        await proxy.close()


async def _asked(http: httpx.AsyncClient, workspace: str) -> set[int]:
    """The statuses of a command and of questions, asked together. A way that is cut has none."""
    title = {"project_id": "core", "title": secrets.token_hex(4)}
    answers = await asyncio.gather(
        http.post(f"/v1/workspaces/{workspace}/tasks", json=title),
        *(http.get(f"/v1/workspaces/{workspace}/tasks") for _ in range(ASKED)),
        return_exceptions=True,
    )
    strange = [each for each in answers if isinstance(each, BaseException) and not isinstance(each, httpx.HTTPError)]
    assert not strange, strange
    wrong = [each.text for each in answers if isinstance(each, httpx.Response) and each.status_code not in TYPED]
    assert not wrong, wrong
    return {each.status_code if isinstance(each, httpx.Response) else 0 for each in answers}


@pytest.mark.parametrize("act", ["cut", "half_close", "silence"])
@pytest.mark.parametrize("server", ["nats", "postgres", "redis", "http"])
async def test_whatever_happens_to_connections_is_a_typed_refusal_and_passes(ways: Ways, server: str, act: str) -> None:
    workspace, proxy = f"ws-{secrets.token_hex(4)}", ways.proxies[server]
    headers = {"authorization": f"Bearer {ways.stack.root_key}"}
    async with httpx.AsyncClient(base_url=ways.url, headers=headers, timeout=20) as http:
        made = await http.post(f"/v1/workspaces?id={workspace}", json={"name": "x"})
        assert made.status_code == 201, made.text
        assert (await http.post(f"/v1/workspaces/{workspace}/projects?id=core", json={"name": "x"})).status_code == 201
        await eventually(lambda: proxy.count > 0, 60)  # Somebody goes this way again: a test before cut it.
        for _ in range(ROUNDS):
            asking = asyncio.create_task(_asked(http, workspace))
            getattr(proxy, act)()
            if act == "silence":
                await asyncio.wait([asking], timeout=1)
                proxy.speak()
            statuses = await asking
            assert server == "http" or 0 not in statuses, "the gateway's own connection was cut"

            async def as_before() -> None:
                assert await _asked(http, workspace) == {200, 201}

            await eventually(as_before, 60)
    assert all(process.running for process in ways.stack.processes), "somebody ended for it"

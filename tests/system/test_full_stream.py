"""A command stream full of repeats empties by itself: whoever repeats one answered command stops nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio
from mpd.ports import free_port
from mpd.stack import Stack
from mpschema import subjects

from tests.support import eventually
from tests.support.cluster import Cluster, running

BYTES_MAX = 512 * 1024
STREAM = subjects.command_stream("0")
TASKS = "/v1/workspaces/acme/tasks"
LARGE = {"project_id": "core", "title": "again and again", "description": "y" * 30_000}
SMALL = {"project_id": "core", "title": "again"}
NEW = {"project_id": "core", "title": "new", "description": "somewhat longer than what was repeated last"}


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Two kernels behind a gateway, and a command stream that is soon full."""
    settings = {"kernel": {"MP_LEASE_TTL_SECONDS": "1.5"}}
    stack = Stack(tmp_path, kernels=2, projectors=0, http_port=free_port(), settings=settings)
    async with running(stack) as cluster:
        js = cluster.nc.jetstream()
        config = (await js.stream_info(STREAM)).config
        await js.update_stream(config.evolve(max_bytes=BYTES_MAX))
        yield cluster


@pytest_asyncio.fixture
async def http(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway, as one owner sees it whose command was answered once."""
    headers = {"Authorization": f"Bearer {cluster.stack.root_key}"}
    async with httpx.AsyncClient(base_url=cluster.stack.url, headers=headers, timeout=60) as client:
        for task in (LARGE, SMALL):
            assert (await repeat(client, task)).status_code == 201
        yield client


async def repeat(http: httpx.AsyncClient, task: dict[str, str], *, later: bool = False) -> httpx.Response:
    """The same request, under the same key."""
    headers = {"Idempotency-Key": f"the-same-{len(task)}"} | ({"Prefer": "respond-async"} if later else {})
    return await http.post(TASKS, json=task, headers=headers)


async def fill(http: httpx.AsyncClient) -> None:
    """Repeat what was answered until the stream takes no more, not even what is small."""
    for task in (LARGE, SMALL):
        while (answer := await repeat(http, task, later=True)).status_code != 429:
            assert answer.status_code == 202, answer.text


async def a_new_command_is_taken(http: httpx.AsyncClient) -> None:
    """Of an owner who never repeated anything."""

    async def created() -> None:
        answer = await http.post(TASKS, json=NEW, headers={"Idempotency-Key": "new"})
        assert answer.status_code == 201, answer.text

    await eventually(created)


async def waiting(cluster: Cluster) -> int:
    """Return the number of messages the command stream holds."""
    return (await cluster.nc.jetstream().stream_info(STREAM)).state.messages


async def emptied(cluster: Cluster) -> None:
    """Until nothing is in the command stream."""

    async def nothing_waits() -> bool:
        return await waiting(cluster) == 0

    await eventually(nothing_waits)


async def test_full_of_repeats_it_takes_new_commands_again(cluster: Cluster, http: httpx.AsyncClient) -> None:
    kernels = cluster.stack.kernels
    await emptied(cluster)
    for kernel in kernels:
        kernel.pause()
    await fill(http)
    for kernel in kernels:
        kernel.resume()
    await a_new_command_is_taken(http)
    await emptied(cluster)


async def test_a_leader_that_finds_it_full_empties_it(cluster: Cluster, http: httpx.AsyncClient) -> None:
    kernels, epoch = cluster.stack.kernels, await cluster.epoch()
    await emptied(cluster)
    await asyncio.gather(*(asyncio.to_thread(kernel.stop) for kernel in kernels))
    await fill(http)
    commits = len(await cluster.log())
    for kernel in kernels:
        kernel.spawn()
    await cluster.leader()
    await emptied(cluster)
    assert len(await cluster.log()) == commits + 1, "but for its election nothing was stored"
    await a_new_command_is_taken(http)
    assert await cluster.epoch() > epoch


async def test_repeats_on_a_quiet_log_are_soon_gone(cluster: Cluster, http: httpx.AsyncClient) -> None:
    await asyncio.gather(*(repeat(http, SMALL) for _ in range(300)))
    await emptied(cluster)
    assert len([r for c in await cluster.log() for r in c.records if r.name == "TaskCreated"]) == 2

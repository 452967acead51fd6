"""A cluster is lost with what was done since its backup. In the one made from it nobody is led astray by that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from mpservice.rights import OPERATOR, RESTORE

from services.gateway.tests.door import Door
from services.gateway.tests.sse import Listener
from tests.support import eventually
from tools.operator.tests.proving import PROVED, mpctl

TASKS_LOST = 6


@dataclass(frozen=True)
class Disaster:
    """The remains: a cluster restored from the backup, and what clients of the lost one still hold."""

    stack: Stack
    drilled: dict[str, Any]
    backup_seq: int
    kept_cursor: str
    """Of an event that is in the backup."""
    lost_cursor: str
    """Of an event that came after it."""
    lost_fence: int


@asynccontextmanager
async def door_of(stack: Stack) -> AsyncIterator[Door]:
    """The workspace `acme` as the operator sees it."""
    async with httpx.AsyncClient(base_url=stack.url, timeout=httpx.Timeout(10, read=8)) as client:
        yield Door(client, "acme", stack.root_key)


def cursor(outcome: dict[str, Any]) -> str:
    """The place after an outcome."""
    return f"{outcome['epoch']}:{outcome['last_seq']}"


async def work(stack: Stack, folder: Path) -> dict[str, Any]:
    """Some work, a backup with its keys, more work, and a drill while it goes on."""
    async with door_of(stack) as door:
        made = await door.ask("POST", "/v1/workspaces?id=acme", json={"name": "Acme"})
        assert made.status_code == 201, made.text
        await door.done("/projects?id=core", {"name": "core"})
        await door.done("/tasks?id=t1", {"project_id": "core", "title": "Kept"})
        kept = await door.done("/tasks/t1/mark_ready")
        keys = folder / "keys.json"
        taken = await asyncio.to_thread(
            mpctl, "backup", "create", folder / "all" / "b1", "--with-keys", keys, "--json", home=stack.folder
        )
        assert taken.code == PROVED, taken.err
        claimed = await door.done("/tasks/t1/claim")
        await door.done("/tasks/t1/start", {"fence": 1})
        for number in range(TASKS_LOST):
            lost = await door.done("/tasks", {"project_id": "core", "title": f"Lost {number}"})
        drilled = await asyncio.to_thread(mpctl, "backup", "drill", folder / "all", "--json", home=stack.folder)
        assert drilled.code == PROVED, drilled.err
    assert claimed["version"] == 3
    return {
        "drilled": drilled.json,
        "backup_seq": taken.json["backup"]["seq"],
        "kept_cursor": cursor(kept),
        "lost_cursor": cursor(lost),
        "lost_fence": 1,
    }


def put_back(folder: Path, backups: Path) -> Stack:
    """A new cluster: keys, servers, log, and only then services."""
    secrets = folder / "secrets"
    assert mpctl("backup", "restore-keys", backups / "keys.json", secrets, home=folder).code == PROVED
    stack = Stack(folder, http_port=free_port())
    for server in stack.servers:
        server.start()
    stack.prepare()
    ran = mpctl(
        "backup",
        "restore",
        backups / "all" / "b1",
        "--json",
        home=folder,
        MP_NATS_URL=stack.nats_url,
        MP_NATS_RESTORE_SEED_FILE=str(stack.bus(RESTORE).nkey_seed_file),
        MP_REDIS_URL=stack.valkey.url,
        MP_REDIS_USER=OPERATOR,
        MP_REDIS_PASSWORD_FILE=str(stack.credentials.redis_password_file(OPERATOR)),
        MP_POSTGRES_OWNER_DSN=stack.postgres.dsn(),
    )
    assert ran.code == PROVED, ran.err
    for service in stack.services:
        service.start()
    return stack


@pytest.fixture(scope="module")
def disaster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disaster]:
    """A cluster that was lost after its backup, and the one that takes its place."""
    folder = tmp_path_factory.mktemp("disaster")
    lost = Stack(folder / "lost", http_port=free_port())
    stacks = [lost]
    try:
        lost.start()
        left = asyncio.run(work(lost, folder))
        lost.kill()
        stacks.append(put_back(folder / "new", folder))
        yield Disaster(stacks[1], **left)
    finally:
        for stack in stacks:
            stack.kill()


async def streamed(stack: Stack, after: str) -> Listener:
    """Listen to a stream from a cursor, on its first connection, until an event comes."""
    async with door_of(stack) as door:
        listener = Listener(door, {"after": after})
        listening = asyncio.create_task(listener.listen_once())
        try:
            await eventually(lambda: bool(listener.messages) and any(m.event for m in listener.messages))
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        return listener


def test_a_drill_told_what_would_be_lost_and_how_long_it_takes(disaster: Disaster) -> None:
    drilled = disaster.drilled
    assert drilled["rpo_events"] == 2 + TASKS_LOST
    assert drilled["rpo_seconds"] > 0
    assert drilled["rto_seconds"] == pytest.approx(
        sum(drilled["steps"].values()) - drilled["steps"]["read models"], abs=1
    )
    assert drilled["rows"] > 0
    assert not Path(drilled["backup"]).with_name("cluster").exists()


async def test_the_old_key_opens_the_new_cluster_and_what_was_kept_is_there(disaster: Disaster) -> None:
    async with door_of(disaster.stack) as door:
        answer = await door.ask("GET", "/v1/workspaces/acme/tasks", params={"after_seq": disaster.backup_seq})
    assert [task["title"] for task in answer.json()["items"]] == ["Kept"]
    assert answer.json()["items"][0]["state"] == "ready"


async def test_a_cursor_of_what_was_lost_is_told_to_start_over_at_once_and_for_ever(disaster: Disaster) -> None:
    stack, lost = disaster.stack, disaster.lost_cursor
    at_once = await streamed(stack, lost)
    assert at_once.last("resync") is not None, at_once.messages
    async with door_of(stack) as door:
        for number in range(2 * TASKS_LOST):
            grown = await door.done("/tasks", {"project_id": "core", "title": f"New {number}"})
    assert grown["last_seq"] > int(lost.partition(":")[2]), "the log has grown past where it was"
    later = await streamed(stack, lost)
    assert later.last("resync") is not None, later.messages
    assert later.events == []


async def test_a_cursor_of_what_was_kept_goes_on(disaster: Disaster) -> None:
    listener = await streamed(disaster.stack, disaster.kept_cursor)
    assert listener.last("resync") is None
    assert listener.events


async def test_a_fence_of_what_was_lost_is_never_given_out_again(disaster: Disaster) -> None:
    async with door_of(disaster.stack) as door:
        await door.done("/tasks/t1/claim")
        stale = await door.send("/tasks/t1/start", {"fence": disaster.lost_fence})
        assert (stale.status_code, stale.json()["type"]) == (409, "urn:moduprompt:problem:stale_fence")
        outcome = await door.done("/tasks", {"project_id": "core", "title": "one more"})
        task = (await door.get("/tasks/t1", after=outcome)).json()
        assert task["fence"] > 1_000
        await door.done("/tasks/t1/start", {"fence": task["fence"]})

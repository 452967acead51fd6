"""A stack that delivers, with short patience, and a tenant of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack

from services.webhooks.tests.receiver import Received, Receiver
from tests.support.waiting import eventually

PATIENCE = {
    "MP_WEBHOOKS_ATTEMPTS": "3",
    "MP_WEBHOOKS_BACKOFF_SECONDS": "0.1",
    "MP_WEBHOOKS_TIMEOUT_SECONDS": "2",
    "MP_WEBHOOKS_LEASE_SECONDS": "3",
    "MP_WEBHOOKS_POLL_SECONDS": "0.05",
}


class Tenant:
    """A workspace, and its owner's way to the API."""

    def __init__(self, http: httpx.AsyncClient, workspace_id: str) -> None:
        self.http = http
        self.workspace_id = workspace_id
        self.seq = 0
        """Of the last event of an answer."""

    async def call(self, path: str, body: dict[str, Any] | None = None, **params: str) -> dict[str, Any]:
        """Give a command below the workspace; it must be accepted."""
        where = f"/v1/workspaces/{self.workspace_id}{path}"
        answer = await self.http.post(where, json=body or {}, params=params)
        assert answer.is_success, answer.text
        outcome: dict[str, Any] = answer.json()
        self.seq = outcome["last_seq"]
        return outcome

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """Ask for something below the workspace, as it is after the last command."""
        where = f"/v1/workspaces/{self.workspace_id}{path}"
        answer = await self.http.get(where, params={"after_seq": str(self.seq)} | params)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def items(self, path: str, **params: str) -> list[dict[str, Any]]:
        """The first page of a list."""
        return list((await self.get(path, limit="500", **params))["items"])

    async def hook(self, receiver: Receiver, **arguments: Any) -> str:
        """A webhook `w1` to the receiver, told about tasks. Returns its secret."""
        body = {"endpoint": receiver.url, "aggregates": ["task"]} | arguments
        return str((await self.call("/webhooks", body, id="w1"))["secret"])

    async def task(self, task_id: str, edits: int = 0) -> None:
        """A task that was created, and edited so many times."""
        await self.call("/tasks", {"project_id": "core", "title": task_id}, id=task_id)
        for number in range(edits):
            await self.call(f"/tasks/{task_id}/edit", {"title": f"{task_id} {number}"})

    async def task_events(self) -> list[str]:
        """The positions of every event of a task, in order."""
        return [f"{row['epoch']}:{row['seq']}" for row in await self.items("/history", aggregate="task")]


def ids(requests: list[Received], key: str = "") -> list[str]:
    """The ids of requests, or of those about one key."""
    return [request.id for request in requests if not key or request.key == key]


async def parked_key(tenant: Tenant, key: str, state: str = "parked") -> dict[str, Any]:
    """The row of a parked key, as soon as it is there."""

    async def find() -> dict[str, Any]:
        rows = {row["key"]: row for row in await tenant.items("/webhooks/w1/parked")}
        assert rows[key]["state"] == state
        return rows[key]

    return await eventually(find)


@pytest.fixture(scope="module")
def delivering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything and two workers."""
    folder: Path = tmp_path_factory.mktemp("delivering")
    with Stack(folder, webhooks=2, http_port=free_port(), settings={"webhooks": PATIENCE}) as stack:
        yield stack


@pytest.fixture
async def tenant(delivering: Stack) -> AsyncIterator[Tenant]:
    """A fresh workspace with the project `core`."""
    headers = {"authorization": f"Bearer {delivering.root_key}"}
    async with httpx.AsyncClient(base_url=delivering.url, headers=headers, timeout=30) as http:
        workspace_id = f"ws-{secrets.token_hex(4)}"
        (await http.post("/v1/workspaces", json={"name": workspace_id}, params={"id": workspace_id})).raise_for_status()
        found = Tenant(http, workspace_id)
        await found.call("/projects", {"name": "core"}, id="core")
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint that says yes to everything, until told otherwise."""
    with Receiver() as found:
        yield found

"""Endpoints of webhooks: what nothing can be delivered to is refused when it is named, by every way in."""

from __future__ import annotations

import json

import httpx
import pytest

from services.gateway.tests.door import Door
from tests.support.plugin import StackFactory

NEVER = ["https://192.0.2.1/", "https://127.1/", "https://ci.example:0/", "https://[ff02::1]/", "https://hook.invalid/"]
NEVER += ["https://user:secret@ci.example/", "https://ci.example/#part"]
PRIVATE_NAMES = ("https://gateway-1/", "https://metadata.google.internal/", "https://nas.local/")


@pytest.mark.parametrize("endpoint", NEVER)
async def test_what_can_never_work_is_refused_and_says_why(door: Door, endpoint: str) -> None:
    await door.done("/webhooks?id=w1", {"endpoint": "http://127.0.0.1:9/"})
    answers = [
        await door.send("/webhooks", {"endpoint": endpoint}),
        await door.send("/webhooks", {"endpoint": endpoint}, prefer="respond-async"),
        await door.send("/webhooks/w1/configure", {"endpoint": endpoint}),
    ]
    line = json.dumps({"type": "webhook.create", "payload": {"endpoint": endpoint}})
    content_type = {"Content-Type": "application/x-ndjson"}
    batch = await door.ask("POST", f"{door.path}/commands:batch", content=line.encode(), headers=content_type)
    problems = [*(answer.json() for answer in answers), json.loads(batch.text)]
    assert [(problem["status"], problem["code"]) for problem in problems] == [(422, "schema_invalid")] * 4
    assert len({problem["detail"] for problem in problems}) == 1


@pytest.mark.parametrize("endpoint", PRIVATE_NAMES)
async def test_an_installation_that_tells_private_networks_takes_their_names(door: Door, endpoint: str) -> None:
    assert (await door.done("/webhooks", {"endpoint": endpoint}))["status"] == "accepted"


async def test_what_a_webhook_is_told_may_change_without_its_endpoint(door: Door) -> None:
    await door.done("/webhooks?id=w1", {"endpoint": "http://127.0.0.1:9/"})
    await door.done("/webhooks/w1/configure", {"aggregates": ["task"]})


async def test_an_installation_that_tells_the_internet_alone_takes_no_other_endpoint(new_stack: StackFactory) -> None:
    stack = new_stack(projectors=1, settings={"gateway": {"MP_WEBHOOKS_ALLOW_PRIVATE": "false"}})
    headers = {"Authorization": f"Bearer {stack.root_key}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as client:
        await client.post("/v1/workspaces?id=acme", json={"name": "Acme"})
        special = ("http://ci.example/", "https://10.0.0.1/", "https://[64:ff9b:1::1]/", "https://localhost/")
        for endpoint in (*special, *PRIVATE_NAMES):
            answer = await client.post("/v1/workspaces/acme/webhooks", json={"endpoint": endpoint})
            assert (answer.status_code, answer.json()["code"]) == (422, "schema_invalid"), endpoint
        public = await client.post("/v1/workspaces/acme/webhooks", json={"endpoint": "https://ci.example/"})
        assert public.status_code == 201

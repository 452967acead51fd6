"""Credentials at the running gateway: who gets in, how far, and for how long."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import httpx
import pytest
from mpd.stack import Stack

from services.gateway.tests.door import BLUEPRINT, Door
from tests.support import eventually


async def _issue(door: Door, principal: str, role: str = "developer", **options: object) -> dict[str, str]:
    await door.done(f"/principals/{principal}/bind_role", {"role": role})
    issued: dict[str, str] = await door.done(f"/principals/{principal}/keys", options)
    return issued


NO_CREDENTIAL = [
    "",
    "Bearer",
    "Basic abc",
    "Bearer mpk_",
    "Bearer mpk_root_wrong",
    f"Bearer mpk_none_{'x' * 43}",
    "Bearer a.b.c",
    "Bearer eyJ0eXAiOiJtcC1hZ2VudCtqd3QiLCJhbGciOiJub25lIn0.e30.",
]


@pytest.mark.parametrize("authorization", NO_CREDENTIAL)
async def test_without_a_good_credential_one_is_unauthenticated(http: httpx.AsyncClient, authorization: str) -> None:
    answer = await http.get("/v1/workspaces", headers={"authorization": authorization})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_issued_key_works_at_once_and_in_its_workspace_alone(door: Door) -> None:
    bob = door.seen_by((await _issue(door, "user:bob"))["key"])
    outcome = await bob.done("/tasks?id=t1", {"project_id": "core", "title": "x"})
    history = (await bob.get("/history", outcome, aggregate_id="t1")).json()["items"]
    elsewhere = await bob.ask("POST", "/v1/workspaces/elsewhere/tasks", json={"project_id": "core", "title": "x"})
    assert history[0]["actor"] == "user:bob"
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "denied")


async def test_a_key_is_shown_once_and_never_stored(door: Door) -> None:
    issued = await _issue(door, "user:bob")
    history = await door.get("/history", None, limit=500)
    keys = await door.get("/principals/user:bob/keys")
    assert issued["key"].startswith(f"mpk_{issued['key_id']}_")
    assert issued["key"] not in history.text + keys.text
    assert "key_hash" not in keys.text


async def test_a_repeated_request_under_one_key_gets_the_same_api_key(door: Door) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    first = await door.done("/principals/user:bob/keys", idempotency_key="make-bobs-key")
    again = await door.done("/principals/user:bob/keys", idempotency_key="make-bobs-key")
    other = await door.done("/principals/user:bob/keys", idempotency_key="make-bobs-other-key")
    assert again["key"] == first["key"]
    assert other["key"] != first["key"]


async def test_a_revoked_key_stops_within_seconds(door: Door) -> None:
    issued = await _issue(door, "user:bob")
    bob = door.seen_by(issued["key"])
    assert (await bob.get()).status_code == 200
    await door.done("/principals/user:bob/revoke_key", {"key_id": issued["key_id"]})

    async def stopped() -> bool:
        return (await bob.get()).status_code == 401

    await eventually(stopped)


async def test_a_key_expires_by_itself(door: Door) -> None:
    issued = await _issue(door, "user:bob", expires_at_ms=int(time.time() * 1000) + 8_000)
    bob = door.seen_by(issued["key"])
    assert (await bob.get()).status_code == 200

    async def expired() -> bool:
        return (await bob.get()).status_code == 401

    await eventually(expired)


async def test_a_key_made_for_an_operator_in_a_workspace_opens_nothing(door: Door) -> None:
    issued = await door.done("/principals/user:root/keys")
    answer = await door.seen_by(issued["key"]).get()
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_an_agent_token_is_good_in_its_workspace_alone(door: Door) -> None:
    spawned = await door.done("/sessions?id=s1", {"blueprint": BLUEPRINT})
    agent = door.seen_by((await door.done("/sessions/s1/issue_token", {"ttl_seconds": 60}))["token"])
    assert (await agent.get("/sessions/s1", after=spawned)).status_code == 200
    elsewhere = await agent.ask("GET", "/v1/workspaces/elsewhere/tasks")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "denied")


async def test_a_token_of_a_repeated_request_is_the_same_token(door: Door) -> None:
    await door.done("/sessions?id=s1", {"blueprint": BLUEPRINT})
    first = await door.done("/sessions/s1/issue_token", idempotency_key="token")
    again = await door.done("/sessions/s1/issue_token", idempotency_key="token")
    assert again["token"] == first["token"]


async def test_a_stranger_cannot_make_a_key(door: Door) -> None:
    viewer = door.seen_by((await _issue(door, "user:eve", "viewer"))["key"])
    answer = await viewer.send("/principals/user:eve/keys")
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")
    assert "mpk_" not in answer.text


async def test_who_guesses_is_slowed_down_and_who_is_known_is_not(door: Door, http: httpx.AsyncClient) -> None:
    async def guess(number: int) -> int:
        headers = {"authorization": f"Bearer mpk_guess{number}_{'x' * 43}"}
        return (await http.get("/v1/workspaces", headers=headers)).status_code

    statuses = await asyncio.gather(*(guess(number) for number in range(150)))
    assert set(statuses) == {401, 429}
    assert (await door.get()).status_code == 200

    async def forgiven() -> bool:
        return await guess(1_000) == 401

    await eventually(forgiven)


SPELLINGS = ["Bearer  {}", "Bearer\t{}", "Bearer {} x", "Bearer {}=", "Bearer {},", "Bearer \x0b{}", "Bearer {}\x0b"]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_credential_has_one_spelling(gateway_stack: Stack, door: Door, spelling: str) -> None:
    """Else one credential is remembered as often as it can be spelled, and pushes out everybody else's."""
    key = (await _issue(door, "user:bob"))["key"]
    address = urlsplit(gateway_stack.url)
    told = spelling.format(key).encode("latin-1")
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET %b/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % door.path.encode())
    writer.write(b"Authorization: %b\r\n\r\n" % told)
    status = (await reader.readline()).split()[1]
    writer.close()
    assert status in (b"400", b"401", b"429")  # The last where others of this address guessed before.

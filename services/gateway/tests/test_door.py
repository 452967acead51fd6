"""The door of a workspace: who has no business there leaves no mark, and authority that ends, ends everywhere at once.

Everything here is asked with valid credentials: of a principal whose roles are gone, of a user of the identity
provider, of an agent, of an owner elsewhere. The stack's streams have no heartbeat that could hide a missed wake-up.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from joserfc import jwt
from mpbus.connect import connect as connect_nats
from mpd.ports import free_port
from mpd.stack import Stack
from mpgateway.auth.refusals import PRINCIPAL
from mpschema.envelope import EventRecord
from mpschema.principal import KeyIssued
from websockets.asyncio.client import connect

from services.gateway.tests.door import BLUEPRINT, Door
from services.gateway.tests.sse import Listener, listening
from services.gateway.tests.test_oidc import AUDIENCE, ISSUER, Provider
from tests.support import eventually
from tests.support.cluster import read_log
from tests.support.users import GATEWAY, KERNEL

NDJSON = {"content-type": "application/x-ndjson"}
TASK = {"project_id": "core", "title": "x"}


@pytest.fixture(scope="module")
def idp() -> Iterator[Provider]:
    """An identity provider with one key."""
    provider = Provider()
    provider.new_key("k1")
    yield provider
    provider.server.shutdown()
    provider.server.server_close()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, idp: Provider) -> Iterator[Stack]:
    """Two gateways whose streams are silent unless something happens, and a kernel that often writes itself down."""
    gateway = {
        "MP_STREAM_HEARTBEAT_SECONDS": "600",
        "MP_OIDC_ISSUER": ISSUER,
        "MP_OIDC_AUDIENCE": AUDIENCE,
        "MP_OIDC_JWKS_URL": idp.url,
    }
    stack = Stack(
        tmp_path_factory.mktemp("door"),
        gateways=2,
        http_port=free_port(),
        settings={"gateway": gateway, "kernel": {"MP_SNAPSHOT_EVERY": "10"}},
    )
    stack.start()
    yield stack
    stack.kill()


@asynccontextmanager
async def _door_at(stack: Stack, url: str) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        door = Door(client, f"ws-{secrets.token_hex(6)}", stack.root_key)
        made = await door.ask("POST", f"/v1/workspaces?id={door.workspace_id}", json={"name": "x"})
        assert made.status_code == 201, made.text
        await door.done("/projects?id=core", {"name": "core"})
        yield door


@pytest.fixture
async def owner(quiet: Stack) -> AsyncIterator[Door]:
    """A workspace of this test alone, with the project `core`, as the operator sees it."""
    async with _door_at(quiet, quiet.url) as door:
        yield door


async def _key(door: Door, principal: str, role: str = "developer", **options: object) -> Door:
    """The workspace as a principal with this role sees it, by a key of its own."""
    await door.done(f"/principals/{principal}/bind_role", {"role": role})
    return door.seen_by((await door.done(f"/principals/{principal}/keys", options))["key"])


async def _roleless(door: Door) -> Door:
    """The workspace as somebody sees it whose key is good, and who has no role there any more."""
    eve = await _key(door, "user:eve")
    await door.done("/principals/user:eve/unbind_role", {"role": "developer"})
    return eve


def _token(idp: Provider, subject: str, seconds: int = 600) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + seconds}
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, idp.keys[0], algorithms=["RS256"])


async def _records(stack: Stack) -> list[EventRecord]:
    nc = await connect_nats(stack.bus(GATEWAY), "the door's tests")
    try:
        return [record for commit in await read_log(nc, stack.shard) for record in commit.records]
    finally:
        await nc.close()


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def _turned_away(stack: Stack, why: str) -> float:
    """Return the number of requests that the gateways turned away, by their own metrics."""
    name, found = f'mp_gateway_turned_away_total{{why="{why}"}} ', 0.0
    async with httpx.AsyncClient(timeout=30) as client:
        for gateway in stack.gateways:
            text = (await client.get(f"{gateway.ops_url}/metrics")).text
            found += sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))
    return found


async def test_who_has_no_role_spends_no_key_and_leaves_no_mark(owner: Door, quiet: Stack, idp: Provider) -> None:
    strangers = [await _roleless(owner), owner.seen_by(_token(idp, "outsider"))]
    before, turned_away = len(await _records(quiet)), await _turned_away(quiet, "no_role")
    for stranger in strangers:
        assert _code(await stranger.send("/tasks", TASK, idempotency_key="deploy-42")) == (403, "denied")
        assert _code(await stranger.send("/tasks", TASK, prefer="respond-async")) == (403, "denied")
        line = json.dumps({"command_id": "deploy-43", "type": "task.create", "payload": TASK})
        batch = await stranger.ask("POST", f"{owner.path}/commands:batch", content=line, headers=NDJSON)
        assert _code(batch) == (403, "denied")
        assert _code(await stranger.get("/tasks")) == (403, "denied")
        assert _code(await stranger.get("/events")) == (403, "denied")
    assert len(await _records(quiet)) == before
    assert await _turned_away(quiet, "no_role") == turned_away + 5 * len(strangers)
    assert (await owner.send("/tasks", TASK, idempotency_key="deploy-42")).status_code == 201
    line = json.dumps({"command_id": "deploy-43", "type": "task.create", "payload": TASK})
    batch = await owner.ask("POST", f"{owner.path}/commands:batch", content=line, headers=NDJSON)
    assert json.loads(batch.text)["status"] == "accepted"


async def test_whether_a_workspace_exists_is_not_told(owner: Door, quiet: Stack, idp: Provider) -> None:
    stranger = owner.seen_by(_token(idp, "curious"))
    nowhere = replace(stranger, workspace_id="never-made")
    before, turned_away = len(await _records(quiet)), await _turned_away(quiet, "no_operator")
    told = [await one.send("/tasks", TASK) for one in (stranger, nowhere)]
    read = [await one.get("/tasks") for one in (stranger, nowhere)]
    assert len({(answer.status_code, answer.json()["detail"]) for answer in (*told, *read)}) == 1
    made = await stranger.ask("POST", "/v1/workspaces?id=mine", json={"name": "mine"})
    raised = await stranger.ask("POST", "/v1/log/raise_feature_level", json={"level": 3})
    assert [_code(made), _code(raised)] == [(403, "denied")] * 2
    assert await _turned_away(quiet, "no_operator") == turned_away + 2
    assert len(await _records(quiet)) == before


async def test_refusals_have_a_rate_of_their_own_and_cost_nobody_else(owner: Door, idp: Provider) -> None:
    stranger = owner.seen_by(_token(idp, "flooder"))
    began = time.monotonic()
    answers = await asyncio.gather(*(stranger.get("/tasks") for _ in range(150)))
    allowed = PRINCIPAL.burst + PRINCIPAL.per_second * (time.monotonic() - began)
    assert {_code(answer) for answer in answers} == {(403, "denied"), (429, "overloaded")}
    assert Counter(answer.status_code for answer in answers)[403] <= allowed, "however many are asked at once"
    assert (await owner.send("/tasks", TASK)).status_code == 201
    await owner.done("/principals/user:flooder/bind_role", {"role": "viewer"})

    async def enters() -> bool:
        answer = await stranger.get("/principals/user:flooder")  # The door is open at once, the read model follows.
        assert answer.status_code in (200, 404), "an open door is looked at first"
        return answer.status_code == 200

    await eventually(enters)


async def test_a_viewer_cannot_fill_the_log_with_denials(owner: Door, quiet: Stack) -> None:
    viewer = await _key(owner, "user:vera", "viewer")
    before = len(await _records(quiet))
    line = json.dumps({"type": "task.create", "payload": TASK})
    codes: Counter[str] = Counter()
    for _ in range(2):
        batch = await viewer.ask("POST", f"{owner.path}/commands:batch", content=f"{line}\n" * 3_000, headers=NDJSON)
        codes += Counter(json.loads(answer)["code"] for answer in batch.text.splitlines())
    assert set(codes) == {"denied", "overloaded"}
    assert codes["denied"] < 3_000
    assert len(await _records(quiet)) - before < 3_100
    assert (await viewer.get()).status_code == 200


async def test_a_key_is_found_whatever_others_call_theirs(owner: Door, quiet: Stack) -> None:
    for _ in range(20):
        async with _door_at(quiet, quiet.url) as other:
            await _key(other, "user:mallory", key_id="ci")
    assert (await (await _key(owner, "user:ci", key_id="ci")).get()).status_code == 200


async def test_a_hash_registered_by_another_stays_the_first_ones(owner: Door, quiet: Stack) -> None:
    victim = await _key(owner, "user:ci", key_id="ci")
    records = [record for record in await _records(quiet) if record.workspace_id == owner.workspace_id]
    (digest,) = [record.event.key_hash for record in records if isinstance(record.event, KeyIssued)]
    async with _door_at(quiet, quiet.url) as evil:
        await evil.done("/principals/user:mallory/bind_role", {"role": "owner"})
        await evil.done("/principals/user:mallory/issue_key", {"key_id": "mine", "key_hash": digest})
        await evil.done("/principals/user:mallory/revoke_key", {"key_id": "mine"})
    assert (await victim.get()).status_code == 200
    assert (await victim.done("/tasks", TASK))["status"] == "accepted"


async def test_an_agent_reads_nothing_after_its_session(owner: Door, quiet: Stack) -> None:
    await owner.done("/sessions?id=s1", {"blueprint": BLUEPRINT})
    await owner.done("/sessions/s1/start")
    agent = owner.seen_by((await owner.done("/sessions/s1/issue_token"))["token"])
    assert (await agent.get("/tasks")).status_code == 200
    reasons = await _ends(agent, quiet, owner.done("/sessions/s1/complete"))
    assert reasons == {"session_ended"}
    for path in ("/tasks", "/history", "/events"):
        assert _code(await agent.get(path)) == (401, "unauthenticated")
    assert _code(await agent.send("/tasks", TASK)) == (401, "unauthenticated")


async def test_revoked_tokens_are_over_and_a_new_one_is_good(owner: Door, quiet: Stack) -> None:
    await owner.done("/sessions?id=s1", {"blueprint": BLUEPRINT})
    agent = owner.seen_by((await owner.done("/sessions/s1/issue_token"))["token"])
    assert await _ends(agent, quiet, owner.done("/sessions/s1/revoke_tokens", {"reason": "leaked"})) == {"revoked"}
    assert _code(await agent.send("/sessions/s1/start")) == (401, "unauthenticated")
    again = owner.seen_by((await owner.done("/sessions/s1/issue_token"))["token"])
    assert (await again.done("/sessions/s1/start"))["status"] == "accepted"


async def test_a_revoked_key_ends_its_streams(owner: Door, quiet: Stack) -> None:
    bob = await _key(owner, "user:bob", "viewer", key_id="k1")
    reasons = await _ends(bob, quiet, owner.done("/principals/user:bob/revoke_key", {"key_id": "k1"}))
    assert reasons == {"revoked"}
    assert _code(await bob.get()) == (401, "unauthenticated")


async def test_a_role_that_is_taken_ends_streams(owner: Door, quiet: Stack) -> None:
    bob = await _key(owner, "user:bob", "viewer")
    assert await _ends(bob, quiet, owner.done("/principals/user:bob/unbind_role", {"role": "viewer"})) == {"denied"}
    assert _code(await bob.get()) == (403, "denied")


async def test_a_key_that_expires_ends_its_streams(owner: Door, quiet: Stack) -> None:
    bob = await _key(owner, "user:bob", "viewer", expires_at_ms=int(time.time() * 1000) + 6_000)
    assert await _ends(bob, quiet, asyncio.sleep(0)) == {"expired"}


async def test_a_token_of_the_provider_that_expires_ends_its_streams(owner: Door, quiet: Stack, idp: Provider) -> None:
    await owner.done("/principals/user:ida/bind_role", {"role": "viewer"})
    assert await _ends(owner.seen_by(_token(idp, "ida", 6)), quiet, asyncio.sleep(0)) == {"expired"}


async def _ends(reader: Door, stack: Stack, happening: Any) -> set[str]:
    """Return the reasons in the goodbyes that end an SSE stream and a WebSocket at either gateway."""
    urls = [gateway.url for gateway in stack.gateways]
    async with httpx.AsyncClient(base_url=urls[1], timeout=60) as second:
        listeners = [Listener(door, {"type": "TaskReady"}) for door in (reader, replace(reader, http=second))]
        tasks = [asyncio.create_task(listener.listen_once()) for listener in listeners]
        sockets = [asyncio.create_task(_until_goodbye(reader, url)) for url in urls]
        await eventually(lambda: all(listener.messages for listener in listeners))
        await happening
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        reasons = {listener.messages[-1].data["reason"] for listener in listeners}
        return reasons | set(await asyncio.wait_for(asyncio.gather(*sockets), 60))


async def _until_goodbye(reader: Door, url: str) -> str:
    headers = {"authorization": f"Bearer {reader.credential}"}
    async with connect(url.replace("http", "ws") + f"{reader.path}/events/ws", additional_headers=headers) as socket:
        async for text in socket:
            frame: dict[str, Any] = json.loads(text)
            if frame["event"] == "bye":
                return str(frame["data"]["reason"])
    raise AssertionError("the socket closed without a goodbye")


async def test_who_guesses_costs_nobody_behind_the_same_address_anything(owner: Door) -> None:
    await owner.done("/principals/user:dev/bind_role", {"role": "developer"})
    fresh = [(await owner.done("/principals/user:dev/keys", {}))["key"] for _ in range(10)]
    guessing = asyncio.create_task(_guess(owner))
    await eventually(lambda: guessing.done() or _throttled(owner))
    statuses = [(await owner.seen_by(key).get("/projects")).status_code for key in fresh]
    guessing.cancel()
    assert statuses == [200] * 10


async def _guess(door: Door) -> None:
    while True:
        await door.seen_by(f"mpk_{secrets.token_hex(4)}_{'c' * 43}").get()


async def _throttled(door: Door) -> bool:
    return (await door.seen_by(f"mpk_mine_{'c' * 43}").get()).status_code == 429


async def test_a_workspace_made_through_another_gateway_is_open_at_once(quiet: Stack) -> None:
    async with httpx.AsyncClient(base_url=quiet.gateways[1].url, timeout=60) as second:
        for _ in range(10):
            async with _door_at(quiet, quiet.url) as made:
                bob = replace(await _key(made, "user:bob"), http=second)
                outcome = await bob.done("/tasks", TASK)
                assert outcome["status"] == "accepted"


async def test_without_postgres_keys_and_roles_still_open_and_close_doors(owner: Door, quiet: Stack) -> None:
    await asyncio.to_thread(quiet.postgres.stop)
    try:
        bob = await _key(owner, "user:bob")
        eve = await _roleless(owner)
        async with listening(bob) as listener:
            await eventually(lambda: listener.messages != [])
            await bob.done("/tasks?id=t1", TASK)
            await eventually(lambda: len(listener.events) == 1)
        assert _code(await eve.send("/tasks", TASK)) == (403, "denied")
        await owner.done("/principals/user:bob/unbind_role", {"role": "developer"})
        assert _code(await bob.send("/tasks", TASK)) == (403, "denied")
    finally:
        await asyncio.to_thread(quiet.postgres.start)


async def test_a_gateway_begins_with_what_a_kernel_wrote_down(owner: Door, quiet: Stack) -> None:
    bob = await _key(owner, "user:bob")
    revoked = await _key(owner, "user:carl", key_id="c1")
    await owner.done("/principals/user:carl/revoke_key", {"key_id": "c1"})

    async def restarted() -> str:
        for _ in range(15):  # More than lie between two snapshots.
            await owner.done("/tasks", TASK)
        gateway = quiet.gateways[1]
        await asyncio.to_thread(gateway.kill)
        await asyncio.to_thread(gateway.start)
        said = quiet.log_path("gateway-2").read_text()
        assert "access.loaded" in said
        return said

    await eventually(restarted, 90)
    async with httpx.AsyncClient(base_url=quiet.gateways[1].url, timeout=60) as second:
        assert (await replace(bob, http=second).done("/tasks", TASK))["status"] == "accepted"
        assert _code(await replace(revoked, http=second).send("/tasks", TASK)) == (401, "unauthenticated")


async def test_a_gateway_without_the_kernels_part_reads_the_log(owner: Door, quiet: Stack) -> None:
    bob = await _key(owner, "user:bob")
    nc = await connect_nats(quiet.bus(KERNEL), "the door's tests", writer=True)
    bucket = await nc.jetstream().object_store("MP_SNAPSHOTS")
    await asyncio.to_thread(quiet.gateways[1].kill)
    await bucket.put("access-0", b"not a part")
    await nc.close()
    await asyncio.to_thread(quiet.gateways[1].start)
    async with httpx.AsyncClient(base_url=quiet.gateways[1].url, timeout=60) as second:
        assert (await replace(bob, http=second).done("/tasks", TASK))["status"] == "accepted"

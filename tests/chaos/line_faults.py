"""Faults by one caller: a line that kills, repeats and junk without end, cascades, a stolen key."""

import asyncio
import uuid
from functools import partial
from typing import Any

import httpx
from httpx_sse import EventSource
from mpbus.connect import connect
from mpbus.errors import BusError
from mpbus.producer import REPLY_HEADER
from mpschema import codec, packs, subjects
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.rejections import Code
from mpschema.session import BlueprintRef, CancelSession, SessionLimits, SpawnSession
from mpschema.system import CommandRejected
from mpschema.task import CreateTask

from tests.chaos.arena import PATIENCE_SECONDS, Arena, Faults
from tests.support.load import command, insist
from tests.support.shifted_kernel import DEADLY
from tests.support.users import WEBHOOKS
from tests.support.waiting import eventually

PAYLOAD_BYTES_MAX = 512 * 1024
"""Of the servers of these storms: ten of the lineages below go far beyond a commit."""
_FULL_BYTES = 512 * 1024
_LINEAGES, _CHILDREN = 10, 250
_BLUEPRINT = BlueprintRef(name="worker", version="1.0.0", digest="c" * 64)
_JUNK_LINES, _JUNK_MESSAGES = 100_000, 20_000
_JUNK_SECONDS = 15.0
"""So long a command may take beside them: nobody was elected anew, and no disk had to store them all."""
_UNREAD = {Code.SCHEMA_INVALID, Code.TOO_LARGE}
_WIDE = SessionLimits(max_depth=1, max_children=_CHILDREN)


async def line_that_kills(arena: Arena) -> None:
    """A command ends every kernel that decides it. It is refused, by its name, and nobody else is."""
    name = f"{DEADLY}{arena.dice.randrange(1 << 40)}"
    envelope = command(arena.cluster.load.workspace_id, name, CreateTask(project_id="core", title=name))
    async with arena.tended(), asyncio.timeout(2 * PATIENCE_SECONDS):
        outcome = await _asked(arena, envelope)
        assert outcome.code is Code.UNDECIDABLE, outcome
        await arena.well()


async def stream_filled_with_repeats(arena: Arena) -> None:
    """One answered command is repeated until the command stream takes no more. It empties by itself."""
    cluster = arena.cluster
    js, stream = cluster.nc.jetstream(timeout=5), subjects.command_stream(arena.stack.shard)
    name = f"again-{arena.dice.randrange(1 << 40)}"
    large = CreateTask(project_id="core", title=name, description="y" * 8_000)
    envelope = command(cluster.load.workspace_id, name, large)
    await _asked(arena, envelope)
    config = (await js.stream_info(stream)).config
    for kernel in arena.stack.kernels:
        kernel.pause()
    try:
        await js.update_stream(config.evolve(max_bytes=_FULL_BYTES))
        await _fill(arena, envelope)
    finally:
        for kernel in arena.stack.kernels:
            kernel.resume()
    await arena.progressed()

    async def emptied() -> bool:
        return (await js.stream_info(stream)).state.bytes < _FULL_BYTES // 4

    await eventually(emptied, PATIENCE_SECONDS)
    await js.update_stream(config)


async def ten_large_cancels(arena: Arena) -> None:
    """One message cancels ten lineages, far more than a commit holds. All are answered, and so is everybody else."""
    cluster, name = arena.cluster, f"fleet-{arena.dice.randrange(1 << 40)}"
    roots = [f"{name}-{number}" for number in range(_LINEAGES)]
    act = cluster.load.act
    root = SpawnSession(blueprint=_BLUEPRINT, project_id="core", limits=_WIDE)
    await asyncio.gather(*(act(root, target=each) for each in roots))
    for each in roots:
        child = SpawnSession(blueprint=_BLUEPRINT, parent_id=each)
        spawned = [act(child, target=f"{each}-{number}") for number in range(_CHILDREN)]
        assert all(outcome.accepted for outcome in await asyncio.gather(*spawned))
    cancels = [command(cluster.load.workspace_id, each, CancelSession(reason="stop the fleet")) for each in roots]
    message = b"\n".join(map(codec.encode, cancels))
    await cluster.nc.jetstream(timeout=10).publish(subjects.command_subject(arena.stack.shard), message)
    async with asyncio.timeout(PATIENCE_SECONDS):
        outcomes = await asyncio.gather(*(_asked(arena, each) for each in cancels))
    assert all(outcome.accepted for outcome in outcomes), outcomes


async def flood_of_junk(arena: Arena) -> None:
    """With a service's credential come very many lines, and very many messages. Commands go on, the log has none."""
    nc = await connect(arena.stack.bus(WEBHOOKS), "intruder", writer=True)
    subject = subjects.service_subject(arena.stack.shard, WEBHOOKS, "main")
    headers = {REPLY_HEADER: f"{subjects.reply_subject(WEBHOOKS, 'intruder')}.1"}
    await nc.publish(subject, b"{}\n" * _JUNK_LINES, headers=headers)
    for data in (b"\n" * (packs.LINES_MAX - 1), b"x"):
        for _ in range(_JUNK_MESSAGES // len(data)):
            await nc.publish(subject, data, headers=headers)
    await nc.flush(30)
    name = f"beside-{arena.dice.randrange(1 << 40)}"
    envelope = command(arena.cluster.load.workspace_id, name, CreateTask(project_id="core", title=name))
    async with asyncio.timeout(_JUNK_SECONDS):
        assert (await _asked(arena, envelope)).accepted
    await nc.close()
    await arena.progressed()
    found = [record for commit in await arena.cluster.log() for record in commit.records]
    unread = [record.event for record in found if record.id.startswith("unreadable_")]
    assert not [event for event in unread if not isinstance(event, CommandRejected) or event.code in _UNREAD]


async def key_revoked(arena: Arena) -> None:
    """A key is revoked while its owner reads a stream of events. The stream ends, and the key opens nothing more."""
    path = f"/v1/workspaces/{arena.cluster.load.workspace_id}"
    who = f"{path}/principals/user:{arena.dice.randrange(1 << 40)}"
    owner = {"Authorization": f"Bearer {arena.stack.root_key}"}
    async with httpx.AsyncClient(base_url=arena.stack.url, timeout=30) as http, asyncio.timeout(PATIENCE_SECONDS):
        await _done(http, owner, f"{who}/bind_role", {"role": "viewer"})
        issued = await _done(http, owner, f"{who}/keys", {})
        key = {"Authorization": f"Bearer {issued['key']}"}
        async with http.stream("GET", f"{path}/events", headers=key) as response:
            assert response.status_code == httpx.codes.OK, await response.aread()
            frames = EventSource(response).aiter_sse()
            await anext(frames)
            await _done(http, owner, f"{who}/revoke_key", {"key_id": issued["key_id"]})
            last = [frame async for frame in frames][-1]
        assert (last.event, last.json()["reason"]) == ("bye", "revoked")
        refused = await http.get(f"{path}/tasks", headers=key)
        assert refused.status_code == httpx.codes.UNAUTHORIZED, refused.text


async def _done(http: httpx.AsyncClient, headers: dict[str, str], path: str, body: dict[str, str]) -> dict[str, Any]:
    answer = await http.post(path, json=body, headers={**headers, "Idempotency-Key": str(uuid.uuid4())})
    assert answer.is_success, answer.text
    return dict(answer.json())


async def _asked(arena: Arena, envelope: CommandEnvelope) -> Outcome:
    """Return the outcome of a command. It counts among those that must be in the log."""
    load = arena.cluster.load
    outcome = await insist(partial(load.producer.submit, envelope, timeout_seconds=4))
    load.acknowledged[envelope.command_id] = outcome
    return outcome


async def _fill(arena: Arena, envelope: CommandEnvelope) -> None:
    for _ in range(4 * _FULL_BYTES // len(codec.encode(envelope))):
        try:
            await arena.cluster.load.producer.enqueue(envelope)
        except BusError:
            return
    raise AssertionError("the command stream was not filled")


ON_THE_LINE: Faults = {
    line_that_kills: 2,
    stream_filled_with_repeats: 2,
    ten_large_cancels: 1,
    flood_of_junk: 2,
    key_revoked: 2,
}

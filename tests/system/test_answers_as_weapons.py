"""JetStream answers, and delivers, where a request says: nobody makes it write into the log by that."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mpbus.connect import BusClient, connect
from mpbus.errors import PermissionsViolation
from mpbus.ids import new_command_id
from mpbus.ingest import ingest_of, log_ingest
from mpbus.options import NatsOptions
from mpbus.reader import LogReader
from mpbus.streams import feed_stream, provision
from mpd.ports import free_port
from mpd.stack import Stack
from mpschema import subjects
from mpservice.rights import OPERATOR, PROVISION
from nats.js import api

from tests.support.users import GATEWAY, KERNEL, PROJECTOR, RELAY, WEBHOOKS
from tests.support.waiting import eventually

LOG = subjects.log_subject("0")
FEED_READER = "a reader of one workspace's feed"
TRICKS = {
    GATEWAY: ("mp.v1.cmd.0", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.MSG.GET.MP_LOG_0"),
    WEBHOOKS: ("mp.v1.svc.0.webhooks.main",),
    PROJECTOR: ("$JS.API.STREAM.MSG.GET.MP_LOG_0",),
    RELAY: ("mp.v1.evt.0.acme.task.t1", "$JS.API.STREAM.INFO.MP_EVT_0"),
    OPERATOR: ("$JS.API.INFO", "$JS.API.STREAM.INFO.MP_LOG_0"),
    FEED_READER: ("$JS.API.CONSUMER.INFO.MP_EVT_0.feed_acme",),
}
"""Requests that each may make of JetStream, which answers wherever it is told to."""
CONSUMERS = dict.fromkeys((GATEWAY, PROJECTOR, RELAY, OPERATOR), "$JS.API.CONSUMER.CREATE.MP_LOG_0") | {
    FEED_READER: "$JS.API.CONSUMER.CREATE.MP_EVT_0.feed_acme.mp.v1.evt.0.acme.>"
}

STREAMS = ("MP_LOG_0", "MP_CMD_0", "MP_EVT_0", "MP_LEASE", "OBJ_MP_SNAPSHOTS")
ENDINGS = (
    *(f"$JS.API.STREAM.{verb}.{name}" for name in STREAMS for verb in ("DELETE", "PURGE", "LEADER.STEPDOWN")),
    "$JS.API.CONSUMER.DELETE.MP_CMD_0.kernel",
    "$JS.API.CONSUMER.LEADER.STEPDOWN.MP_CMD_0.kernel",
)
"""Requests that end something, each a message with nothing in it."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything, with the workspace `acme` in it, and a reader of its feed."""
    folder = tmp_path_factory.mktemp("answers")
    with Stack(folder, relays=1, webhooks=1, http_port=free_port()) as stack:
        stack.credentials.add_feed_user("acme")
        for node in stack.nats_nodes:
            node.accounts = stack.credentials.nats_accounts()
            node.reload()
        made = httpx.post(
            f"{stack.url}/v1/workspaces?id=acme", json={"name": "Acme"}, headers=bearer(stack), timeout=30
        )
        made.raise_for_status()
        yield stack


def bearer(stack: Stack) -> dict[str, str]:
    return {"authorization": f"Bearer {stack.root_key}"}


async def as_user(stack: Stack, user: str) -> BusClient:
    if user != FEED_READER:
        return await connect(stack.bus(user), "taken", writer=True)
    seed: Path = stack.credentials.folder / "nats_feed_acme.seed"
    return await connect(NatsOptions(stack.nats_url, nkey_seed_file=seed), "taken", writer=True)


async def decided(stack: Stack) -> None:
    """An honest client's write is decided, and every commit verifies."""
    async with httpx.AsyncClient(base_url=stack.url, headers=bearer(stack), timeout=30) as http:
        answer = await http.post("/v1/workspaces/acme/projects", json={"name": new_command_id()})
    assert answer.status_code == 201, answer.text
    nc = await connect(stack.bus(PROJECTOR), "looks")
    try:
        reader = LogReader(nc, "0")
        head = await reader.head()
        async with asyncio.timeout(30):
            async for commits in reader.follow():
                if commits and commits[-1].stream_seq >= head.stream_seq:
                    return
    finally:
        await nc.close()


@pytest.mark.parametrize("user", TRICKS)
async def test_an_answer_of_the_server_is_no_way_into_the_log(stack: Stack, user: str) -> None:
    nc = await as_user(stack, user)
    denied: list[str] = []
    nc.all_denied = lambda error: denied.append(error.subject)
    for subject in TRICKS[user]:
        for target in (LOG, subjects.ingest_subject("0", "*"), subjects.ingest_subject("0", "guess")):
            await nc.publish(subject, b"{}", reply=target)
    await nc.flush(30)
    await nc.close()
    assert denied == [], "each may do this"
    await decided(stack)


@pytest.mark.parametrize("user", TRICKS)
async def test_what_the_server_traces_is_no_way_into_the_log(stack: Stack, user: str) -> None:
    """A message may ask to be traced, and say where to."""
    nc = await as_user(stack, user)
    for subject in TRICKS[user]:
        for target in (LOG, subjects.ingest_subject("0", "guess")):
            for only in ("false", "true"):
                await nc.publish(subject, b"{}", headers={"Nats-Trace-Dest": target, "Nats-Trace-Only": only})
    await nc.flush(30)
    await nc.close()
    await decided(stack)


@pytest.mark.parametrize("user", CONSUMERS)
async def test_a_delivery_of_the_server_is_no_way_into_the_log(stack: Stack, user: str) -> None:
    nc = await as_user(stack, user)
    for target in (LOG, subjects.ingest_subject("0", "guess")):
        config = {"deliver_subject": target, "ack_policy": "none", "deliver_policy": "all"}
        stream = "MP_LOG_0"
        if user == FEED_READER:
            stream = "MP_EVT_0"
            config |= {"name": "feed_acme", "filter_subject": "mp.v1.evt.0.acme.>"}
        asked = json.dumps({"stream_name": stream, "config": config}).encode()
        await nc.publish(CONSUMERS[user], asked)
    await nc.flush(30)
    await nc.close()
    await decided(stack)


@pytest.mark.parametrize("target", ["mp.v1.cmd.0", "mp.v1.svc.0.webhooks.main"])
@pytest.mark.parametrize("user", CONSUMERS)
async def test_what_the_server_delivers_among_the_commands_leaves_nothing_in_the_log(
    stack: Stack, user: str, target: str
) -> None:
    """Else a consumer of the log, delivering there, would feed on the refusals of what it delivered, without end."""
    nc = await as_user(stack, user)
    asked = {"deliver_subject": target, "ack_policy": "none", "deliver_policy": "all"}
    stream = "MP_EVT_0" if user == FEED_READER else "MP_LOG_0"
    if user == FEED_READER:
        asked |= {"name": "feed_acme", "filter_subject": "mp.v1.evt.0.acme.>"}
    await nc.publish(CONSUMERS[user], json.dumps({"stream_name": stream, "config": asked}).encode())
    for subject in TRICKS[user]:
        await nc.publish(subject, b"{}", reply=target)
        await nc.publish(subject, b"{}", headers={"Nats-Trace-Dest": target})
    await nc.flush(30)
    await nc.close()
    await decided(stack)
    nc = await connect(stack.bus(OPERATOR), "looks")
    js = nc.jetstream(timeout=30)

    async def drained() -> bool:
        return (await js.stream_info("MP_CMD_0")).state.messages == 0

    await eventually(drained, 60)
    commits = (await LogReader(nc, "0").head()).stream_seq
    recorded = [await js.get_msg("MP_LOG_0", seq=number + 1) for number in range(commits)]
    await nc.close()
    assert [message.seq for message in recorded if b"unreadable_" in (message.data or b"")] == []


@pytest.mark.parametrize("user", CONSUMERS)
async def test_an_answer_with_nothing_in_it_ends_no_stream(stack: Stack, user: str) -> None:
    """A request for what is not there is answered without a word, and that is what deletes a stream where it lands."""
    before = await standing(stack)
    nc = await as_user(stack, user)
    stream = "MP_EVT_0" if user == FEED_READER else "MP_LOG_0"
    asked: dict[str, object] = {"ack_policy": "none", "deliver_policy": "new"}
    if user == FEED_READER:
        asked |= {"name": "feed_acme", "durable_name": "feed_acme", "filter_subject": "mp.v1.evt.0.acme.>"}
    request = json.dumps({"stream_name": stream, "config": asked}).encode()
    heard = await nc.subscribe("_INBOX_feed_acme.x" if user == FEED_READER else f"_INBOX.{user}.x")
    if user == FEED_READER:
        await nc.publish("$JS.API.CONSUMER.DELETE.MP_EVT_0.feed_acme", b"", reply=heard.subject)
        await heard.next_msg(30)  # What another test may have left.
    await nc.publish(CONSUMERS[user], request, reply=heard.subject)
    made = json.loads((await heard.next_msg(30)).data)
    assert "name" in made, made
    for target in ENDINGS:
        for body in (b'{"no_wait":true,"batch":1}', b'{"batch":1,"expires":1000000}', b"nonsense"):
            await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{made['name']}", body, reply=target)
        for way in ({"headers_only": True}, {"idle_heartbeat": 100_000_000}) if user != FEED_READER else ():
            told = {"deliver_subject": target, "ack_policy": "none", "deliver_policy": "all", **way}
            await nc.publish(CONSUMERS[user], json.dumps({"stream_name": stream, "config": told}).encode())
    await nc.flush(30)
    await nc.close()
    await decided(stack)
    after = await standing(stack)
    assert {name: (created, held >= before[name][1]) for name, (created, held) in after.items()} == {
        name: (created, True) for name, (created, _) in before.items()
    }


async def standing(stack: Stack) -> dict[str, tuple[object, int]]:
    """Return what stands in NATS: since when, and, but for what is consumed, how many messages are in it."""
    nc = await connect(stack.bus(OPERATOR), "looks")
    js = nc.jetstream(timeout=30)
    found: dict[str, tuple[object, int]] = {"kernel": ((await js.consumer_info("MP_CMD_0", "kernel")).created, 0)}
    for name in STREAMS:
        info = await js.stream_info(name)
        found[name] = (info.created, 0 if name == "MP_CMD_0" else info.state.messages)
    await nc.close()
    return found


async def test_the_relay_makes_no_feed_that_sends_on_what_it_gets(stack: Stack) -> None:
    """Such a feed would put whatever the relay writes among the commands, in anybody's name."""
    nc = await as_user(stack, RELAY)
    js = nc.jetstream(timeout=30)
    republishing = feed_stream("0", 1).evolve(republish=api.RePublish(src="mp.v1.evt.0.>", dest="mp.v1.cmd.0"))
    for act in (js.delete_stream("MP_EVT_0"), js.add_stream(republishing), js.update_stream(republishing)):
        with pytest.raises(PermissionsViolation):
            await act
    await nc.close()
    await decided(stack)


async def test_the_feed_is_made_anew_with_the_seed_of_who_makes_streams(stack: Stack) -> None:
    async def rebuild(user: str) -> tuple[int | None, str]:
        environment = {**os.environ, "MP_NATS_URL": stack.nats_url}
        environment["MP_NATS_NKEY_SEED_FILE"] = str(stack.credentials.nats_seed_file(user))
        told = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mprelay", "--rebuild",
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await told.communicate()
        return told.returncode, said.decode()

    code, said = await rebuild(RELAY)
    assert code == 1
    assert "the seed of provision" in said.splitlines()[-1]
    code, said = await rebuild(PROVISION)
    assert (code, said) == (0, "MP_EVT_0 is empty; a running relay fills it from the log\n")
    nc = await connect(stack.bus(OPERATOR), "looks")
    head = (await LogReader(nc, "0").head()).seq

    async def filled() -> bool:
        return (await nc.jetstream(timeout=30).stream_info("MP_EVT_0")).state.last_seq >= head

    await eventually(filled, 60)
    await nc.close()


async def test_nobody_lower_learns_where_the_log_listens(stack: Stack) -> None:
    kernel = await as_user(stack, KERNEL)
    secret = (await log_ingest(kernel.jetstream(timeout=30), "0")).rpartition(".")[2]
    await kernel.close()
    assert len(secret) == 32
    for user in (GATEWAY, PROJECTOR, RELAY):
        nc = await as_user(stack, user)
        asked = [
            ("$JS.API.CONSUMER.CREATE.MP_LOG_0", {"stream_name": "MP_LOG_0", "config": {"ack_policy": "none"}}),
            ("$JS.API.STREAM.MSG.GET.MP_LOG_0", {"last_by_subj": ">"}),
        ]
        asked += [("$JS.API.STREAM.NAMES", {"subject": "mp.v1.ingest.>"})] if user == GATEWAY else []
        for subject, body in asked:
            answer = await nc.request(subject, json.dumps(body).encode(), timeout=30)
            assert secret.encode() not in answer.data, (user, subject)
        await nc.close()
    logs = [*(stack.folder / "logs").iterdir(), *stack.credentials.folder.iterdir(), stack.folder / "operator.json"]
    assert not [path for path in logs if secret in path.read_text()]


async def test_another_place_is_found_by_a_kernel_that_runs(stack: Stack) -> None:
    nc = await connect(stack.bus("provision"), "provision")
    before = await log_ingest(nc.jetstream(timeout=30), "0")
    await provision(nc, "0", guarded=True)
    assert await log_ingest(nc.jetstream(timeout=30), "0") == before, "what is good stays"
    await provision(nc, "0", guarded=True, renew_ingest=True)
    config = (await nc.jetstream(timeout=30).stream_info("MP_LOG_0")).config
    await nc.close()
    assert ingest_of(config, "0") not in {"", before}
    assert config.subjects == [ingest_of(config, "0")]
    await eventually(lambda: decided_soon(stack), 60)


async def decided_soon(stack: Stack) -> bool:
    await decided(stack)
    return True

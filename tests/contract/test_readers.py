"""Consumers of the log have a bound, and whoever runs the installation can end them: readers go on by themselves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mpbus.connect import connect
from mpbus.errors import Unusable
from mpbus.reader import LogReader
from mpbus.streams import READER_SECONDS, end_readers, provision
from mpd.credentials import Credentials
from mpd.servers import NatsServer
from mpschema import subjects
from mpservice.rights import PROVISION
from nats.aio.client import Client
from nats.js import api

from tests.support import eventually
from tests.support.chain import Chain
from tests.support.users import KERNEL, PROJECTOR

DAY_SECONDS = 86_400
NANO = 1_000_000_000
MANY = 300
"""More than one page of names, and than are ended at a time."""


async def ask_for_consumer(nc: Client, **wanted: int) -> dict[str, Any]:
    """Ask for a consumer of the log, and return the server's answer."""
    config = {"ack_policy": "none", "mem_storage": True, "num_replicas": 1} | wanted
    asked = json.dumps({"stream_name": "MP_LOG_0", "config": config}).encode()
    answer = await nc.request("$JS.API.CONSUMER.CREATE.MP_LOG_0", asked, timeout=10)
    return dict(json.loads(answer.data))


async def test_consumers_that_somebody_made_are_ended_and_readers_go_on(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path / "secrets")
    server = NatsServer(tmp_path / "nats", accounts=credentials.nats_accounts())
    await asyncio.to_thread(server.start)
    keeper = await connect(credentials.nats_options(server.url, PROVISION), "provision")
    await provision(keeper, "0")
    kernel = await connect(credentials.nats_options(server.url, KERNEL), "kernel", writer=True)
    chain = Chain(kernel, "0")
    await chain.append(1)
    intruder = await connect(credentials.nats_options(server.url, PROJECTOR), "taken")
    made = [await ask_for_consumer(intruder) for _ in range(MANY)]
    assert {each["config"]["inactive_threshold"] for each in made} == {30 * NANO}  # It outlives its maker so long.
    assert (
        "inactive threshold exceeds"
        in (await ask_for_consumer(intruder, inactive_threshold=31 * NANO))["error"]["description"]
    )
    seen: list[int] = []

    async def read() -> None:
        async for commits in LogReader(intruder, "0").follow():
            seen.extend(commit.position.seq for commit in commits)

    reading = asyncio.create_task(read())
    await eventually(lambda: seen == [1])
    assert await end_readers(keeper, "0") == MANY + 1
    await chain.append(1)
    await eventually(lambda: seen == [1, 2])
    reading.cancel()
    await asyncio.wait({reading})
    for nc in (intruder, kernel, keeper):
        await nc.close()
    server.kill()


async def test_a_log_of_an_earlier_release_gets_the_bound_once_its_readers_are_ended(nats_url: str, shard: str) -> None:
    nc = await connect(nats_url, "provision")
    await provision(nc, shard)
    js, log = nc.jetstream(), subjects.log_stream(shard)
    await js.update_stream((await js.stream_info(log)).config.evolve(consumer_limits=api.StreamConsumerLimits()))
    await js.add_consumer(log, ack_policy="none", inactive_threshold=DAY_SECONDS)
    with pytest.raises(
        Unusable, match=r"violates consumers: .*; end them with `python -m mpservice provision --end-readers`"
    ):
        await provision(nc, shard)
    assert await end_readers(nc, shard) == 1
    await provision(nc, shard)
    limits = (await js.stream_info(log)).config.consumer_limits
    assert limits is not None
    assert limits.inactive_threshold == READER_SECONDS
    await nc.close()

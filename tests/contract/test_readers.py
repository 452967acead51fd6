"""Consumers of the log have a bound, and whoever runs the installation can end them: readers go on by themselves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from mpbus.connect import connect
from mpbus.identities import KERNEL, PROJECTOR, PROVISION
from mpbus.reader import LogReader
from mpbus.streams import end_readers, provision
from mpd.credentials import Credentials
from mpd.servers import NatsServer

from tests.support import eventually
from tests.support.chain import Chain

MANY = 300
"""More than one page of names, and than are ended at a time."""


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
    asked = {"stream_name": "MP_LOG_0", "config": {"ack_policy": "none", "mem_storage": True, "num_replicas": 1}}
    for _ in range(MANY):
        await intruder.request("$JS.API.CONSUMER.CREATE.MP_LOG_0", json.dumps(asked).encode(), timeout=10)
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

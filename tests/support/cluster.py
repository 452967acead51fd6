"""A stack under load, and the questions tests ask of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from mpbus.connect import connect
from mpbus.producer import CommandProducer
from mpbus.reader import GENESIS, HASH_HEADER, Commit, LogReader
from mpd.services import ServiceProcess
from mpd.stack import Stack
from mpschema import subjects
from nats.aio.client import Client

from tests.support.administration import administered, administrator_url
from tests.support.load import Load, audit
from tests.support.users import GATEWAY
from tests.support.waiting import eventually


class Cluster:
    """A started stack, a connection that may do everything on its bus, and a load on it."""

    def __init__(self, stack: Stack, nc: Client, load: Load) -> None:
        self.stack = stack
        self.nc = nc
        self.load = load

    async def health(self, kernel: ServiceProcess) -> dict[str, object]:
        """Return a kernel's own report of its health; empty when it hangs or is gone."""
        try:
            async with httpx.AsyncClient(timeout=1) as client:
                answer: dict[str, object] = (await client.get(f"{kernel.url}/readyz")).json()
                return answer
        except httpx.TransportError:
            return {}

    async def leader(self) -> ServiceProcess:
        """The kernel that leads, as soon as one does."""

        async def find() -> ServiceProcess:
            for kernel in self.stack.kernels:
                if (await self.health(kernel)).get("role") == "leader":
                    return kernel
            raise AssertionError("no kernel leads")

        return await eventually(find)

    async def epoch(self) -> int:
        """The epoch of whoever leads."""
        epoch = (await self.health(await self.leader()))["epoch"]
        assert isinstance(epoch, int)
        return epoch

    async def progressed(self, commands: int, timeout: float = 90.0) -> None:
        """Wait until so many more commands are acknowledged."""
        goal = len(self.load.acknowledged) + commands
        await eventually(lambda: len(self.load.acknowledged) >= goal, timeout)

    def longest_wait(self, since: float) -> float:
        """The longest a command took that was under way at a moment, in seconds."""
        return max(took for sent, took in self.load.waits if sent + took >= since)

    async def log(self) -> list[Commit]:
        """Every commit up to the present head, verified."""
        return await read_log(self.nc, self.stack.shard)

    async def feed(self) -> list[tuple[int, str, str]]:
        """Position, event id and commit hash of every message of the feed."""
        return await read_feed(self.nc, self.stack.shard)

    async def decided(self) -> None:
        """Wait until every command that was left has an outcome in the log."""
        left = set(self.load.left)

        async def all_of_them() -> None:
            records = [record for commit in await self.log() for record in commit.records]
            waiting = left - {record.command_id for record in records if record.digest is not None}
            assert not waiting, f"{len(waiting)} of {len(left)} commands that were durable are not decided"

        await eventually(all_of_them, 90)

    async def audit(self) -> None:
        """Nothing lost, nothing doubled."""
        await self.decided()
        acknowledged = dict(self.load.acknowledged)  # Before the log is read, which then holds these at least.
        records = [record for commit in await self.log() for record in commit.records]
        audit(records, acknowledged)


async def read_log(nc: Client, shard: str) -> list[Commit]:
    """Every commit of a log up to its present head, verified."""
    reader, commits = LogReader(nc, shard), []
    head = await reader.head()
    if head == GENESIS:
        return []
    async for batch in reader.follow():
        commits += batch
        if commits[-1].stream_seq >= head.stream_seq:
            return commits
    raise AssertionError("the log ended")


async def read_feed(nc: Client, shard: str) -> list[tuple[int, str, str]]:
    """Position, event id and commit hash of every message of a feed up to its present end."""
    js = nc.jetstream()
    last = (await js.stream_info(subjects.feed_stream(shard))).state.last_seq
    if not last:
        return []
    feed = await js.subscribe(subjects.feed_subjects(shard), stream=subjects.feed_stream(shard), ordered_consumer=True)
    messages: list[tuple[int, str, str]] = []
    while not messages or messages[-1][0] < last:
        msg = await feed.next_msg(timeout=30)
        headers = msg.headers or {}
        messages.append((msg.metadata.sequence.stream, headers["ce-id"], headers[HASH_HEADER]))
    await feed.unsubscribe()
    return messages


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[Cluster]:
    """The stack, started, with a prepared load; killed in the end."""
    await asyncio.to_thread(administered(stack).start)
    nc = await connect(administrator_url(stack), "tests", writer=True)
    gateway = await connect(stack.bus(GATEWAY), "load", writer=True)
    producer = CommandProducer(gateway, stack.shard)
    await producer.start()
    load = Load(producer)
    try:
        await load.prepare()
        yield Cluster(stack, nc, load)
    finally:
        await producer.close()
        await gateway.close()
        await nc.close()
        await asyncio.to_thread(stack.kill)

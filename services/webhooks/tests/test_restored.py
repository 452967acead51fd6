"""Webhooks over a log that was restored while their worker lived."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from mpschema.envelope import Outcome, Status
from mpschema.task import TaskReady
from mpwebhooks.adapters.positions import Positions
from mpwebhooks.adapters.postgres import Database as Pool
from mpwebhooks.lane import DeliveryLane
from mpwebhooks.ports import DeliveryResult, Message, Parked, Policy, Waiting, WebhookLease, WebhookSubscription
from mpwebhooks.service import DeliveryService

from services.webhooks.tests.archive import put_back, record
from tests.support.database import Database
from tests.support.waiting import eventually

HOOK = """
INSERT INTO mp.webhooks (workspace_id, id, endpoint, event_types, aggregates, state, reason, generation, after_seq,
    started_seq, version, created_seq, last_seq, created_at, updated_at)
VALUES ('a', 'w1', 'https://ci.example', '{}', '{task}', 'active', '', 1, 0, 1, 1, 1, 1, now(), now())
"""
PAUSED_SEQ = 16
LOST = "DELETE FROM mp.log_{} WHERE stream_seq > $1"


class Endpoint:
    """Says yes to everything until it is gone. The kernel beside it records nothing but that."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.gone = self.paused = False

    async def send(self, _: WebhookSubscription, message: Message) -> DeliveryResult:
        if self.gone:
            return DeliveryResult(delivered=False, reason="gone", final=True)
        self.heard.append(message.id)
        return DeliveryResult(delivered=True)

    async def close(self) -> None:
        """Nothing is open."""

    async def park(self, webhook: WebhookSubscription, waiting: Waiting, seq: int) -> Outcome | None:
        raise AssertionError(f"{waiting.key} of {webhook.id} failed at {seq}")

    async def clear(self, webhook: WebhookSubscription, key: str) -> Outcome | None:
        raise AssertionError(f"{key} of {webhook.id} was never parked")

    async def pause(self, webhook: WebhookSubscription, reason: str) -> Outcome | None:
        self.paused = True
        return Outcome(command_id="c", status=Status.ACCEPTED, epoch=1, first_seq=PAUSED_SEQ, last_seq=PAUSED_SEQ)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Any]:
    """The owner of tables with one webhook that is told about tasks from the beginning."""
    connection = await asyncpg.connect(database.owner_dsn)
    await connection.execute(HOOK)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def worker(dsn: str, endpoint: Endpoint) -> AsyncIterator[None]:
    """One worker that looks, and saves how far it is, all the time."""
    pool = Pool(dsn)
    await pool.start()
    store = Positions(pool, lease_seconds=30)

    def lane(lease: WebhookLease, webhook: WebhookSubscription, parked: list[Parked]) -> DeliveryLane:
        return DeliveryLane(lease, webhook, parked, store=store, sender=endpoint, recorder=endpoint, policy=Policy())

    service = DeliveryService(store, lane, "one", poll_seconds=0.01, beat_seconds=0.0, grace_seconds=1.0)
    running = asyncio.create_task(service.run())
    try:
        yield
    finally:
        service.stop()
        await running
        await pool.close()


async def tasks(owner: Any, first: int, last: int, epoch: int) -> list[str]:
    """Archive events of tasks from one position to another. Returns their ids."""
    for seq in range(first, last + 1):
        await record(owner, "a", f"t{seq}", TaskReady(), seq=seq, epoch=epoch)
    return [f"{epoch}:{seq}" for seq in range(first, last + 1)]


async def lose(owner: Any, after: int) -> None:
    """Take everything after a position out of the archive."""
    for table in ("events", "commits"):
        await owner.execute(LOST.format(table), after)


async def test_after_one_restoration_it_hears_all_that_stands_where_the_lost_part_stood(
    database: Database, owner: Any
) -> None:
    before, endpoint = await tasks(owner, 1, 15, epoch=1), Endpoint()
    async with worker(database.webhooks_dsn, endpoint):
        await eventually(lambda: endpoint.heard == before)
        async with owner.transaction():
            await lose(owner, after=10)
            await put_back(owner, at_seq=10, epoch=1000)
            after = await tasks(owner, 12, 20, epoch=1001)
        await eventually(lambda: endpoint.heard == [*before, *after])


async def test_after_two_restorations_seen_at_once_it_hears_what_stands_between_them(
    database: Database, owner: Any
) -> None:
    before, endpoint = await tasks(owner, 1, 15, epoch=1), Endpoint()
    async with worker(database.webhooks_dsn, endpoint):
        await eventually(lambda: endpoint.heard == before)
        async with owner.transaction():
            await lose(owner, after=10)
            await put_back(owner, at_seq=10, epoch=1000)
            between = await tasks(owner, 12, 20, epoch=1001)
            await put_back(owner, at_seq=20, epoch=2001)
            after = await tasks(owner, 22, 24, epoch=2002)
        await eventually(lambda: endpoint.heard == [*before, *between, *after])


async def test_a_webhook_that_a_lost_event_paused_goes_on(database: Database, owner: Any) -> None:
    before, endpoint = await tasks(owner, 1, 14, epoch=1), Endpoint()
    async with worker(database.webhooks_dsn, endpoint):
        await eventually(lambda: endpoint.heard == before)
        endpoint.gone = True
        await tasks(owner, 15, 15, epoch=1)
        await eventually(lambda: endpoint.paused)
        endpoint.gone = False
        async with owner.transaction():
            await lose(owner, after=10)
            await put_back(owner, at_seq=10, epoch=1000)
            after = await tasks(owner, 12, 13, epoch=1001)
        await eventually(lambda: endpoint.heard == [*before, *after])

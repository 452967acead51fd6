"""Positions under leases, after a restored log, and below the rights of the service's role."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from mpschema.task import TaskReady
from mpwebhooks.adapters.positions import Positions
from mpwebhooks.adapters.postgres import Database as Pool
from mpwebhooks.ports import DeliveryPosition, LeaseLost, Restoration, Waiting, WebhookLease

from services.webhooks.tests.archive import put_back, record
from tests.support.database import Database

HOOK = """
INSERT INTO mp.webhooks (workspace_id, id, endpoint, event_types, aggregates, state, reason, generation, after_seq,
    started_seq, version, created_seq, last_seq, created_at, updated_at)
VALUES ($1, 'w1', 'https://ci.example', '{}', '{}', 'active', '', 1, 10, 11, 1, 11, 11, now(), now())
"""
ENDED = "UPDATE mp_webhooks.positions SET lease_until = now() - interval '1 second'"


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Any]:
    """The owner of tables with three webhooks, of three workspaces."""
    connection = await asyncpg.connect(database.owner_dsn)
    for workspace_id in ("a", "b", "c"):
        await connection.execute(HOOK, workspace_id)
    yield connection
    await connection.close()


@pytest.fixture(params=["direct", pytest.param("pooled", marks=pytest.mark.needs("pgbouncer"))])
async def positions(request: pytest.FixtureRequest, database: Database, owner: Any) -> AsyncIterator[Positions]:
    """The service's own way to them: to the server itself, and through PgBouncer."""
    dsn = database.webhooks_dsn
    pool = Pool(request.getfixturevalue("pgbouncer").through(dsn) if request.param == "pooled" else dsn)
    await pool.start()
    yield Positions(pool, lease_seconds=30)
    await pool.close()


async def test_who_fell_silent_moves_nothing_any_more(positions: Positions, owner: Any) -> None:
    await positions.attend("one")
    (lease, *_) = await positions.claim("one", 3)
    assert await positions.place(lease) == DeliveryPosition(10, 0, 11)
    await positions.advance(lease, DeliveryPosition(20, 1, 11), 5, [])
    await owner.execute(ENDED)
    taken = {each.name: each for each in await positions.claim("two", 3)}[lease.name]
    for late in (
        positions.advance(lease, DeliveryPosition(30, 1, 11), 5, []),
        positions.save(lease, Waiting("task/t1", 5, 1, time.time(), "x"), 0),
        positions.forget(lease, "task/t1"),
        positions.begin(lease, DeliveryPosition(0, 1, 12)),
    ):
        with pytest.raises(LeaseLost):
            await late
    assert (await positions.place(taken)).position == 20
    assert await positions.renew("one", [(lease, DeliveryPosition(99, 1, 11))]) == set()


async def test_what_waits_is_kept_until_it_is_forgotten_or_all_begins_anew(positions: Positions) -> None:
    await positions.attend("one")
    (lease, *_) = await positions.claim("one", 3)
    kept = [Waiting("task/a", 11, 1, 1_000.5, "no", None), Waiting("task/b", 12, 8, 2_000.0, "no", 44)]
    await positions.advance(lease, DeliveryPosition(20, 1, 11), 3, kept)
    assert sorted(await positions.waiting(lease), key=lambda each: each.key) == kept
    await positions.forget(lease, "task/a")
    assert [each.key for each in await positions.waiting(lease)] == ["task/b"]
    await positions.begin(lease, DeliveryPosition(3, 1, 50))
    assert (await positions.place(lease), await positions.waiting(lease)) == (DeliveryPosition(3, 1, 50), [])


async def claimed(positions: Positions) -> list[WebhookLease]:
    """The leases of all three webhooks, by workspace."""
    return sorted(await positions.claim("one", 3), key=lambda lease: lease.workspace_id)


async def test_in_a_log_that_was_put_back_positions_return_to_the_end_of_the_copy(positions: Positions) -> None:
    await positions.attend("one")
    beyond, before, _ = await claimed(positions)
    lost = [Waiting("task/old", 90, 1, 0.0, "x"), Waiting("task/lost", 120, 1, 0.0, "x")]
    await positions.advance(beyond, DeliveryPosition(130, 4, 11), 3, lost)
    await positions.advance(before, DeliveryPosition(80, 4, 11), 3, [])
    assert await positions.go_back([Restoration(epoch=9, at_seq=100)]) == 1
    beyond, before, _ = await claimed(positions)
    assert await positions.place(beyond) == DeliveryPosition(100, 9, 11)
    assert [each.key for each in await positions.waiting(beyond)] == ["task/old"]
    assert await positions.place(before) == DeliveryPosition(80, 9, 11)
    await positions.advance(beyond, DeliveryPosition(140, 9, 11), 1, [])
    assert await positions.go_back([Restoration(epoch=9, at_seq=100)]) == 0
    assert await positions.place(beyond) == DeliveryPosition(140, 9, 11)


async def test_each_place_returns_to_the_lowest_end_of_the_copies_it_has_not_seen(
    positions: Positions, owner: Any
) -> None:
    await positions.attend("one")
    leases = await claimed(positions)
    for lease, place in zip(
        leases,
        (DeliveryPosition(15, 1, 14), DeliveryPosition(25, 1000, 24), DeliveryPosition(25, 2001, 24)),
        strict=True,
    ):
        waits = [
            Waiting(f"task/{seq}", seq, 1, 5.0, "x", seq + 1) for seq in (8, 9, 10, 18, 22) if seq < place.position
        ]
        await positions.advance(lease, place, 1, waits)
    await put_back(owner, at_seq=10, epoch=1000)
    await put_back(owner, at_seq=20, epoch=2001)
    restorations = await positions.restorations()
    assert restorations == [Restoration(1000, 10), Restoration(2001, 20)]
    assert await positions.go_back(restorations) == 2
    leases = [*(await claimed(positions)), leases[2]]
    assert [await positions.place(lease) for lease in leases] == [
        DeliveryPosition(10, 2001, 10),
        DeliveryPosition(20, 2001, 20),
        DeliveryPosition(25, 2001, 24),
    ]
    kept = [{each.key: each.parked_seq for each in await positions.waiting(lease)} for lease in leases]
    assert kept == [
        {"task/8": 9, "task/9": 10},
        {"task/8": 9, "task/9": 10, "task/10": 11, "task/18": 19},
        {"task/8": 9, "task/9": 10, "task/10": 11, "task/18": 19, "task/22": 23},
    ]


async def test_a_key_that_a_lost_event_parked_is_tried_again(positions: Positions) -> None:
    await positions.attend("one")
    lease, *_ = await claimed(positions)
    parked = [Waiting("task/a", 3, 8, 5.0, "x", 14), Waiting("task/b", 4, 8, 5.0, "x", 9)]
    await positions.advance(lease, DeliveryPosition(8, 1, 11), 1, parked)
    assert await positions.go_back([Restoration(1000, 10), Restoration(2001, 20)]) == 0
    lease, *_ = await claimed(positions)
    assert {each.key: (each.attempts, each.parked_seq) for each in await positions.waiting(lease)} == {
        "task/a": (0, None),
        "task/b": (8, 9),
    }


async def test_who_had_a_place_in_the_lost_part_saves_it_no_more(positions: Positions) -> None:
    await positions.attend("one")
    lease, *_ = await claimed(positions)
    await positions.advance(lease, DeliveryPosition(15, 1, 11), 1, [])
    assert await positions.go_back([Restoration(1000, 12)]) == 1
    assert await positions.renew("one", [(lease, DeliveryPosition(15, 1, 11))]) == set()
    with pytest.raises(LeaseLost):
        await positions.save(lease, Waiting("task/t1", 13, 1, time.time(), "x"), 0)
    lease, *_ = await claimed(positions)
    assert (await positions.place(lease), await positions.waiting(lease)) == (DeliveryPosition(12, 1000, 11), [])


async def test_a_webhook_that_is_newer_than_a_restoration_stays_where_it_begins(
    positions: Positions, owner: Any
) -> None:
    await put_back(owner, at_seq=5, epoch=1000)
    await record(owner, "a", "t1", TaskReady(), seq=7, epoch=1001)
    await positions.attend("one")
    assert await positions.go_back(await positions.restorations()) == 0
    lease, *_ = await claimed(positions)
    assert await positions.place(lease) == DeliveryPosition(10, 1001, 11)


async def test_the_service_sees_no_keys_and_a_tenant_sees_its_own_positions_alone(
    database: Database, positions: Positions
) -> None:
    await positions.attend("one")
    service = await asyncpg.connect(database.webhooks_dsn)
    for forbidden in ("SELECT * FROM mp.keys", "DELETE FROM mp.log_events", "UPDATE mp.webhooks SET state = 'x'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(forbidden)
    await service.close()
    gateway = await asyncpg.connect(database.gateway_dsn)
    seen = "SELECT workspace_id FROM mp_webhooks.positions"
    assert await gateway.fetch(seen) == []
    await gateway.execute("SELECT set_config('mp.workspace', 'b', false)")
    assert [row["workspace_id"] for row in await gateway.fetch(seen)] == ["b"]
    await gateway.close()

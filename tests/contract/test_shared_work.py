"""The promises of every ledger of leases, and those of the beat that all services have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Protocol, TypeVar

import asyncpg
import pytest
from mpservice.sharing import LeaseKeeper, LeaseLedger
from mpstore.readmodels import ProjectionLease, ProjectionStatus, ProjectionsUnavailable
from mpstore.readmodels.ledger import PostgresLedger
from mpstore.readmodels.memory import MemoryLedger, MemoryStore
from mpviews import VIEWS
from mpwebhooks.adapters.positions import Positions
from mpwebhooks.adapters.postgres import Database as WebhooksPool
from mpwebhooks.ports import DeliveryPosition, WebhookLease

from tests.support.database import Database
from tests.support.pgbouncer import PgBouncer

T = TypeVar("T")
LEASE_SECONDS = 30.0
THINGS = 3
SHARED_VIEWS = list(VIEWS.values())[:THINGS]
OWNER_ENDS = "UPDATE mp.projections SET lease_until = now() - interval '1 second'"
WEBHOOK_ENDS = "UPDATE mp_webhooks.positions SET lease_until = now() - interval '1 second'"
WEBHOOK = """
INSERT INTO mp.webhooks (workspace_id, id, endpoint, event_types, aggregates, state, reason, generation, after_seq,
    started_seq, version, created_seq, last_seq, created_at, updated_at)
VALUES ($1, 'w1', 'https://ci.example', '{}', '{}', 'active', '', 1, 10, 11, 1, 11, 11, now(), now())
"""


class Site(Protocol):
    """One ledger over three things, and what a test does to it from outside."""

    @property
    def ledger(self) -> LeaseLedger[Any, Any, Any]:
        """The leases."""

    def name(self, lease: Any) -> Any:
        """The name of a thing."""

    def report(self, lease: Any, *, epochs_ago: int = 0) -> Any:
        """The report of a thing that fares well, by a lease of now or of before."""

    async def let_all_leases_end(self) -> None:
        """Time passes without a word from anybody."""


class Projections:
    """Leases on projections."""

    def name(self, lease: ProjectionLease) -> str:
        return lease.title

    def report(self, lease: ProjectionLease, *, epochs_ago: int = 0) -> ProjectionStatus:
        return ProjectionStatus(replace(lease, epoch=lease.epoch - epochs_ago), "live", None, 0, 0.0, 0.0)


class InMemory(Projections):
    """Leases on projections, in memory."""

    def __init__(self) -> None:
        self.now = 0.0
        self.store = MemoryStore()
        self.ledger = MemoryLedger(self.store, lambda: self.now, lease_seconds=LEASE_SECONDS)

    async def let_all_leases_end(self) -> None:
        self.now += LEASE_SECONDS + 1

    def owns(self, node: str, lease: ProjectionLease) -> bool:
        entry = self.store.entries[lease.name]
        return (entry.owner, entry.epoch) == (node, lease.epoch)


class InPostgres(Projections):
    """Leases on projections, in PostgreSQL."""

    def __init__(self, dsn: str, owner: Any) -> None:
        self.ledger = PostgresLedger(dsn, lease_seconds=LEASE_SECONDS)
        self._owner = owner

    async def let_all_leases_end(self) -> None:
        await self._owner.execute(OWNER_ENDS)


class Webhooks:
    """Leases on webhooks, in PostgreSQL."""

    def __init__(self, pool: WebhooksPool, owner: Any) -> None:
        self.ledger = Positions(pool, LEASE_SECONDS)
        self._owner = owner

    def name(self, lease: WebhookLease) -> tuple[str, str]:
        return lease.name

    def report(self, lease: WebhookLease, *, epochs_ago: int = 0) -> tuple[WebhookLease, DeliveryPosition]:
        return WebhookLease(*lease.name, lease.epoch - epochs_ago), DeliveryPosition()

    async def let_all_leases_end(self) -> None:
        await self._owner.execute(WEBHOOK_ENDS)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Any]:
    """The owner of all tables."""
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture(params=["direct", pytest.param("pooled", marks=pytest.mark.needs("pgbouncer"))])
def pgbouncer_or_none(request: pytest.FixtureRequest) -> PgBouncer | None:
    """Both ways to the database: to the server itself, and through a pooler."""
    found: PgBouncer | None = request.getfixturevalue("pgbouncer") if request.param == "pooled" else None
    return found


def way(dsn: str, pgbouncer: PgBouncer | None) -> str:
    return pgbouncer.through(dsn) if pgbouncer else dsn


class LeaseLedgerContract:
    """The promises of `LeaseLedger`. Each adapter's suite inherits this and provides `site`."""

    async def test_nodes_have_equal_shares_and_a_node_that_leaves_gives_its_own_back(self, site: Site) -> None:
        assert await site.ledger.attend("one") == 3
        assert await site.ledger.attend("two") == 2
        assert await site.ledger.attend("one") == 2
        await site.ledger.leave("two")
        assert await site.ledger.attend("one") == 3

    async def test_nobody_takes_what_another_has_nor_more_than_there_is_room_for(self, site: Site) -> None:
        await site.ledger.attend("one")
        mine, theirs = await site.ledger.claim("one", 2), await site.ledger.claim("two", 5)
        assert (len(mine), len(theirs)) == (2, 1)
        assert len({site.name(lease) for lease in [*mine, *theirs]}) == THINGS
        assert await site.ledger.claim("one", 5) == []

    async def test_without_room_nothing_is_taken(self, site: Site) -> None:
        await site.ledger.attend("one")
        assert await site.ledger.claim("one", 0) == []

    async def test_who_renews_keeps_what_is_its_own(self, site: Site) -> None:
        await site.ledger.attend("one")
        mine = await site.ledger.claim("one", THINGS)
        await site.let_all_leases_end()
        names = {site.name(lease) for lease in mine}
        assert await site.ledger.renew("one", [site.report(lease) for lease in mine]) == names
        assert await site.ledger.claim("two", THINGS) == []

    async def test_a_renewal_by_another_or_by_an_old_epoch_is_refused(self, site: Site) -> None:
        await site.ledger.attend("one")
        lease, *_ = await site.ledger.claim("one", THINGS)
        assert await site.ledger.renew("two", [site.report(lease)]) == set()
        assert await site.ledger.renew("one", [site.report(lease, epochs_ago=1)]) == set()

    async def test_what_a_silent_node_had_goes_to_another_under_a_higher_epoch(self, site: Site) -> None:
        await site.ledger.attend("one")
        old = {site.name(lease): lease for lease in await site.ledger.claim("one", THINGS)}
        assert await site.ledger.claim("two", THINGS) == []
        await site.let_all_leases_end()
        new = {site.name(lease): lease for lease in await site.ledger.claim("two", THINGS)}
        assert {name: lease.epoch - old[name].epoch for name, lease in new.items()} == dict.fromkeys(old, 1)
        assert await site.ledger.renew("one", [site.report(lease) for lease in old.values()]) == set()

    async def test_what_is_released_is_free_at_once_and_not_to_be_renewed(self, site: Site) -> None:
        await site.ledger.attend("one")
        mine = await site.ledger.claim("one", THINGS)
        await site.ledger.release("two", mine)
        assert await site.ledger.claim("two", THINGS) == []
        await site.ledger.release("one", mine)
        assert await site.ledger.renew("one", [site.report(lease) for lease in mine]) == set()
        assert len(await site.ledger.claim("two", THINGS)) == THINGS


class TestProjectionsInMemory(LeaseLedgerContract):
    """The twin in memory."""

    @pytest.fixture
    async def site(self) -> Site:
        site = InMemory()
        await site.ledger.register(SHARED_VIEWS)
        return site


class TestProjectionsInPostgres(LeaseLedgerContract):
    """The projector's leases."""

    @pytest.fixture
    async def site(self, database: Database, owner: Any, pgbouncer_or_none: PgBouncer | None) -> AsyncIterator[Site]:
        await owner.execute("UPDATE mp.projections SET updated_at = now()")  # The database may be an old copy.
        site = InPostgres(way(database.projector_dsn, pgbouncer_or_none), owner)
        await site.ledger.register(SHARED_VIEWS)
        yield site
        await site.ledger.close()


class TestWebhooks(LeaseLedgerContract):
    """The webhooks' leases."""

    @pytest.fixture
    async def site(self, database: Database, owner: Any, pgbouncer_or_none: PgBouncer | None) -> AsyncIterator[Site]:
        for workspace_id in ("a", "b", "c"):
            await owner.execute(WEBHOOK, workspace_id)
        pool = WebhooksPool(way(database.webhooks_dsn, pgbouncer_or_none))
        await pool.start()
        yield Webhooks(pool, owner)
        await pool.close()


# The beat


class Worker:
    """A node that works on what it holds, and takes its time to end."""

    def __init__(self, site: InMemory, node: str, patience: int = 0, away: Callable[[], bool] = lambda: False) -> None:
        self.keeper = LeaseKeeper(Flaky(site.ledger, away), self, node, site.name)
        self.running: dict[str, int] = {}
        """The beats that each thing still takes to end."""
        self._site, self._node, self._patience = site, node, patience

    def reports(self) -> list[ProjectionStatus]:
        return [self._site.report(lease) for lease in self.keeper.held.values()]

    async def lost(self, name: str) -> None:
        self.running.pop(name, None)

    async def finish(self, name: str) -> bool:
        self.running[name] -= 1
        if self.running[name] < 0:
            del self.running[name]
        return name not in self.running

    async def beat(self) -> None:
        """One beat, after which it works on what is its own, and on nothing else."""
        for lease in await self.keeper.beat():
            self.running[lease.title] = self._patience
        assert self.running.keys() == self.keeper.held.keys()
        assert all(self._site.owns(self._node, lease) for lease in self.keeper.held.values())


class Flaky:
    """A ledger that may be away, before or after it did what it was asked."""

    def __init__(self, ledger: MemoryLedger, away: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._away = away

    async def attend(self, node: str) -> int:
        return await self._asked(lambda: self._ledger.attend(node))

    async def renew(self, node: str, reports: Sequence[ProjectionStatus]) -> set[str]:
        return await self._asked(lambda: self._ledger.renew(node, reports))

    async def claim(self, node: str, room: int) -> list[ProjectionLease]:
        return await self._asked(lambda: self._ledger.claim(node, room))

    async def release(self, node: str, leases: Sequence[ProjectionLease]) -> None:
        await self._asked(lambda: self._ledger.release(node, leases))

    async def leave(self, node: str) -> None:
        await self._asked(lambda: self._ledger.leave(node))

    async def _asked(self, question: Callable[[], Awaitable[T]]) -> T:
        if self._away():
            raise ProjectionsUnavailable("away")
        answer = await question()
        if self._away():
            raise ProjectionsUnavailable("away after all")
        return answer


@pytest.fixture
async def memory() -> InMemory:
    """All projections, in memory."""
    site = InMemory()
    await site.ledger.register(list(VIEWS.values()))
    return site


async def test_a_second_node_gets_its_share_from_the_first(memory: InMemory) -> None:
    first, second = Worker(memory, "one"), Worker(memory, "two")
    await first.beat()
    assert len(first.keeper.held) == len(VIEWS)
    for worker in (second, first, second):
        await worker.beat()
    held = [len(worker.keeper.held) for worker in (first, second)]
    assert (sum(held), max(held) - min(held)) == (len(VIEWS), len(VIEWS) % 2)
    assert first.running.keys() == first.keeper.held.keys()


async def test_what_still_runs_is_kept_until_it_has_ended(memory: InMemory) -> None:
    first, second = Worker(memory, "one", patience=2), Worker(memory, "two")
    await first.beat()
    await second.beat()
    for _ in range(2):
        await first.beat()
        assert (len(first.keeper.held), len(first.keeper.surplus)) == (len(VIEWS), len(VIEWS) // 2)
    await first.beat()
    assert len(first.keeper.held) == len(VIEWS) - len(VIEWS) // 2


async def test_who_leaves_leaves_everything(memory: InMemory) -> None:
    first, second = Worker(memory, "one"), Worker(memory, "two")
    await first.beat()
    await first.keeper.leave()
    await second.beat()
    assert len(second.keeper.held) == len(VIEWS)


@pytest.mark.parametrize("seed", range(100))
async def test_in_a_storm_nobody_works_on_what_is_not_its_own_and_in_the_calm_all_is_shared(
    seed: int, memory: InMemory
) -> None:
    dice = Random(seed)
    storm = True

    def away() -> bool:
        return storm and dice.random() < 0.05

    def begun(node: str) -> Worker:
        return Worker(memory, node, dice.randrange(3), away)

    workers = {node: begun(node) for node in ("one", "two", "three")}
    beats = 0
    for _ in range(80):
        node = dice.choice(list(workers))
        memory.now += dice.choice([0.5, 2.0, LEASE_SECONDS / 2])
        try:
            await workers[node].beat()
            beats += 1
            if dice.random() < 0.1:
                await workers[node].keeper.leave()
                workers[node] = begun(node)
        except ProjectionsUnavailable:
            if dice.random() < 0.3:
                workers[node] = begun(node)  # The process dies, and another takes its place.
    assert beats > 20
    storm = False
    await memory.let_all_leases_end()
    for _ in range(8):
        for worker in workers.values():
            await worker.beat()
    held = [len(worker.keeper.held) for worker in workers.values()]
    assert (sum(held), max(held)) == (len(VIEWS), -(-len(VIEWS) // len(workers)))

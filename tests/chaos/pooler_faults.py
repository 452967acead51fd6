"""Faults of a pooler between the services and Postgres, and of both of its sides."""

import asyncio

from mpd.process import ChildProcess

from tests.chaos.arena import Arena, Faults
from tests.chaos.faults import (
    gateway_killed,
    leader_killed,
    projector_frozen,
    projector_killed,
    server_killed_while_another_starts,
    two_at_once,
)

_FREEZE_SECONDS_MAX = 5.0


def _pooler(arena: Arena) -> ChildProcess:
    return arena.stack.process("pgbouncer")


async def pooler_killed(arena: Arena) -> None:
    """The pooler dies with every session in it; commands are answered all the same."""
    _pooler(arena).kill()
    await arena.progressed()
    await asyncio.to_thread(_pooler(arena).start)


async def pooler_frozen(arena: Arena) -> None:
    """The pooler sleeps, with transactions in it, and wakes."""
    _pooler(arena).pause()
    await asyncio.sleep(arena.dice.uniform(0.2, _FREEZE_SECONDS_MAX))
    _pooler(arena).resume()


async def database_killed_behind_a_pooler(arena: Arena) -> None:
    """Postgres dies and recovers; the pooler's clients keep connections to nothing meanwhile."""
    arena.stack.postgres.kill()
    await arena.progressed()
    await asyncio.to_thread(arena.stack.postgres.start)


BEHIND_A_POOLER: Faults = {
    pooler_killed: 4,
    pooler_frozen: 3,
    database_killed_behind_a_pooler: 3,
    projector_killed: 3,
    projector_frozen: 2,
    gateway_killed: 2,
    leader_killed: 1,
    two_at_once: 2,
    server_killed_while_another_starts: 2,
}

"""Faults of a machine's processes, each as one act that leaves everything running again."""

import asyncio

from mpd.process import ChildProcess

from tests.chaos.arena import LEASE_TTL_SECONDS, Arena, Faults
from tests.support.administration import redis_administrator
from tests.support.waiting import eventually


async def _killed(process: ChildProcess) -> None:
    process.kill()
    await asyncio.to_thread(process.start)


async def _dead(arena: Arena, process: ChildProcess) -> None:
    process.kill()


async def _frozen(arena: Arena, process: ChildProcess) -> None:
    process.pause()
    await asyncio.sleep(arena.dice.uniform(0.2, LEASE_TTL_SECONDS * 2))
    process.resume()


async def leader_killed(arena: Arena) -> None:
    """The leading kernel dies."""
    await _killed(await arena.cluster.leader())


async def leader_frozen(arena: Arena) -> None:
    """The leading kernel sleeps, often past its lease, and wakes."""
    await _frozen(arena, await arena.cluster.leader())


async def leader_asked_to_go(arena: Arena) -> None:
    """The leading kernel is restarted in order."""
    await asyncio.to_thread((await arena.cluster.leader()).restart)


async def standby_killed(arena: Arena) -> None:
    """A kernel that does not lead dies."""
    leader = await arena.cluster.leader()
    await _killed(next(kernel for kernel in arena.stack.kernels if kernel is not leader))


async def connections_cut(arena: Arena) -> None:
    """Every connection of the kernels to NATS is cut."""
    arena.network.cut()


async def network_silent(arena: Arena) -> None:
    """The kernels' network swallows everything for a while."""
    arena.network.silence()
    await asyncio.sleep(arena.dice.uniform(0.2, LEASE_TTL_SECONDS * 2))
    arena.network.speak()


async def lease_keeper_flushed(arena: Arena) -> None:
    """Redis forgets everything."""
    async with redis_administrator(arena.stack) as client:
        await client.flushall()


async def lease_keeper_killed(arena: Arena) -> None:
    """Redis dies and comes back empty."""
    await _killed(arena.stack.valkey)


async def projector_killed(arena: Arena) -> None:
    """A projector dies in the middle of whatever it does."""
    await _killed(arena.dice.choice(arena.stack.projectors))


async def projector_frozen(arena: Arena) -> None:
    """A projector sleeps past its leases, and wakes."""
    await _frozen(arena, arena.dice.choice(arena.stack.projectors))


async def relay_killed(arena: Arena) -> None:
    """A relay dies in the middle of a batch, or of its wait for one."""
    await _killed(arena.dice.choice(arena.stack.relays))


async def relay_frozen(arena: Arena) -> None:
    """A relay sleeps while the other goes on, and wakes with a batch for a place that is taken."""
    await _frozen(arena, arena.dice.choice(arena.stack.relays))


async def gateway_killed(arena: Arena) -> None:
    """The gateway dies under its streams."""
    await _killed(arena.stack.gateways[0])


async def gateway_asked_to_go(arena: Arena) -> None:
    """The gateway is restarted in order."""
    await asyncio.to_thread(arena.stack.gateways[0].restart)


async def log_server_killed(arena: Arena) -> None:
    """NATS dies and recovers from its disk."""
    await _killed(arena.stack.nats)


async def log_server_frozen(arena: Arena) -> None:
    """NATS sleeps."""
    await _frozen(arena, arena.stack.nats)


async def database_killed(arena: Arena) -> None:
    """Postgres dies and recovers."""
    await _killed(arena.stack.postgres)


async def two_at_once(arena: Arena) -> None:
    """Two processes, servers or services, die or sleep together, and nobody but the supervisor is there."""
    hurt = arena.dice.sample(arena.stack.processes, 2)
    acts = [arena.dice.choice((_dead, _dead, _frozen)) for _ in hurt]
    await asyncio.gather(*(act(arena, process) for act, process in zip(acts, hurt, strict=True)))
    await arena.healed()


async def server_killed_while_another_starts(arena: Arena) -> None:
    """A process dies, and a server in the moment in which the supervisor starts the first one."""
    server = arena.dice.choice(arena.stack.servers)
    other = arena.dice.choice([process for process in arena.stack.processes if process is not server])
    async with arena.tended():
        other.kill()
        await eventually(lambda: other.running)
        server.kill()
        await arena.well()


ON_SUPERVISOR: Faults = {two_at_once: 6, server_killed_while_another_starts: 4}
ON_SERVICES: Faults = {
    leader_killed: 8,
    leader_frozen: 6,
    leader_asked_to_go: 4,
    standby_killed: 3,
    connections_cut: 8,
    network_silent: 4,
    lease_keeper_flushed: 6,
    lease_keeper_killed: 2,
    projector_killed: 4,
    projector_frozen: 2,
    relay_killed: 3,
    relay_frozen: 3,
    gateway_killed: 3,
    gateway_asked_to_go: 2,
    database_killed: 2,
}
ON_ONE_NODE: Faults = {**ON_SERVICES, **ON_SUPERVISOR, log_server_killed: 3, log_server_frozen: 2}

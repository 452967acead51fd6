"""Faults of one of three nodes that keep the streams. With two left, commands are answered."""

import asyncio
import shutil

from mpd.servers import NatsServer
from mpschema import subjects
from nats.js.api import ClusterInfo

from tests.chaos.arena import Arena, Faults
from tests.chaos.faults import (
    connections_cut,
    gateway_killed,
    leader_asked_to_go,
    leader_frozen,
    leader_killed,
    network_silent,
    projector_killed,
    relay_killed,
)
from tests.support.waiting import eventually

_WHOLE_SECONDS = 60.0
_FREEZE_SECONDS_MAX = 5.0


async def node_killed(arena: Arena) -> None:
    """A node dies, is missed by nobody, and comes back."""
    await _gone_for_a_while(arena, arena.dice.choice(arena.stack.nats_nodes))


async def log_leader_killed(arena: Arena) -> None:
    """The node that leads the log's copies dies: the others elect another one."""
    await _gone_for_a_while(arena, await _leader(arena, subjects.log_stream(arena.stack.shard)))


async def command_leader_killed(arena: Arena) -> None:
    """The node that leads the command stream's copies dies."""
    await _gone_for_a_while(arena, await _leader(arena, subjects.command_stream(arena.stack.shard)))


async def node_asked_to_go(arena: Arena) -> None:
    """A node is restarted in order."""
    await asyncio.to_thread(arena.dice.choice(arena.stack.nats_nodes).restart)


async def node_frozen(arena: Arena) -> None:
    """A node sleeps a little and wakes."""
    node = arena.dice.choice(arena.stack.nats_nodes)
    node.pause()
    await asyncio.sleep(arena.dice.uniform(0.2, _FREEZE_SECONDS_MAX))
    node.resume()


async def log_leader_frozen(arena: Arena) -> None:
    """The log's leader sleeps until the others go on without it, and wakes believing that it leads."""
    node = await _leader(arena, subjects.log_stream(arena.stack.shard))
    node.pause()
    try:
        await arena.progressed()
    finally:
        node.resume()


async def node_lost(arena: Arena) -> None:
    """A node dies and its disk with it; an empty one takes its place and is given everything anew."""
    node = arena.dice.choice(arena.stack.nats_nodes)
    node.kill()
    await arena.progressed()  # The two that are left agree on everything before a third one has a vote.
    shutil.rmtree(node.folder)
    await asyncio.to_thread(node.start)


async def log_leadership_moved(arena: Arena) -> None:
    """An operator asks the log's leader to let another node lead."""
    stream = subjects.log_stream(arena.stack.shard)
    await arena.cluster.nc.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", b"", timeout=5)


async def way_to_a_node_silent(arena: Arena) -> None:
    """The network between the kernels and one node swallows everything, until they find another way."""
    proxy = arena.dice.choice(arena.network.proxies)
    proxy.silence()
    try:
        await arena.progressed()
    finally:
        proxy.speak()


ON_NODES: Faults = {
    node_killed: 4,
    log_leader_killed: 4,
    command_leader_killed: 2,
    node_asked_to_go: 2,
    node_frozen: 3,
    log_leader_frozen: 2,
    node_lost: 3,
    log_leadership_moved: 3,
    way_to_a_node_silent: 2,
}
ON_CLIENTS_OF_NODES: Faults = {
    leader_killed: 2,
    leader_frozen: 2,
    leader_asked_to_go: 2,
    connections_cut: 2,
    network_silent: 1,
    projector_killed: 1,
    relay_killed: 1,
    gateway_killed: 1,
}
"""Of the faults on services those that meet the nodes."""


async def whole(arena: Arena) -> None:
    """Wait until every node has everything: a second node may be lost only then."""
    await eventually(lambda: _check_whole(arena), _WHOLE_SECONDS)


async def _gone_for_a_while(arena: Arena, node: NatsServer) -> None:
    node.kill()
    await arena.progressed()
    await asyncio.to_thread(node.start)


async def _leader(arena: Arena, stream: str) -> NatsServer:
    async def find() -> NatsServer:
        info = await arena.cluster.nc.jetstream(timeout=2).stream_info(stream)
        assert info.cluster is not None, f"{stream} has no copies"
        return next(node for node in arena.stack.nats_nodes if node.name == info.cluster.leader)

    return await eventually(find, _WHOLE_SECONDS)


async def _check_whole(arena: Arena) -> None:
    js = arena.cluster.nc.jetstream(timeout=2)
    assert max(node.peers_online() for node in arena.stack.nats_nodes) == len(arena.stack.nats_nodes) - 1
    for stream in await js.streams_info():
        _check_copies(str(stream.config.name), stream.cluster, stream.config.num_replicas)
        for consumer in await js.consumers_info(str(stream.config.name)):
            if consumer.config.durable_name:
                _check_copies(consumer.name, consumer.cluster, stream.config.num_replicas)


def _check_copies(name: str, cluster: ClusterInfo | None, copies: int | None) -> None:
    assert cluster is not None, f"{name} has no copies"
    assert cluster.leader, f"{name} has no leader"
    current = [peer.name for peer in cluster.replicas or [] if peer.current and not peer.offline]
    assert len(current) == (copies or 1) - 1, f"{name} is whole on {cluster.leader} and {current} alone"

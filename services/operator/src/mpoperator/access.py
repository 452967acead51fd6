"""The connection that may write the log: for who puts one back, while nobody leads."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mpbus.identities import RESTORE
from nats.aio.client import Client

from mpoperator.cluster import Cluster, cluster
from mpoperator.connections import bus
from mpoperator.errors import Led, ServerGone
from mpoperator.leases import deciding_holder, holder_in_redis
from mpoperator.settings import OperatorSettings


@contextlib.asynccontextmanager
async def restoring(settings: OperatorSettings, ours: str = "") -> AsyncIterator[Client]:
    """A connection as the user that restores. Raises `Led` while anyone but `ours` holds the lease."""
    async with cluster(settings, RESTORE) as found:
        await must_not_be_led(found, ours)
    async with bus(settings.nats(RESTORE)) as nc:
        yield nc


async def must_not_be_led(cluster: Cluster, ours: str = "") -> None:
    """Raise `Led` while a kernel holds the lease: what is written beside it would not be its log.

    Raises `ServerGone` where JetStream does not say who does. Redis alone lets nobody lead: its silence is no matter.
    """
    right = await deciding_holder(cluster)
    if right.error:
        raise ServerGone(f"who holds the leader's lease is not known: {right.error}")
    for lease in (right, await holder_in_redis(cluster)):
        if lease is not None and lease.holder and lease.holder != ours:
            raise Led(f"the kernel {lease.holder} holds the lease: stop every kernel first")

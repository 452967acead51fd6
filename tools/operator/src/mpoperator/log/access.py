"""The connection that may write the log: for who puts one back, while nobody leads."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mpbus.errors import Unusable
from mpbus.streams import LEASE_STREAM, lease_stream
from mpservice.rights import RESTORE
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from mpoperator.errors import Led, NotConfigured, ServerGone
from mpoperator.log.hold import Holding, holding
from mpoperator.site.cluster import Cluster, cluster
from mpoperator.site.connections import bus
from mpoperator.site.leases import deciding_holder, holder_in_redis
from mpoperator.site.settings import OperatorSettings

HOLDER = "mpctl-puts-the-log-back"
"""The beginning of the name that the lease has meanwhile: the same in every run of every tool, so that one that was
killed can be gone on with, by itself or by another."""


@contextlib.asynccontextmanager
async def restoring(settings: OperatorSettings) -> AsyncIterator[tuple[Client, Holding]]:
    """A connection as the user that restores, and the leader's lease, held. Raises `Led` while anyone else holds it."""
    must_have_seed(settings)
    async with cluster(settings, RESTORE) as found:
        await must_not_be_led(found, HOLDER)
    async with bus(settings.nats(RESTORE)) as nc:
        await have_leases(nc, settings.replicas)
        async with holding(nc, settings.shard, HOLDER) as held:
            yield nc, held


def must_have_seed(settings: OperatorSettings) -> None:
    """Raise `NotConfigured` where the key of who restores is known and not there: it is kept offline."""
    options = settings.nats(RESTORE)
    try:
        options.client_options()
    except Unusable as error:
        path = options.nkey_seed_file
        if path is None or path.exists():
            raise NotConfigured(str(error)) from error
        raise NotConfigured(
            f"the seed of the user that restores is not at {path}: bring it back from where it is kept, or say where "
            "it is by MP_NATS_RESTORE_SEED_FILE (see context/operations/credentials.md)"
        ) from error


async def have_leases(nc: Client, replicas: int) -> None:
    """Make the stream of leases where there is none: before there is a log that a kernel could lead."""
    js = nc.jetstream(timeout=10)
    try:
        await js.stream_info(LEASE_STREAM)
    except NotFoundError:
        await js.add_stream(lease_stream(replicas))


async def must_not_be_led(cluster: Cluster, ours: str = "") -> None:
    """Raise `Led` while a kernel holds the lease: what is written beside it would not be its log.

    Raises `ServerGone` where JetStream does not say who does. Redis alone lets nobody lead: its silence is no matter.
    """
    right = await deciding_holder(cluster)
    if right.error:
        raise ServerGone(f"who holds the leader's lease is not known: {right.error}")
    for lease in (right, await holder_in_redis(cluster)):
        if lease is not None and lease.holder and not (ours and lease.holder.startswith(ours)):
            raise Led(
                f"the kernel {lease.holder} holds the lease: stop every kernel first "
                "(one whose log is gone or holds something foreign gives it back within seconds)"
            )

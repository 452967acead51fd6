"""The leader's lease held by a tool, so that no kernel leads on a log that is half there.

Nothing else stands in a kernel's way then: half a log verifies. So the lease outlives by far a tool that is killed, and
an operator has the time to see it. A tool that lives renews it, however long it works, and ends when it is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mpbus.streams import leader_lease
from mpstore.leases import LeaseUnavailable
from mpstore.leases.jetstream import JetStreamLease
from nats.aio.client import Client

from mpoperator.errors import Led, ServerGone, ToolRefused, said

LEASE_SECONDS = 3_600.0
"""Longer than an operator needs to see that the tool was cut off."""
_AGAIN_SECONDS = 1.0
_KEPT = "A run before was cut off, and no kernel leads until one ends its work, or for an hour"


class _ToolLease(JetStreamLease):
    """The lease of one run: by its name no other run has it."""

    async def take(self) -> bool:
        """Take it from whoever was seen last; not where it was changed since."""
        return await self._put(self._holder)


@dataclass
class Holding:
    """The leader's lease is ours; `changed` once the stream is not what it was, by us or by a run that was cut off."""

    lease: JetStreamLease
    changed: bool = False

    async def confirm(self) -> None:
        """Make sure that it is ours still, before what cannot be undone. Raises `Led` and `LeaseUnavailable`."""
        if not await self.lease.renew():
            raise _led(self.lease)


@contextlib.asynccontextmanager
async def holding(nc: Client, shard: str, holder: str, lease_seconds: float = LEASE_SECONDS) -> AsyncIterator[Holding]:
    """Hold the leader's lease, and end what is done meanwhile when it is lost: `Led`.

    It is not given back when the log is half there: then no kernel may lead. So it may be where a run before was cut
    off, whose lease this one takes over: only one that ends its work gives that back. `holder` is the beginning of the
    name, by which runs know each other's; the rest is this run's alone, so that one that was taken over ends.
    """
    lease = _ToolLease(nc, leader_lease(shard), f"{holder}-{secrets.token_hex(4)}", lease_seconds)
    try:
        free = await lease.free()
        taken_over = not free and lease.holder.startswith(holder)
        if not (free or taken_over) or not await lease.take():
            raise Led(f"{lease.holder} holds the lease: stop every kernel, or wait until they have halted")
        held = Holding(lease, changed=taken_over)
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(_keep(lease, lease_seconds))
                yield held
                keeping.cancel()
        except BaseException as failed:
            error = failed.exceptions[0] if isinstance(failed, BaseExceptionGroup) else failed
            if not held.changed:
                await _give_back(lease)
            if taken_over and isinstance(error, ToolRefused):
                raise ToolRefused(f"{error}. {_KEPT}") from None
            raise error from None
        await _give_back(lease)
    except LeaseUnavailable as error:
        raise ServerGone(f"the leader's lease cannot be held: {said(error)}") from error


async def _keep(lease: JetStreamLease, lease_seconds: float) -> None:
    """Renew each third of the lease. Raises `Led` when another has it, and `ServerGone` when it may have run out."""
    loop = asyncio.get_running_loop()
    until, wait = loop.time() + lease_seconds, lease_seconds / 3
    while True:
        await asyncio.sleep(wait)
        asked_at, wait = loop.time(), lease_seconds / 3
        try:
            if not await lease.renew():
                raise _led(lease)
        except LeaseUnavailable as error:
            if loop.time() > until:
                raise ServerGone(f"the leader's lease could not be renewed, and has run out: {said(error)}") from error
            wait = min(wait, _AGAIN_SECONDS)
        else:
            until = asked_at + lease_seconds


def _led(lease: JetStreamLease) -> Led:
    return Led(f"{lease.holder} took the leader's lease meanwhile: stop every kernel, then type it again")


async def _give_back(lease: JetStreamLease) -> None:
    """Look first: the last renewal may have been stored without an answer. What is another's stays."""
    await lease.free()
    await lease.release()

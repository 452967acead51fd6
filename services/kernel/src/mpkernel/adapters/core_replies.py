"""Outcomes back to their producers, over the core bus."""

import contextlib

from nats.aio.client import Client
from nats.errors import Error as NatsError


class CoreReplies:
    """The `Replies` of a cluster."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc

    async def send(self, reply_to: str, data: bytes) -> None:
        """See the port."""
        with contextlib.suppress(NatsError):  # Whoever misses its answer asks again.
            await self._nc.publish(reply_to, data)

"""Gauges of a kernel's surroundings that nobody else measures: waiting commands, and the age of the snapshot."""

import asyncio
import datetime as dt
import math

from mpbus.objects import snapshot_bucket, snapshot_object
from mpschema import subjects
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from prometheus_client import Gauge

LOOK_SECONDS = 5.0
_MESSAGES = Gauge("mp_kernel_intake_messages", "Messages of commands that wait in the command stream.")
_BYTES = Gauge("mp_kernel_intake_bytes", "Bytes of the command stream; beyond its limit commands are answered 429.")
_SNAPSHOT_AGE = Gauge("mp_kernel_snapshot_age_seconds", "Age of the newest snapshot; -1 where there is none.")


class Surroundings:
    """Looks every few seconds. What does not answer leaves the figures as they are: `mp_dependency_up` says so."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._js = nc.jetstream(timeout=2)
        self._commands = subjects.command_stream(shard)
        self._snapshot = snapshot_object(shard)

    async def look_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    @staticmethod
    def unknown() -> None:
        """Nobody looks any more: figures that stand still would pass for true ones."""
        for gauge in (_MESSAGES, _BYTES, _SNAPSHOT_AGE):
            gauge.set(math.nan)

    async def _look(self) -> None:
        try:
            state = (await self._js.stream_info(self._commands)).state
            _MESSAGES.set(state.messages)
            _BYTES.set(state.bytes)
            _SNAPSHOT_AGE.set(await self._snapshot_age())
        except (NatsError, TimeoutError):
            return  # See the class.

    async def _snapshot_age(self) -> float:
        try:
            found = await (await snapshot_bucket(self._js)).get_info(self._snapshot)
        except NotFoundError:
            return -1
        if not found.mtime:
            return -1
        made = dt.datetime.fromisoformat(found.mtime)
        return max(0.0, (dt.datetime.now(dt.UTC) - made).total_seconds())

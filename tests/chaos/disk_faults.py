"""Faults of storage: disks and limits that are reached, and room that is made again."""

import asyncio

from mpd.process import ChildProcess
from nats.js import api
from nats.js.errors import APIError

from tests.chaos.arena import Arena, Faults
from tests.support.waiting import eventually

STORE_BYTES_MAX = 768 << 20
"""The limit of JetStream's storage: more than the 512 MiB set aside for commands, and within reach."""
_BALLAST = "BALLAST"
_BALLAST_BYTES = 4 << 20
_NOTICED_SECONDS = 30.0


async def log_disk_full(arena: Arena) -> None:
    """NATS's disk is full to the last byte; nothing is answered; room is made, and the supervisor sees to the rest."""
    await _fill_log_disk(arena)
    arena.disks["nats"].free()
    await arena.healed()


async def log_disk_full_at_start(arena: Arena) -> None:
    """As before, and NATS is started again while there is no room yet."""
    await _fill_log_disk(arena)
    await asyncio.to_thread(arena.stack.nats.kill)
    await asyncio.to_thread(arena.stack.nats.start)
    await eventually(lambda: arena.stack.nats.monitor("/healthz") is None, _NOTICED_SECONDS)
    arena.disks["nats"].free()
    await arena.healed()


async def _fill_log_disk(arena: Arena) -> None:
    said = _Said(arena.stack.nats)
    arena.disks["nats"].fill()
    await eventually(lambda: said.since("no space left on device"), _NOTICED_SECONDS)
    await eventually(lambda: arena.stack.nats.monitor("/healthz") is None, _NOTICED_SECONDS)


async def database_disk_full(arena: Arena) -> None:
    """Postgres's disk is full; commands are answered all the same; room is made, and reading catches up."""
    disk, said = arena.disks["postgres"], _Said(arena.stack.postgres)
    disk.fill()
    await eventually(lambda: said.since("No space left on device"), _NOTICED_SECONDS)
    await arena.progressed()
    disk.free()
    await arena.healed()


async def log_limit_reached(arena: Arena) -> None:
    """JetStream may keep no more; commands are refused, not lost; room is made, and everything goes on."""
    js = arena.cluster.nc.jetstream(timeout=5)
    await js.add_stream(api.StreamConfig(name=_BALLAST, subjects=["ballast"]))
    await _fill_up(arena)
    said = _Said(arena.stack.nats)
    await eventually(lambda: said.since("resource limits exceeded"), _NOTICED_SECONDS)
    await js.delete_stream(_BALLAST)


async def _fill_up(arena: Arena) -> None:
    js = arena.cluster.nc.jetstream(timeout=5)
    for _ in range(2 * STORE_BYTES_MAX // _BALLAST_BYTES):
        try:
            await js.publish("ballast", bytes(_BALLAST_BYTES))
        except APIError:
            return
    raise AssertionError("the limit of the store was not reached")


class _Said:
    """The log lines of a process from now on."""

    def __init__(self, process: ChildProcess) -> None:
        self._path = process.log_path
        self._begin = self._path.stat().st_size

    def since(self, text: str) -> bool:
        """Tell whether the process has logged this text."""
        with self._path.open("rb") as log:
            log.seek(self._begin)
            return text.encode() in log.read()


ON_LIMITS: Faults = {log_limit_reached: 1}
ON_DISKS: Faults = {**ON_LIMITS, log_disk_full: 2, log_disk_full_at_start: 2, database_disk_full: 2}

"""Faults of the log itself: somebody writes into it past the kernel, and an operator restores it."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from mpbus.connect import connect
from mpbus.ingest import log_ingest
from mpd.services import concerns_of
from mpschema.system import LogRestored

from tests.chaos.arena import PATIENCE_SECONDS, Arena, Faults
from tests.support.administration import operator_environment
from tests.support.users import KERNEL
from tests.support.waiting import eventually

_MPCTL = Path(sys.executable).with_name("mpctl")
_STANDS_THERE = "a foreign message stands there"


async def foreign_message_mended(arena: Arena) -> None:
    """A message of nobody's in the log halts all who read it, and they say so. One command, and all goes on."""
    stack = arena.stack
    readers = [*stack.kernels, *stack.relays, *stack.projectors, *stack.gateways]
    stolen = await connect(stack.bus(KERNEL), "stolen")
    js = stolen.jetstream(timeout=10)
    await js.publish(await log_ingest(js, stack.shard), b"nobody of ours was me")
    await stolen.close()

    async def all_halted() -> None:
        said = await asyncio.gather(*(asyncio.to_thread(concerns_of, reader.ops_url) for reader in readers))
        silent = [reader.name for reader, each in zip(readers, said, strict=True) if _STANDS_THERE not in str(each)]
        assert not silent, f"{', '.join(silent)} do not say what stands in the log"

    await eventually(all_halted, PATIENCE_SECONDS)
    kept = stack.folder / "kept"
    mended = await asyncio.to_thread(_mend, arena, kept)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    arena.restorations += 1
    arena.cluster.load.fence_floor = await _restored_epoch(arena)
    shutil.rmtree(kept)
    await arena.progressed()

    async def nobody_halts() -> None:
        said = await asyncio.gather(*(asyncio.to_thread(concerns_of, reader.ops_url) for reader in readers))
        assert _STANDS_THERE not in str(said), said

    await eventually(nobody_halts, PATIENCE_SECONDS)


async def _restored_epoch(arena: Arena) -> int:
    log = await arena.cluster.log()
    return [commit.header.epoch for commit in log if commit.records[0].name == LogRestored.__name__][-1]


def _mend(arena: Arena, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(_MPCTL), "log", "mend", str(folder)]
    environment = operator_environment(arena.stack)
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


ON_THE_LOG: Faults = {foreign_message_mended: 1}

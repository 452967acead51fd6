"""The surroundings of each kernel of a storm: a clock that can be set, and a path to Redis that can be closed."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from mpd.ports import HOST
from mpd.services import ServiceProcess
from mpd.stack import Stack

from tests.support.proxy import Proxy
from tests.support.shifted_kernel import OFFSET_FILE

ROOT = Path(__file__).resolve().parents[2]


class Surroundings:
    """Of the kernels of a stack that has not started."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._clocks = {kernel.name: stack.folder / f"{kernel.name}.clock" for kernel in stack.kernels}
        self._ways = {kernel.name: Proxy() for kernel in stack.kernels}

    async def put_up(self) -> None:
        """Put them around the kernels."""
        for kernel in self._stack.kernels:
            kernel.command = [sys.executable, "-m", "tests.support.shifted_kernel"]
            port = await self._ways[kernel.name].start()
            kernel.environment |= {
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
                OFFSET_FILE: str(self._clocks[kernel.name]),
                "MP_REDIS_URL": f"redis://{HOST}:{port}/0",
            }
            self.set_clock([kernel], 0)
        self.open_ways(self._stack.kernels)

    def set_clock(self, kernels: Iterable[ServiceProcess], seconds: int) -> None:
        """Put their clocks forward by so many seconds; back, where it is negative; right, with 0."""
        for kernel in kernels:
            path = self._clocks[kernel.name]
            path.with_suffix(".new").write_text(str(seconds))
            path.with_suffix(".new").replace(path)

    def close_ways(self, kernels: Iterable[ServiceProcess], *, silently: bool) -> None:
        """From now on they do not reach Redis: it refuses them, or is silent."""
        for kernel in kernels:
            way = self._ways[kernel.name]
            if silently:
                way.silence()
            else:
                way.target_port = 1
                way.cut()

    def open_ways(self, kernels: Iterable[ServiceProcess]) -> None:
        """They reach Redis again."""
        for kernel in kernels:
            way = self._ways[kernel.name]
            way.target_port = self._stack.valkey.port
            way.speak()

    async def close(self) -> None:
        """Take them away."""
        for way in self._ways.values():
            await way.close()

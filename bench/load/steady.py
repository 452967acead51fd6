"""Writers that never give up on a command while the leader is taken away from them: how long does writing stop?"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise

from mpbus.connect import connect
from mpbus.errors import BusError
from mpbus.producer import CommandProducer
from mpbus.reader import LogReader
from mpschema.envelope import CommandEnvelope, Outcome

from bench.load.orders import Order, Place, Window, main
from bench.load.story import Stories

_WARM_COMMANDS = 200
_AFTER_COMMANDS = 200
_SECONDS_MAX = 60.0
_SUBMIT_SECONDS = 4.0
_AGAIN_SECONDS = 0.02
AUDIT = "audit"


class SteadyLoad:
    """Two orders: a signal by its name in `text` with the leader's process id in `count`, or the audit of the log.

    The first answers with the commands acknowledged around the signal; `p99_ms` is the longest pause between two of
    them. The second answers with all commands ever acknowledged, and in `refused` how many the log does not hold once.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stories = Stories(place.nonce)
        self._acknowledged: dict[str, int] = {}
        self._refused = 0
        self._times: list[tuple[float, int]] = []
        """The time of each acknowledgement in this order, and its command's epoch of decision."""
        self._moved = asyncio.Event()
        self._stopping = False

    async def open(self) -> None:
        """Connect."""
        self._nc = await connect(self._place.commands_url, "bench-steady", writer=True)
        self._producer = CommandProducer(self._nc, "0")
        await self._producer.start()

    async def run(self, order: Order) -> Window:
        """Do as ordered."""
        return await self._audit() if order.text == AUDIT else await self._interrupt(order)

    async def close(self) -> None:
        """Leave."""
        await self._producer.close()
        await self._nc.close()

    async def _interrupt(self, order: Order) -> Window:
        self._times, self._stopping, self._refused = [], False, 0
        began = time.monotonic()
        writers = [asyncio.create_task(self._write(slot)) for slot in range(order.in_flight)]
        async with asyncio.timeout(_SECONDS_MAX):
            await self._until(lambda: len(self._times) >= _WARM_COMMANDS)
            epoch = self._times[-1][1]
            os.kill(order.count, signal.Signals[order.text])
            at = time.monotonic()
            await self._until(lambda: self._times[-1][1] > epoch)
            enough = len(self._times) + _AFTER_COMMANDS
            await self._until(lambda: len(self._times) >= enough)
        self._stopping = True
        await asyncio.gather(*writers)
        seconds = time.monotonic() - began
        return Window(count=len(self._times), seconds=seconds, p99_ms=self._pause(at) * 1e3, refused=self._refused)

    def _pause(self, since: float) -> float:
        """The longest time without an acknowledgement that had not ended when the signal was sent, in seconds."""
        times = [at for at, _ in self._times]
        return max(after - before for before, after in pairwise(times) if after >= since)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._moved.clear()
            await self._moved.wait()

    async def _write(self, slot: int) -> None:
        while not self._stopping:
            outcome = await self._insist(self._stories.next(slot).envelope())
            self._times.append((time.monotonic(), outcome.epoch))
            self._refused += not outcome.accepted
            self._acknowledged[outcome.command_id] = outcome.first_seq
            self._moved.set()

    async def _insist(self, envelope: CommandEnvelope) -> Outcome:
        while True:
            try:
                return await self._producer.submit(envelope, timeout_seconds=_SUBMIT_SECONDS)
            except BusError:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _audit(self) -> Window:
        """Read the whole log, verified, and look for every acknowledged command at the place it was given."""
        began, reader, found, wrong = time.monotonic(), LogReader(self._nc, "0"), set[str](), 0
        head = await reader.head()
        async for commits in reader.follow():
            for record in (record for commit in commits for record in commit.records if record.digest is not None):
                expected = self._acknowledged.get(record.command_id)
                if expected is not None:
                    wrong += record.command_id in found or record.seq != expected
                    found.add(record.command_id)
            if commits[-1].stream_seq >= head.stream_seq:
                break
        wrong += len(self._acknowledged) - len(found)
        return Window(count=len(self._acknowledged), seconds=time.monotonic() - began, refused=wrong)


if __name__ == "__main__":
    main(SteadyLoad)

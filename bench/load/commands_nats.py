"""Load over NATS: the mix of commands through one command producer, as any service would send them."""

import asyncio
import time

from mpbus.connect import connect
from mpbus.producer import CommandProducer

from bench.load.orders import Order, Place, Window, closed_loop, main
from bench.load.story import Stories, creations

MARK_SECONDS = 0.01
_MAKERS = 256


class NatsLoad:
    """Commands in a closed loop; `text` "create" makes `count` tasks instead of the mix."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stories = Stories(place.nonce)

    async def open(self) -> None:
        """Connect."""
        self._nc = await connect(self._place.commands_url, "bench-load", writer=True)
        self._producer = CommandProducer(self._nc, "0")
        await self._producer.start()

    async def run(self, order: Order) -> Window:
        """A closed loop, with marks of what was acknowledged when, or a number of new tasks."""
        if order.count:
            return await self._create(order.count)
        marks: list[tuple[int, float]] = []
        next_mark = 0.0

        async def act(slot: int) -> bool:
            nonlocal next_mark
            outcome = await self._producer.submit(self._stories.next(slot).envelope())
            now = time.monotonic()
            if now >= next_mark:
                marks.append((outcome.last_seq, now))
                next_mark = now + MARK_SECONDS
            return outcome.accepted

        window = await closed_loop(order, act)
        window.marks = marks
        return window

    async def close(self) -> None:
        """Leave."""
        await self._producer.close()
        await self._nc.close()

    async def _create(self, count: int) -> Window:
        began = time.perf_counter()
        left = count
        refused = 0

        async def maker(slot: int) -> None:
            nonlocal left, refused
            for step in creations(self._place.nonce, slot):
                if left <= 0:
                    return
                left -= 1
                refused += not (await self._producer.submit(step.envelope())).accepted

        await asyncio.gather(*(maker(slot) for slot in range(_MAKERS)))
        return Window(count=count, seconds=time.perf_counter() - began, refused=refused)


if __name__ == "__main__":
    main(NatsLoad)

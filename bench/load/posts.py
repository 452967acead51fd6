"""Events for the clients of event streams: posts to a channel through the kernel, or bare frames to a bare server."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from mpbus.connect import connect
from mpbus.producer import CommandProducer
from mpschema import channel, codec

from bench.load.orders import Order, Place, Window, main
from bench.load.story import Step, channel_of
from bench.load.streams import MARK
from bench.load.wire import Connection, request

IN_FLIGHT = 64
PACK_FRAMES = 64
_WORDS = "Claimed; I begin with the test that shows it. " * 3


class Posts:
    """`count` posts: all at once with 64 in flight, or `rate` a second. A `text` is a frame for a bare server."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> None:
        """Connect to both."""
        self._nc = await connect(self._place.commands_url, "bench-posts", writer=True)
        self._producer = CommandProducer(self._nc, "0")
        await self._producer.start()

    async def run(self, order: Order) -> Window:
        """Send, and wait for the answers."""
        began = time.perf_counter()
        if order.text:
            await self._bare(order)
        elif order.rate:
            await _paced(order, self._post)
        else:
            await self._burst(order.count)
        return Window(count=order.count, seconds=time.perf_counter() - began)

    async def close(self) -> None:
        """Leave."""
        await self._producer.close()
        await self._nc.close()

    async def _post(self) -> None:
        body = f"{MARK.decode()}{time.monotonic_ns()} {_WORDS}"
        arguments = channel.PostMessage(kind="status", body=body)
        step = Step("channel.post", channel_of(0), codec.encode(arguments))
        outcome = await self._producer.submit(step.envelope())
        assert outcome.accepted, outcome.detail

    async def _burst(self, count: int) -> None:
        left = iter(range(count))

        async def slot() -> None:
            for _ in left:
                await self._post()

        await asyncio.gather(*(slot() for _ in range(IN_FLIGHT)))

    async def _bare(self, order: Order) -> None:
        connection = await Connection.open(self._place.http_port)
        head, _, rest = order.text.partition(MARK.decode())
        rest = rest.lstrip("0123456789")

        async def push(frames: int = 1) -> None:
            frame = f"{head}{MARK.decode()}{time.monotonic_ns()}{rest}".encode()
            status, _ = await connection.ask(request("/frames", frame * frames, "text/event-stream", ""))
            assert status == 200, status

        if order.rate:
            await _paced(order, push)
        else:
            for start in range(0, order.count, PACK_FRAMES):
                await push(min(PACK_FRAMES, order.count - start))
        connection.close()


async def _paced(order: Order, send: Callable[[], Awaitable[None]]) -> None:
    """Send at even intervals, whether or not the one before took long."""
    began = time.monotonic()
    for number in range(order.count):
        await asyncio.sleep(max(0.0, began + number / order.rate - time.monotonic()))
        await send()


if __name__ == "__main__":
    main(Posts)

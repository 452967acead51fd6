"""Baseline: the bare client library takes every message of the log off the wire and looks into none."""

import asyncio
import time

from mpbus.connect import connect
from mpschema.subjects import log_stream
from nats.aio.msg import Msg
from nats.js import api

from bench.load.orders import Order, Place, Window, main


class Drain:
    """Receives the whole log by a push consumer, each time from the start."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> None:
        """Connect."""
        self._nc = await connect(self._place.nats_url, "bench-drain")
        self._js = self._nc.jetstream(timeout=10)

    async def run(self, order: Order) -> Window:
        """All messages there are; they hold `count` events."""
        stream = log_stream("0")
        messages = (await self._js.stream_info(stream)).state.messages
        finished = asyncio.Event()
        left = messages
        read = 0

        async def take(msg: Msg) -> None:
            nonlocal left, read
            left -= 1
            read += len(msg.data)
            if left == 0:
                finished.set()

        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(
            inbox, cb=take, pending_msgs_limit=messages + 1, pending_bytes_limit=1 << 31
        )
        began = time.perf_counter()
        consumer = await self._js.add_consumer(
            stream,
            api.ConsumerConfig(deliver_subject=inbox, ack_policy=api.AckPolicy.NONE, mem_storage=True),
        )
        await finished.wait()
        seconds = time.perf_counter() - began
        await subscription.unsubscribe()
        await self._js.delete_consumer(stream, consumer.name)
        return Window(count=order.count, seconds=seconds, bytes=read)

    async def close(self) -> None:
        """Leave."""
        await self._nc.close()


if __name__ == "__main__":
    main(Drain)

"""Baseline: bare durable JetStream publishes of the same bytes, one message a command, each one awaited."""

from mpbus.connect import connect
from mpschema import codec
from nats.js import api

from bench.load.orders import Order, Place, Window, closed_loop, main
from bench.load.story import Stories

STREAM = "BENCH_BARE"
SUBJECT = "bench.bare"


class BarePublishes:
    """The envelopes of the mix, published and acknowledged, decided by nobody."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stories = Stories(place.nonce)

    async def open(self) -> None:
        """Connect, and make a stream on disk beside ours."""
        self._nc = await connect(self._place.nats_url, "bench-bare", writer=True)
        self._js = self._nc.jetstream()
        await self._js.add_stream(api.StreamConfig(name=STREAM, subjects=[SUBJECT], storage=api.StorageType.FILE))

    async def run(self, order: Order) -> Window:
        """A closed loop of publishes."""

        async def act(slot: int) -> bool:
            ack = await self._js.publish(SUBJECT, codec.encode(self._stories.next(slot).envelope()))
            return not ack.duplicate

        return await closed_loop(order, act)

    async def close(self) -> None:
        """Leave."""
        await self._nc.close()


if __name__ == "__main__":
    main(BarePublishes)

"""Baseline: the mix of commands, each a transaction in PostgreSQL with an optimistic version check."""

from mpbus.ids import new_command_id

from bench.baselines.occ import Occ
from bench.load.orders import Order, Place, Window, closed_loop, main
from bench.load.story import PRINCIPAL, Stories


class Transactions:
    """Commands handled in this process, on a pool of connections."""

    def __init__(self, place: Place) -> None:
        self._occ = Occ(place.postgres_dsn)
        self._stories = Stories(place.nonce)

    async def open(self) -> None:
        """Connect."""
        await self._occ.open()

    async def run(self, order: Order) -> Window:
        """A closed loop of transactions."""

        async def act(slot: int) -> bool:
            step = self._stories.next(slot)
            version = await self._occ.handle(new_command_id(), step.type, step.target, PRINCIPAL, step.payload.decode())
            return version is not None

        return await closed_loop(order, act)

    async def close(self) -> None:
        """Leave."""
        await self._occ.close()


if __name__ == "__main__":
    main(Transactions)

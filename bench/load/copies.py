"""Baseline: asyncpg copies the bytes of every event of the log into one table, in transactions as large as ours."""

import time

import asyncpg
from mpbus.connect import connect
from mpbus.reader import LogReader

from bench.load.orders import Order, Place, Window, main

BATCH_ROWS = 8_000
_TABLE = """
DROP TABLE IF EXISTS public.bench_copy;
CREATE TABLE public.bench_copy (seq bigint PRIMARY KEY, line text NOT NULL);
"""


class Copies:
    """Reads the log once into memory; each order copies it into an empty table."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rows: list[tuple[int, str]] = []

    async def open(self) -> None:
        """Connect, and read the log."""
        self._postgres = await asyncpg.connect(self._place.postgres_dsn)
        nc = await connect(self._place.nats_url, "bench-copies")
        reader = LogReader(nc, "0")
        head = await reader.head()
        async for commits in reader.follow():
            for commit in commits:
                lines = enumerate(commit.lines, commit.header.first_seq)
                self._rows.extend((seq, line.decode()) for seq, line in lines)
            if len(self._rows) >= head.seq:
                break
        await nc.close()

    async def run(self, order: Order) -> Window:  # noqa: ARG002 - everything is copied, whatever the order says
        """All rows, by COPY."""
        await self._postgres.execute(_TABLE)
        began = time.perf_counter()
        for start in range(0, len(self._rows), BATCH_ROWS):
            rows = self._rows[start : start + BATCH_ROWS]
            await self._postgres.copy_records_to_table("bench_copy", records=rows, schema_name="public")
        return Window(count=len(self._rows), seconds=time.perf_counter() - began)

    async def close(self) -> None:
        """Leave."""
        await self._postgres.close()


if __name__ == "__main__":
    main(Copies)

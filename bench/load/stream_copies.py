"""Baseline: asyncpg reads the log, verified, and copies every event's bytes into one table as they come."""

import time

import asyncpg
from mpbus.connect import connect
from mpbus.reader import LogReader

from bench.load.orders import Order, Place, Window, main

BATCH_ROWS = 8_000
_TABLE = """
DROP TABLE IF EXISTS public.bench_stream_copy;
CREATE TABLE public.bench_stream_copy (seq bigint PRIMARY KEY, line text NOT NULL);
"""


class StreamCopies:
    """Each order reads the log up to event `count` into an empty table."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> None:
        """Connect."""
        self._postgres = await asyncpg.connect(self._place.postgres_dsn)
        self._nc = await connect(self._place.nats_url, "bench-stream-copies")

    async def run(self, order: Order) -> Window:
        """All events, batch by batch."""
        await self._postgres.execute(_TABLE)
        rows: list[tuple[int, str]] = []
        copied = 0
        began = time.perf_counter()
        async for commits in LogReader(self._nc, "0").follow():
            for commit in commits:
                lines = enumerate(commit.lines, commit.header.first_seq)
                rows.extend((seq, line.decode()) for seq, line in lines)
            if len(rows) >= BATCH_ROWS or copied + len(rows) >= order.count:
                await self._postgres.copy_records_to_table("bench_stream_copy", records=rows, schema_name="public")
                copied += len(rows)
                rows.clear()
            if copied >= order.count:
                return Window(count=copied, seconds=time.perf_counter() - began)
        raise AssertionError("a log is followed for ever")

    async def close(self) -> None:
        """Leave."""
        await self._postgres.close()
        await self._nc.close()


if __name__ == "__main__":
    main(StreamCopies)

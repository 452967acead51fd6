"""The ring of recent commits and what one client gets out of it: nothing left out, nothing twice."""

from __future__ import annotations

import asyncio
from typing import cast

from mpbus.reader import Commit, LogReader
from mpgateway.streaming.cursor import START, Cursor
from mpgateway.streaming.feed import CHUNK_BYTES, Bye, Delivery, Feed, Resync, Step, Steps
from mpgateway.streaming.ring import ANY, Ring
from mpgateway.streaming.shares import Who
from mpschema import codec
from mpschema.envelope import CommitHeader
from mpschema.registry import record_of
from mpschema.task import TaskReady

NO_LOG = cast("LogReader", None)
"""These tests stay inside the ring; reading the log is the business of the tests of the event stream."""


class Log:
    """Makes commits, one after the other, each with events of the workspaces it is told."""

    def __init__(self) -> None:
        self.seq = 0

    def commit(self, *workspaces: str, epoch: int = 1) -> Commit:
        header = CommitHeader(
            epoch=epoch,
            first_seq=self.seq + 1,
            count=len(workspaces),
            time_ms=0,
            previous_hash=codec.GENESIS_HASH,
            command_position=0,
        )
        records = []
        for workspace in workspaces:
            self.seq += 1
            envelope = {"workspace_id": workspace, "aggregate_id": "t", "version": 1, "actor": "user:root"}
            records.append(record_of(TaskReady(), seq=self.seq, id="c:0", time_ms=0, epoch=epoch, **envelope))
        data = codec.encode_commit(header, records)
        return Commit(self.seq, "mp.v1.log.0", data, "h" * 64, *codec.split_commit(data))


async def _next(steps: Steps) -> Step:
    return await asyncio.wait_for(anext(steps), 30)


def _seqs(step: Step) -> list[int]:
    assert isinstance(step, Delivery)
    return [frame.record.seq for frame in step.frames]


async def test_a_client_begins_with_a_cursor_and_gets_what_comes() -> None:
    log, ring = Log(), Ring(1 << 20)
    ring.extend([log.commit("a", "b")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    assert await _next(steps) == Delivery(Cursor(1, 2))
    ring.extend([log.commit("a", "b", "a"), log.commit("a")])
    assert _seqs(await _next(steps)) == [3, 5, 6]


async def test_a_cursor_in_the_middle_of_a_commit_goes_on_after_it() -> None:
    log, ring = Log(), Ring(1 << 20)
    ring.extend([log.commit("a"), log.commit("a", "a", "a")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, Cursor(1, 2))
    await _next(steps)
    assert _seqs(await _next(steps)) == [3, 4]


async def test_a_cursor_of_another_epoch_is_not_of_this_log() -> None:
    log, ring = Log(), Ring(1 << 20)
    ring.extend([log.commit("a", epoch=2)])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, Cursor(1, 1))
    await _next(steps)
    assert await _next(steps) == Resync("epoch", Cursor(2, 1))


async def test_who_falls_out_of_the_ring_is_told_goodbye() -> None:
    log, ring = Log(), Ring(2_000)
    ring.extend([log.commit("a")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    await _next(steps)
    ring.extend([log.commit("a") for _ in range(3)])
    assert _seqs(await _next(steps)) == [2, 3, 4]
    ring.extend([log.commit("a") for _ in range(50)])
    assert await _next(steps) == Bye("slow")


async def test_who_had_nothing_to_miss_does_not_fall_out() -> None:
    log, ring = Log(), Ring(2_000)
    ring.extend([log.commit("a"), log.commit("b")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    await _next(steps)
    waiting = asyncio.ensure_future(anext(steps))
    await asyncio.sleep(0)
    ring.extend([log.commit("b") for _ in range(50)])
    assert not waiting.done()
    ring.extend([log.commit("a")])
    assert _seqs(await waiting) == [53]


async def test_a_tick_moves_the_cursor_of_who_had_nothing() -> None:
    log, ring = Log(), Ring(1 << 20)
    ring.extend([log.commit("a"), log.commit("b")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    await _next(steps)
    waiting = asyncio.ensure_future(anext(steps))
    await asyncio.sleep(0)
    ring.extend([log.commit("b")])
    ring.tick()
    assert await waiting == Delivery(Cursor(1, 3))


async def test_what_comes_while_a_client_writes_is_not_missed() -> None:
    log, ring = Log(), Ring(1 << 20)
    ring.extend([log.commit("a")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    await _next(steps)
    for expected in range(2, 30):
        ring.extend([log.commit("a")])
        assert _seqs(await _next(steps)) == [expected]


async def test_large_commits_are_written_in_parts() -> None:
    log, ring = Log(), Ring(1 << 24)
    ring.extend([log.commit("a")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    await _next(steps)
    ring.extend([log.commit(*["a"] * 1_200)])
    parts = [cast("Delivery", await _next(steps))]
    while parts[-1].cursor.seq < 1_201:
        parts.append(cast("Delivery", await _next(steps)))
    assert len(parts) > 1
    assert sum(len(part.frames) for part in parts) == 1_200
    assert max(sum(len(frame.sse) for frame in part.frames) for part in parts) <= CHUNK_BYTES


async def test_the_end_is_told_to_who_waits() -> None:
    log, ring = Log(), Ring(1 << 20)
    ring.extend([log.commit("a")])
    steps = Feed(ring, NO_LOG).follow(Who("a", "user:root"), None, None)
    await _next(steps)
    waiting = asyncio.ensure_future(anext(steps))
    await asyncio.sleep(0)
    ring.end("shutdown")
    while isinstance(step := await waiting, Delivery):
        waiting = asyncio.ensure_future(anext(steps))
    assert step == Bye("shutdown")


async def test_the_ring_keeps_the_newest_within_its_bytes() -> None:
    log, ring = Log(), Ring(2_000)
    ring.extend([log.commit("a") for _ in range(50)])
    assert ring.index_of(1) is None
    assert ring.index_of(50) == 49
    assert ring.cursor == Cursor(1, 50)


async def test_waiters_for_anything_are_woken_by_any_commit() -> None:
    log, ring = Log(), Ring(1 << 20)
    waiting = asyncio.ensure_future(ring.changed(ANY))
    await asyncio.sleep(0)
    ring.extend([log.commit("b")])
    await asyncio.wait_for(waiting, 30)


def test_cursors_are_read_as_they_are_written() -> None:
    assert Cursor.parse("3:1042") == Cursor(3, 1_042)
    assert str(Cursor(3, 1_042)) == "3:1042"
    assert Cursor.parse("7:0") == START
    assert [Cursor.parse(text) for text in ("", "3", "3:", ":3", "a:b", "-1:3", "3:1042\n")] == [None] * 7

"""The leader's lease in the hands of a tool: kept as long as it works, and its work ends when it is lost."""

from __future__ import annotations

import asyncio

import pytest
from mpbus.streams import LEASE_STREAM, provision
from mpd.servers import NatsServer
from mpoperator.errors import Led, ToolRefused
from mpoperator.log.hold import holding
from mpschema import subjects
from mpstore.leases.jetstream import JetStreamLease
from nats.aio.client import Client

from tests.support.waiting import eventually
from tools.operator.tests.proving import on_bus

TTL = 3.0


async def _sequence(nc: Client) -> int:
    last = await nc.jetstream().get_last_msg(LEASE_STREAM, subjects.lease_subject("kernel-0"))
    return int(last.seq or 0)


def test_the_lease_is_renewed_for_as_long_as_the_work_lasts_and_given_back(empty_nats: NatsServer) -> None:
    async def run(nc: Client) -> None:
        await provision(nc, "0", 1)
        other = JetStreamLease(nc, "kernel-0", "kernel-1", TTL)
        async with holding(nc, "0", "tool", TTL):
            first = await _sequence(nc)

            async def renewed() -> bool:
                return await _sequence(nc) >= first + 4  # More than one lifetime.

            await eventually(renewed)
            assert not await other.acquire()
        assert await other.acquire()

    on_bus(empty_nats.url, run)


def test_work_ends_when_the_lease_is_anothers_and_that_one_keeps_it(empty_nats: NatsServer) -> None:
    async def run(nc: Client) -> None:
        await provision(nc, "0", 1)
        other = JetStreamLease(nc, "kernel-0", "kernel-1", 600)

        async def work() -> None:
            async with asyncio.timeout(30), holding(nc, "0", "tool", TTL):
                await nc.jetstream().purge_stream(LEASE_STREAM)
                assert await other.acquire()
                await asyncio.Event().wait()

        with pytest.raises(Led, match="kernel-1 took"):
            await work()
        assert await other.renew()
        assert not await JetStreamLease(nc, "kernel-0", "tool", TTL).acquire()

    on_bus(empty_nats.url, run)


def test_a_half_made_log_stays_without_a_leader(empty_nats: NatsServer) -> None:
    async def broken_off(nc: Client, *, changed: bool) -> None:
        async with holding(nc, "0", "tool") as held:
            held.changed = changed
            raise OSError("the disk is full")

    async def run(nc: Client) -> None:
        await provision(nc, "0", 1)
        other = JetStreamLease(nc, "kernel-0", "kernel-1", TTL)
        for changed in (True, False):
            with pytest.raises(OSError, match="disk"):
                await broken_off(nc, changed=changed)
            assert await other.acquire() is not changed

    on_bus(empty_nats.url, run)


def test_what_is_refused_after_a_run_was_cut_off_lets_no_kernel_lead(empty_nats: NatsServer) -> None:
    async def refused(nc: Client) -> None:
        async with holding(nc, "0", "tool"):
            raise ToolRefused("another folder")

    async def ended(nc: Client) -> None:
        async with holding(nc, "0", "tool"):
            pass

    async def run(nc: Client) -> None:
        await provision(nc, "0", 1)
        other = JetStreamLease(nc, "kernel-0", "kernel-1", TTL)
        assert await JetStreamLease(nc, "kernel-0", "tool", 600).acquire()  # And then it was killed.
        for _ in range(2):
            with pytest.raises(ToolRefused, match=r"another folder\. A run before was cut off"):
                await refused(nc)
            assert not await other.acquire()
        await ended(nc)
        assert await other.acquire()

    on_bus(empty_nats.url, run)


def test_a_run_that_was_taken_over_ends_and_leaves_the_lease_to_the_other(empty_nats: NatsServer) -> None:
    async def both(nc: Client) -> None:
        async with holding(nc, "0", "tool") as first:
            async with holding(nc, "0", "tool") as second:
                await second.confirm()
                with pytest.raises(Led, match=r"tool-.* took"):
                    await first.confirm()
                await second.confirm()
            await first.confirm()

    async def run(nc: Client) -> None:
        await provision(nc, "0", 1)
        await both(nc)
        assert await JetStreamLease(nc, "kernel-0", "kernel-1", TTL).acquire()

    on_bus(empty_nats.url, run)

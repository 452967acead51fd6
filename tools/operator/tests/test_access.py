"""Nobody writes a log while it is led, or may be led; and the password of the owner may be a file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis.asyncio as redis
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpoperator.errors import ServerGone, ToolRefused
from mpoperator.log.access import must_not_be_led
from mpoperator.site.cluster import cluster
from mpoperator.site.settings import OperatorSettings
from mpstore.leases.jetstream import JetStreamLease
from mpstore.leases.redis import RedisLease

from tools.operator.tests.proving import PROVED, Log

SHARD = "led"


def _settings(server: NatsServer, redis_url: str | None = None) -> OperatorSettings:
    return OperatorSettings(nats_url=server.url, shard=SHARD, redis_url=redis_url)


async def test_a_log_whose_lease_cannot_be_read_is_left_alone(empty_nats: NatsServer) -> None:
    async with cluster(_settings(empty_nats)) as found:
        await must_not_be_led(found)
        empty_nats.pause()
        try:
            with pytest.raises(ServerGone, match="who holds the leader's lease is not known"):
                await must_not_be_led(found)
        finally:
            empty_nats.resume()


async def test_without_nats_nobody_says_that_nobody_leads(empty_nats: NatsServer, redis_url: str) -> None:
    empty_nats.kill()
    async with cluster(_settings(empty_nats, redis_url)) as found:
        with pytest.raises(ServerGone, match="not known: NATS is away"):
            await must_not_be_led(found)


async def test_a_kernel_that_holds_a_lease_is_named_and_what_kernels_take_for_none_is_none(
    empty_nats: NatsServer, redis_url: str
) -> None:
    name, client = f"kernel-{SHARD}", redis.Redis.from_url(redis_url)
    async with cluster(_settings(empty_nats, redis_url)) as found:
        assert found.nc is not None
        await client.set(f"mp:lease:{name}", "somebody without end")
        await must_not_be_led(found)
        turn = RedisLease(client, name, "kernel-1", 60)
        assert await turn.acquire()
        with pytest.raises(ToolRefused, match="kernel-1 holds the lease"):
            await must_not_be_led(found)
        await turn.release()
        await provision(found.nc, "0")
        assert await JetStreamLease(found.nc, name, "kernel-2", 60).acquire()
        with pytest.raises(ToolRefused, match="kernel-2 holds the lease"):
            await must_not_be_led(found)
        await must_not_be_led(found, "kernel-2")
    await client.aclose()


def test_the_owners_password_may_stand_in_a_file(log: Log, tmp_path: Path) -> None:
    dsn, password = log.stack.postgres.dsn(), tmp_path / "password"
    password.write_text(log.stack.postgres.passwords["mp_owner"])
    named = {
        "MP_POSTGRES_OWNER_DSN": dsn.replace(f":{password.read_text()}@", "@"),
        "MP_POSTGRES_PASSWORD_FILE": str(password),
    }
    assert named["MP_POSTGRES_OWNER_DSN"] != dsn
    ran = log.mpctl("projection", "builds", "--json", **named)
    assert ran.code == PROVED, ran.out + ran.err


PAGES = Path(__file__).parents[3] / "context" / "operations"


@pytest.mark.parametrize("page", ["feed-users.md", "credentials.md"])
def test_commands_that_the_pages_show_for_a_machine_with_mpd_reach_its_nats(log: Log, page: str) -> None:
    shown = re.findall(r"^    home=.*\n    MP_NATS_URL=.*$", (PAGES / page).read_text(), re.MULTILINE)
    assert len(shown) == 1
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    environment |= {"MP_HOME": str(log.home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-c", shown[0]], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

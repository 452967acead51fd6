"""Connections: a refusal is an error at once, an unknown user is tried again, and no log line holds a secret."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import nkeys
import pytest
import structlog
from mpbus.accounts import STREAMS_ACCOUNT, Entry, server_accounts
from mpbus.acked import AckedPublisher
from mpbus.connect import connect
from mpbus.errors import PermissionsViolation, Unusable
from mpbus.options import NatsOptions, redacted
from mpbus.producer import CommandProducer
from mpd.servers import NatsServer

from libs.mpbus.tests.test_producer import command
from tests.support.waiting import eventually

ALLOWED = ("_INBOX.probe.>",)


def key_pair(folder: Path, name: str) -> tuple[Path, str]:
    """A seed in a file, and its public key."""
    pair = nkeys.from_seed(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))
    path = folder / f"{name}.seed"
    path.write_text(pair.seed.decode() + "\n")
    return path, pair.public_key.decode()


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[NatsServer, NatsOptions]]:
    seed, public = key_pair(tmp_path, "probe")
    server = NatsServer(tmp_path / "nats", accounts=known(public))
    await asyncio.to_thread(server.start)
    yield server, NatsOptions(server.url, "probe", nkey_seed_file=seed)
    server.kill()


async def test_a_request_that_is_refused_says_so_at_once(guarded: tuple[NatsServer, NatsOptions]) -> None:
    nc = await connect(guarded[1], "test")
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(
            PermissionsViolation, match=r"NATS refuses this user probe: publish to \$js.api.info; see .*credentials"
        ):
            await nc.request("$JS.API.INFO", b"", timeout=60)
        with pytest.raises(PermissionsViolation):
            await nc.jetstream(timeout=60).account_info()
    assert {(line["event"], line["log_level"]) for line in lines} == {("nats.denied", "error")}
    await nc.close()


async def test_a_publish_that_is_refused_says_so_at_once(guarded: tuple[NatsServer, NatsOptions]) -> None:
    nc = await connect(guarded[1], "test")
    publisher = AckedPublisher(nc, 60)
    for _ in range(2):
        with pytest.raises(PermissionsViolation, match=r"publish to mp\.v1\.log\.0"):
            await publisher.publish("mp.v1.log.0", b"x", {})
    await nc.close()


async def test_a_command_that_is_refused_says_so_at_once(guarded: tuple[NatsServer, NatsOptions]) -> None:
    nc = await connect(guarded[1], "test")
    producer = CommandProducer(nc, "0", user="probe")
    await producer.start()
    for _ in range(2):
        with pytest.raises(PermissionsViolation, match=r"publish to mp\.v1\.cmd\.0"):
            await producer.submit(command(), timeout_seconds=10)
        with pytest.raises(PermissionsViolation, match=r"publish to mp\.v1\.cmd\.0"):
            await producer.enqueue(command())
    await producer.close()
    await nc.close()


async def test_a_connection_knows_since_when_it_is_lost(guarded: tuple[NatsServer, NatsOptions]) -> None:
    server, options = guarded
    nc, before = await connect(options, "test"), time.monotonic()
    assert nc.lost_at is None
    await asyncio.to_thread(server.kill)
    await eventually(lambda: nc.lost_at is not None)
    lost_at = nc.lost_at
    assert lost_at is not None
    assert before < lost_at < time.monotonic()
    await asyncio.to_thread(server.start)
    await eventually(lambda: nc.is_connected and nc.lost_at is None)
    await nc.close()


async def test_what_the_client_library_reports_is_said_once_in_a_while_and_not_remembered(
    guarded: tuple[NatsServer, NatsOptions],
) -> None:
    nc = await connect(guarded[1], "test")
    with structlog.testing.capture_logs() as lines:
        for number in range(1_000):
            await nc.reported(RuntimeError(f"slow consumer, subscription {number}"))
    assert [(line["event"], line["reason"]) for line in lines] == [("nats.error", "slow consumer, subscription 0")]
    await nc.close()


async def test_who_is_not_known_tries_on_and_comes_in_once_known(
    guarded: tuple[NatsServer, NatsOptions], tmp_path: Path
) -> None:
    server, options = guarded
    other, public = key_pair(tmp_path, "other")
    with structlog.testing.capture_logs() as lines:
        coming = asyncio.create_task(connect(replace(options, nkey_seed_file=other), "test"))
        await eventually(lambda: any("refuses the credential of" in str(line.get("reason")) for line in lines))
        assert not coming.done()
        server.accounts = known(public)
        await asyncio.to_thread(server.restart)
        nc = await asyncio.wait_for(coming, 60)
    await nc.close()


async def test_who_is_forgotten_while_connected_comes_back_once_known_again(
    guarded: tuple[NatsServer, NatsOptions],
) -> None:
    server, options = guarded
    nc = await connect(options, "test")
    before, (_, public) = server.accounts, key_pair(server.folder, "stranger")
    await reload(server, known(public))
    await eventually(lambda: not nc.is_connected)
    assert not nc.is_closed
    await reload(server, before)
    await eventually(lambda: nc.is_connected)
    await nc.close()


def known(public: str) -> str:
    """The configuration that lets one user in."""
    return server_accounts([Entry(STREAMS_ACCOUNT, public, ("allowed",), tuple(ALLOWED))])


async def reload(server: NatsServer, accounts: str) -> None:
    server.accounts = accounts
    await asyncio.to_thread(server.reload)


@pytest.mark.parametrize("content", [None, "", "not a seed"])
async def test_a_credential_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "seed"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unusable, match=str(path)):
        await connect(NatsOptions("nats://127.0.0.1:1", "probe", nkey_seed_file=path), "test")


def test_an_address_is_shown_without_what_stands_before_it() -> None:
    assert redacted("nats://mp:pass/word@a:1,nats://t@b:2").count("***") == 2
    assert "word" not in redacted("nats://mp:pass/w#ord@a:1")
    assert redacted("nats://a:1,nats://b:2") == "nats://a:1,nats://b:2"

"""A fresh installation for one group of rows: real servers and, one by one, the services that the group needs."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mpbus.accounts import STREAMS_ACCOUNT
from mpbus.connect import connect
from mpbus.producer import CommandProducer
from mpbus.reader import LogPosition, LogReader
from mpd.process import ChildProcess, ServerFailed
from mpd.stack import Stack
from mpgateway.spec import SERVICE as GATEWAY_SERVICE
from mpschema.envelope import EventRecord
from mpschema.subjects import command_stream, log_stream
from mpschema.system import CommandRejected
from mpservice.users import account_of

from bench.baselines import occ
from bench.load.orders import Place
from bench.load.story import SLOTS_MAX, channel_of, found

# One principal makes the whole load of many: its rate limit must not be what we measure.
SETTINGS = {"gateway": {"MP_RATE_LIMIT_PER_SECOND": "1000000", "MP_RATE_LIMIT_BURST": "1000000"}}

START_ATTEMPTS = 3

_BENCH, _PASSWORD = "bench", secrets.token_hex(16)


class Site:
    """Servers and services below one temporary folder."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._nonces = 0

    @property
    def postgres_dsn(self) -> str:
        """PostgreSQL as its owner, over a unix socket: the fastest way there is."""
        return _socket_dsn(self.stack)

    @property
    def nats_url(self) -> str:
        """NATS as a user who may do everything: what is measured includes that the server looks at permissions."""
        return self._nats_as(_BENCH)

    @property
    def commands_url(self) -> str:
        """NATS as a user in the gateway's account: a command comes from there into that of the streams."""
        return self._nats_as(GATEWAY_SERVICE.name)

    def _nats_as(self, user: str) -> str:
        return ",".join(node.url.replace("//", f"//{user}:{_PASSWORD}@") for node in self.stack.nats_nodes)

    def place(self) -> Place:
        """Return the addresses of this site for a bench process; each call makes other ids."""
        self._nonces += 1
        return Place(
            nats_url=self.nats_url,
            commands_url=self.commands_url,
            postgres_dsn=self.postgres_dsn,
            http_port=self.stack.gateways[0].port,
            api_key=self.stack.root_key,
            nonce=f"n{self._nonces}",
        )

    def place_at(self, http_port: int) -> Place:
        """The same, with another HTTP server than the gateway."""
        place = self.place()
        place.http_port = http_port
        return place

    def start(self, *names: str) -> None:
        """Start services by name: kernel-1, projector-1, gateway-1."""
        for name in names:
            self.stack.process(name).start()

    def stop(self, *names: str) -> None:
        """Stop services by name."""
        for name in names:
            self.stack.process(name).stop()

    def pids(self, *names: str, **more: int) -> Mapping[str, int]:
        """Process ids by name, shortened to the kind; `more` are processes of the bench itself."""
        return {name.partition("-")[0]: self.stack.process(name).pid for name in names} | more

    def found(self) -> None:
        """Make the workspace that the mix of commands works in."""
        asyncio.run(self._found())

    def head(self) -> LogPosition:
        """The end of the log."""
        return asyncio.run(self._head())

    def messages(self) -> tuple[int, int]:
        """Return the numbers of messages that the command stream and the log have had."""
        return asyncio.run(self._messages())

    def outcomes_after(self, after: LogPosition) -> int:
        """Count the commands with accepted events in the log after a position. Verifies the chain."""
        return asyncio.run(self._outcomes_after(after))

    def prepare_baseline(self) -> None:
        """Make the tables of the Postgres baseline."""
        asyncio.run(occ.prepare(self.postgres_dsn, [channel_of(slot) for slot in range(SLOTS_MAX)]))

    def baseline_events(self) -> int:
        """Return the number of events the Postgres baseline stored."""
        return asyncio.run(occ.stored_events(self.postgres_dsn))

    async def _found(self) -> None:
        nc = await connect(self.nats_url, "bench", writer=True)
        producer = CommandProducer(nc, "0")
        await producer.start()
        await found(producer)
        await producer.close()
        await nc.close()

    async def _head(self) -> LogPosition:
        nc = await connect(self.nats_url, "bench")
        try:
            return await LogReader(nc, "0").head()
        finally:
            await nc.close()

    async def _messages(self) -> tuple[int, int]:
        nc = await connect(self.nats_url, "bench")
        try:
            js = nc.jetstream()
            commands, log = await js.stream_info(command_stream("0")), await js.stream_info(log_stream("0"))
            return commands.state.last_seq, log.state.last_seq
        finally:
            await nc.close()

    async def _outcomes_after(self, after: LogPosition) -> int:
        nc = await connect(self.nats_url, "bench")
        reader = LogReader(nc, "0")
        head = await reader.head()
        count = 0
        try:
            if head.seq == after.seq:
                return 0
            async for commits in reader.follow(after):
                for commit in commits:
                    count += sum(map(_accepted, commit.records))
                if commits[-1].position.seq >= head.seq:
                    break
            return count
        finally:
            await nc.close()


@contextmanager
def site(*services: str, kernels: int = 1) -> Iterator[Site]:
    """A site with its servers, streams and tables, and the named services running. Everything is gone afterwards."""
    made = _started(services, kernels)
    try:
        yield made
    finally:
        _remove(made.stack)


def _started(services: tuple[str, ...], kernels: int) -> Site:
    """A running site. Another process may take one of the ports between its choice and its use: then try others."""
    for _ in range(START_ATTEMPTS - 1):
        try:
            return _start(services, kernels)
        except ServerFailed as error:
            sys.stderr.write(f"starting anew: {error}\n")
    return _start(services, kernels)


def _start(services: tuple[str, ...], kernels: int) -> Site:
    stack = Stack(Path(tempfile.mkdtemp(prefix="mp-bench-")), kernels=kernels, settings=SETTINGS)
    for node in stack.nats_nodes:
        others = {STREAMS_ACCOUNT: [_user(_BENCH)], account_of(GATEWAY_SERVICE.name): [_user(GATEWAY_SERVICE.name)]}
        node.accounts = stack.credentials.nats_accounts(others)
    try:
        stack.postgres.settings += ["-c", "unix_socket_directories=."]  # Its own folder.
        _start_together(stack.servers)
        stack.prepare()
        made = Site(stack)
        made.start(*services)
    except BaseException:
        _remove(stack)
        raise
    return made


def _user(name: str) -> str:
    return f"{{ user: {name}, password: {_PASSWORD} }}"


def _remove(stack: Stack) -> None:
    stack.kill()
    shutil.rmtree(stack.folder)


def _start_together(servers: list[ChildProcess]) -> None:
    for server in servers:
        server.spawn()
    for server in servers:
        server.wait_ready()


def _accepted(record: EventRecord) -> bool:
    """Tell whether an event is the first of an accepted command."""
    return record.digest is not None and not isinstance(record.data, CommandRejected)


def _socket_dsn(stack: Stack) -> str:
    postgres = stack.postgres
    password = postgres.passwords["mp_owner"]
    return f"postgresql://mp_owner:{password}@/moduprompt?host={postgres.data}&port={postgres.port}"

"""The real servers as pytest fixtures, for every test of the repository.

Servers are started once a session, on free ports, and shared; each test isolates itself by its own `shard`, `database`
and `redis_url`. A test that kills or pauses a server takes its own: `own_nats`, `own_postgres`, `own_valkey`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
from mpbus.connect import connect
from mpd import ports
from mpd.ports import free_port
from mpd.servers import NatsCluster, NatsServer, PostgresServer, ValkeyServer
from mpd.stack import Settings, Stack
from mpschema.subjects import command_stream, feed_stream, log_stream
from nats.js.errors import NotFoundError

from tests.support.database import Database, migrate
from tests.support.pgbouncer import PgBouncer
from tests.support.programs import program

TEMPLATE = "migrated_template"

_redis_databases = count(1)


def pytest_configure() -> None:
    """Make ready for any machine, for a run in the background, and for a run beside other processes.

    Hypothesis gives no verdict on how fast an example was: on a busy machine that is about the machine. A run in the
    background ignores Ctrl-C, and so would what it starts: tests that interrupt would hang.
    """
    hypothesis.settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("any machine")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    ports.FIRST, ports.LAST = _range_of_ports(
        int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    )


def _range_of_ports(worker: int, workers: int) -> tuple[int, int]:
    """Each process that shares the tests has ports of its own: a server that restarts finds its port free."""
    width = (ports.LAST - ports.FIRST) // workers
    return ports.FIRST + worker * width, ports.FIRST + (worker + 1) * width - 1


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """A folder for the data of the servers of this session."""
    folder = Path(tempfile.mkdtemp(prefix="mp-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def nats_server(servers_folder: Path) -> Iterator[NatsServer]:
    """A nats-server with JetStream and `sync_interval: always`."""
    server = NatsServer(servers_folder / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL with fsync on. Take `database` for tables."""
    server = PostgresServer(servers_folder / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pgbouncer(servers_folder: Path, postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """A PgBouncer in transaction mode before that PostgreSQL. Its tests are marked `needs("pgbouncer")`."""
    pooler = PgBouncer(servers_folder / "pgbouncer", program("pgbouncer"), postgres_server)
    pooler.start()
    yield pooler
    pooler.kill()


@pytest.fixture(scope="session")
def valkey_server(servers_folder: Path) -> Iterator[ValkeyServer]:
    """A Valkey. Take `redis_url` for keys of one's own."""
    server = ValkeyServer(servers_folder / "valkey", databases=4096)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A started nats-server that this test may kill, pause and restart."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_nats_cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    """Three started nats-servers that replicate; this test may kill, pause and restart `nodes`."""
    cluster = NatsCluster(tmp_path)
    cluster.start()
    yield cluster
    cluster.kill()


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A started PostgreSQL that this test may kill, pause and restart."""
    server = PostgresServer(tmp_path / "postgres")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A started Valkey that this test may kill, pause and restart."""
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.kill()


class StackFactory(Protocol):
    """Starts stacks of real servers and services; see `mpd.stack.Stack` for the options."""

    def __call__(
        self,
        *,
        kernels: int = 1,
        projectors: int = 1,
        gateways: int = 1,
        relays: int = 0,
        webhooks: int = 0,
        settings: Settings | None = None,
    ) -> Stack: ...


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[StackFactory]:
    """Starts stacks, each with servers, streams and tables of its own; what still runs at the end is killed."""
    stacks: list[Stack] = []

    def make(
        *,
        kernels: int = 1,
        projectors: int = 1,
        gateways: int = 1,
        relays: int = 0,
        webhooks: int = 0,
        settings: Settings | None = None,
    ) -> Stack:
        stack = Stack(
            tmp_path / f"stack-{len(stacks)}",
            kernels=kernels,
            projectors=projectors,
            gateways=gateways,
            relays=relays,
            webhooks=webhooks,
            http_port=free_port(),
            settings=settings,
        )
        stacks.append(stack)
        stack.start()
        return stack

    yield make
    for stack in stacks:
        stack.kill()


@pytest.fixture
def stack(new_stack: StackFactory) -> Stack:
    """One of everything, running: this test may kill, pause and restart each process by its name."""
    return new_stack()


@pytest.fixture
async def shard(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A shard name nobody else uses, so that streams of tests never collide.

    Its streams on the shared server go with the test: each reserves room on the disk.
    """
    name = f"t{secrets.token_hex(6)}"
    yield name
    if "nats_server" in request.fixturenames:
        nc = await connect(request.getfixturevalue("nats_server").url, "tidying-up")
        for stream in (command_stream(name), log_stream(name), feed_stream(name)):
            with suppress(NotFoundError):
                await nc.jetstream().delete_stream(stream)
        await nc.close()


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    """Address of the shared nats-server."""
    return nats_server.url


@pytest.fixture
def redis_url(valkey_server: ValkeyServer) -> str:
    """Address of a Redis database of this test alone."""
    return valkey_server.database_url(next(_redis_databases) % valkey_server.databases)


@pytest.fixture(scope="session")
def new_empty_database(postgres_server: PostgresServer) -> Callable[[], Database]:
    """Makes empty databases: for tests of the migration itself."""

    def make() -> Database:
        name = f"empty_{secrets.token_hex(6)}"
        postgres_server.create_database(name)
        return Database(postgres_server, name)

    return make


@pytest.fixture(scope="session")
def new_database(postgres_server: PostgresServer) -> Callable[[], Database]:
    """Makes migrated databases, each a clone (about 50 ms) of one template: for fixtures wider than a test."""
    postgres_server.create_database(TEMPLATE)
    migrate(Database(postgres_server, TEMPLATE))

    def make() -> Database:
        name = f"test_{secrets.token_hex(6)}"
        postgres_server.create_database(name, template=TEMPLATE)
        return Database(postgres_server, name)

    return make


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    """A migrated database of this test alone."""
    return new_database()


@pytest.fixture
def empty_database(new_empty_database: Callable[[], Database]) -> Database:
    """An empty database of this test alone."""
    return new_empty_database()

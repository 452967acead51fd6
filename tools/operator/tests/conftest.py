"""One real log for all tests of the operators' tools: making it takes a while, and nobody changes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mpd.ports import free_port
from mpd.servers import NatsServer
from mpd.stack import Stack

from tests.support.administration import administered
from tests.support.waiting import eventually_sync
from tools.operator.tests.doctoring import Patient
from tools.operator.tests.proving import Log, put_load_on

COMMANDS = 2_500


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A log of some 2,500 events with a signed checkpoint every 500, archived, and no service that still runs."""
    settings = {"kernel": {"MP_SNAPSHOT_EVERY": "500"}}
    stack = Stack(tmp_path_factory.mktemp("log"), gateways=0, http_port=free_port(), settings=settings)
    try:
        stack.start()
        put_load_on(stack, COMMANDS)
        made = Log(stack)
        eventually_sync(lambda: len(made.mpctl("log", "checkpoints", "--json").json["checkpoints"]) >= 3, timeout=30)
        for kernel in stack.kernels:
            kernel.stop()
        assert made.mpctl("log", "verify", "--against", "archive", "--wait", "60").code == 0
        for projector in stack.projectors:
            projector.stop()
        yield made
    finally:
        stack.kill()


@pytest.fixture
def empty_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A server without any stream."""
    server = NatsServer(tmp_path / "empty-nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """One of everything, with some history."""
    stack = Stack(tmp_path_factory.mktemp("patient"), relays=1, http_port=free_port())
    try:
        administered(stack).start()
        put_load_on(stack, 60)
        patient = Patient(stack)
        eventually_sync(lambda: not patient.examine().problems, timeout=60)
        yield patient
    finally:
        stack.kill()

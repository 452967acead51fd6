"""The runbooks about backups, the doctor and the live screen do what they say, command by command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpd.ports import free_port
from mpd.servers import NatsServer
from mpd.stack import Stack

from tests.support.database import Database
from tests.support.waiting import eventually_sync
from tools.operator.tests.proving import mpctl, put_load_on
from tools.operator.tests.transcripts import agree, run, steps

PAGES = Path(__file__).parents[3] / "context" / "operations"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack with some history, in which nothing is behind."""
    stack = Stack(tmp_path_factory.mktemp("home"), relays=1, http_port=free_port())
    try:
        stack.start()
        put_load_on(stack, 400)
        eventually_sync(lambda: mpctl_is_well(stack), timeout=60)
        yield stack
    finally:
        stack.kill()


def mpctl_is_well(stack: Stack) -> bool:
    """Tell whether everything has caught up."""
    seen = mpctl("top", "--json", home=stack.folder).json
    behind = [each["lag_events"] for each in seen["projections"]]
    return seen["feed_lag"] == 0 and not any(behind)


@pytest.fixture
def environment(home: Stack, empty_nats: NatsServer, empty_database: Database, redis_url: str) -> dict[str, str]:
    """As an operator's shell has it, with an empty cluster at hand."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    new = {
        "MP_NATS_URL": empty_nats.url,
        "MP_REDIS_URL": redis_url,
        "MP_POSTGRES_OWNER_DSN": empty_database.owner_dsn,
    }
    return kept | {
        "MP_HOME": str(home.folder),
        "NEW": " ".join(f"{name}={value}" for name, value in new.items()),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
        "COLUMNS": "200",
    }


@pytest.mark.parametrize(("page", "commands"), [("backup-and-restore.md", 9), ("doctor.md", 9), ("top.md", 2)])
def test_every_command_of_the_runbook_prints_what_the_page_shows(
    environment: dict[str, str], tmp_path: Path, page: str, commands: int
) -> None:
    (tmp_path / "backups").mkdir()
    shown = list(steps(PAGES / page))
    assert len(shown) >= commands
    for step in shown:
        printed = run(step.command, tmp_path, environment)
        assert agree(step.output, printed), "\n".join([step.command, "shown:", *step.output, "printed:", *printed])

"""One screen says who leads, what moves, what lags and who listens; and what it cannot know."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from mpbus.connect import connect
from mpbus.producer import CommandProducer
from mpd.ports import free_port
from mpd.stack import Stack
from mpoperator.top.rates import screen_of
from mpoperator.top.samples import Figures, Sample
from mpoperator.top.screen import draw, sparkline
from mpservice.rights import OPERATOR
from rich.console import Console

from tests.support.load import Load
from tests.support.terminal import PROGRAM
from tests.support.users import GATEWAY
from tests.support.waiting import eventually_sync
from tools.operator.tests.proving import mpctl, put_load_on


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything."""
    stack = Stack(tmp_path_factory.mktemp("top"), relays=1, http_port=free_port())
    try:
        stack.start()
        put_load_on(stack, 30)
        yield stack
    finally:
        stack.kill()


def top(stack: Stack, *options: str, **settings: str) -> dict[str, Any]:
    """One look, as JSON."""
    return mpctl("top", "--json", *options, home=stack.folder, **settings).json


@contextmanager
def under_load(stack: Stack) -> Iterator[None]:
    """Four clients at work in a workspace of their own, as long as the block runs."""
    end = threading.Event()

    async def work() -> None:
        nc = await connect(stack.bus(GATEWAY), "load", writer=True)
        producer = CommandProducer(nc, stack.shard)
        await producer.start()
        load = Load(producer, "busy")
        await load.prepare()
        enough = asyncio.Event()
        waiting = asyncio.create_task(asyncio.to_thread(end.wait))
        waiting.add_done_callback(lambda _: enough.set())
        await load.run(clients=4, commands=0, until=enough)
        await producer.close()
        await nc.close()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(asyncio.run, work())
        try:
            yield
        finally:
            end.set()
            working.result()


def test_a_look_at_a_cluster_under_load_tells_rates_and_places(stack: Stack) -> None:
    with under_load(stack):
        eventually_sync(lambda: (top(stack)["commands_per_second"] or 0) > 10, timeout=60)
    seen = top(stack)
    assert seen["leader"].startswith("kernel-1-")
    assert seen["epoch"] == 1
    assert seen["seq"] > seen["stream_seq"] > 1
    assert {each["name"] for each in seen["projections"]} >= {"work", "archive", "commands"}
    assert [each["state"] for each in seen["services"]] == ["ready"] * 4
    assert (seen["redis"], seen["unknown"], seen["halted"]) == (True, [], [])
    eventually_sync(lambda: top(stack)["feed_lag"] == 0, timeout=60)


def test_who_listens_is_counted(stack: Stack) -> None:
    headers = {"authorization": f"Bearer {stack.root_key}"}
    with (
        httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client,
        client.stream("GET", "/v1/workspaces/acme/events") as answer,
    ):
        assert answer.status_code == 200
        assert top(stack)["streams"] == 1
    eventually_sync(lambda: top(stack)["streams"] == 0)


def test_a_halted_projection_stands_out_with_its_reason(stack: Stack) -> None:
    stack.projectors[0].stop()

    def say(statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(stack.postgres.dsn())
            await connection.execute(statement)
            await connection.close()

        asyncio.run(run())

    say("UPDATE mp.projections SET state = 'halted', error = 'no view of mp.x.Y.v1' WHERE name = 'work'")
    seen = top(stack)
    assert seen["halted"] == ["work"]
    text = mpctl("top", "--once", home=stack.folder).out
    assert "projection work halted: no view of mp.x.Y.v1" in text
    assert "no view of mp.x.Y.v1" in text
    assert "unowned" in text
    stack.projectors[0].start()
    eventually_sync(lambda: top(stack)["halted"] == [], timeout=30)


def reader(stack: Stack) -> dict[str, str]:
    """All that somebody knows who may look, and knows of nothing but NATS."""
    return {"MP_NATS_URL": stack.nats_url, "MP_NATS_NKEY_SEED_FILE": str(stack.bus(OPERATOR).nkey_seed_file)}


def test_what_is_away_is_said_to_be_away_and_what_is_not_known_is_a_dash(stack: Stack, tmp_path: Path) -> None:
    stack.relays[0].stop()
    seen = top(stack)
    assert {"name": "relay-1", "state": "away"} in seen["services"]
    stack.relays[0].start()
    alone = mpctl("top", "--json", home=tmp_path, **reader(stack)).json
    assert alone["seq"] > 1
    assert (alone["commands_per_second"], alone["projections"], alone["redis"]) == (None, None, None)
    assert len(alone["unknown"]) == 3
    text = mpctl("top", "--once", home=tmp_path, MP_NATS_URL=f"nats://127.0.0.1:{free_port()}").out
    assert "not known: NATS is away: nothing listens at nats://127.0.0.1" in text
    assert "credential" not in text


def test_it_draws_again_and_again_until_interrupted(stack: Stack) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"MP_HOME": str(stack.folder), "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [PROGRAM, "top", "--interval", "0.2"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        shown = b""
        while shown.count(b"leads in epoch") < 3:
            shown += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_drain, ours)
            assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)


def _drain(terminal: int) -> None:
    """Read what is still drawn, until the other side is closed."""
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:
        os.close(terminal)


def sample(at: float, seq: int, commands: float, **more: Any) -> Sample:
    """A moment of a cluster with one kernel and one gateway."""
    kernel = Figures({"mp_kernel_commands_total{status=accepted}": commands})
    gateway = Figures({"mp_gateway_streams_ended_total{reason=slow}": 2.0, "mp_gateway_streams{transport=sse}": 7.0})
    figures = {"kernel-1": kernel, "gateway-1": gateway}
    return Sample(at=at, seq=seq, stream_seq=seq // 2, figures=figures, **more)


def test_rates_are_between_two_samples() -> None:
    screen = screen_of("0", sample(10.0, 100, 50), sample(12.0, 300, 80, feed_seq=250))
    assert (screen.events_per_second, screen.commits_per_second, screen.commands_per_second) == (100.0, 50.0, 15.0)
    assert (screen.streams, screen.slow_drops, screen.feed_lag) == (7, 2, 50)


def test_a_counter_that_began_anew_gives_no_rate() -> None:
    assert screen_of("0", sample(10.0, 100, 50), sample(11.0, 110, 3)).commands_per_second is None


def test_a_frame_fits_a_terminal() -> None:
    screen = screen_of("0", sample(10.0, 100, 50), sample(12.0, 300, 80))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(draw(screen, [1.0, 2.0, 4.0]))
    lines = console.export_text().splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(("rates", "bars"), [([], ""), ([0, 0], "▁▁"), ([0, 50, 100], "▁▅█")])
def test_a_sparkline_is_as_high_as_its_highest(rates: list[float], bars: str) -> None:
    assert sparkline(rates) == bars


def test_figures_keep_their_labels() -> None:
    figures = Figures.parse('# TYPE a counter\na_total{x="1"} 2\na_total{x="2"} 3\n# TYPE b gauge\nb 4\n')
    assert (figures.total("a_total"), figures.total("b"), figures.total("c")) == (5.0, 4.0, 0.0)
    assert figures.values["a_total{x=1}"] == 2.0


def test_json_is_one_object_a_line(stack: Stack) -> None:
    out = mpctl("top", "--json", home=stack.folder).out
    assert out.count("\n") == 1
    assert json.loads(out)["shard"] == "0"

"""The answers of the ops door: ready, alive, or stuck."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from mpd.ports import free_port
from mpservice.ops import CONNECTIONS_MAX, OpsServer, Progress, ServiceHealth


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("done", "due", "stalled"),
    [(5, 9, True), (6, 9, False), (5, 5, False)],
    ids=["nothing is done of what is due", "something is done", "nothing is due"],
)
def test_who_does_nothing_of_what_is_due_for_too_long_is_stalled(done: int, due: int, stalled: bool) -> None:
    clock = Clock()
    progress = Progress(10, clock)
    progress.saw(5, 9)
    clock.now += 11
    progress.saw(done, due)
    assert progress.stalled is stalled


def test_the_time_in_which_a_server_is_away_does_not_count() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    progress.saw(5, 9)
    clock.now += 11
    progress.excused()
    clock.now += 9
    assert not progress.stalled


async def test_not_ready_is_no_reason_to_restart_and_stuck_is() -> None:
    health = ServiceHealth(ready=False)
    port = free_port()
    server = OpsServer("127.0.0.1", port, lambda: health)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert [(await http.get(path)).status_code for path in ("/readyz", "/healthz")] == [503, 200]
        health = ServiceHealth(ready=False, stuck="nothing was folded for 15 s: work")
        answer = await http.get("/healthz")
    await server.close()
    assert (answer.status_code, answer.json()["reason"]) == (503, "nothing was folded for 15 s: work")


async def test_connections_that_ask_nothing_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpservice.ops._REQUEST_SECONDS", 600)  # So that it is not time that ends them.
    server = OpsServer("127.0.0.1", port := free_port(), lambda: ServiceHealth(ready=True))
    await server.start()
    async with AsyncExitStack() as silent:
        readers = []
        for _ in range(CONNECTIONS_MAX + 20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            silent.callback(writer.close)
            readers.append(reader)
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{port}/readyz")
        oldest = [each.read() for each in readers[:20]]
        cut = await asyncio.wait_for(asyncio.gather(*oldest, return_exceptions=True), 30)
        assert not readers[-1].at_eof()
    await server.close()
    assert answer.status_code == 200
    assert [one for one in cut if one and not isinstance(one, ConnectionError)] == []

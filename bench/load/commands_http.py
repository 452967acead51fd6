"""Load over HTTP: the mix of commands, one a request or many in an NDJSON batch, on keep-alive connections."""

import asyncio
import time

import msgspec
from mpschema.openapi.doors import BATCH
from mpschema.registry import COMMANDS

from bench.load.orders import Order, Place, Window, closed_loop, main, window_of
from bench.load.story import WORKSPACE, Step, Stories
from bench.load.wire import Connection, request

_BATCH_PATH = BATCH.replace("{workspace_id}", WORKSPACE)
_encode_lines = msgspec.json.Encoder().encode_lines


class Line(msgspec.Struct):
    """One line of a batch."""

    type: str
    target: str
    payload: msgspec.Raw


class HttpLoad:
    """Closed loops of requests; `count` above 0 makes each a batch of so many lines."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stories = Stories(place.nonce)
        self._connections: list[Connection] = []

    async def open(self) -> None:
        """Connections are opened as they are needed."""

    async def run(self, order: Order) -> Window:
        """A closed loop over as many connections as are in flight."""
        while len(self._connections) < order.in_flight:
            self._connections.append(await Connection.open(self._place.http_port))
        return await (self._run_batches(order) if order.count else closed_loop(order, self._command))

    async def close(self) -> None:
        """Leave."""
        for connection in self._connections:
            connection.close()

    async def _command(self, slot: int) -> bool:
        step = self._stories.next(slot)
        raw = request(_path(step), step.payload, "application/json", self._place.api_key)
        status, _ = await self._connections[slot].ask(raw)
        return status < 300

    async def _run_batches(self, order: Order) -> Window:
        """Batches in a closed loop; commands are counted, and each waits as long as its batch."""
        latencies: list[float] = []
        refused = 0
        began = time.perf_counter()

        async def slot(number: int) -> None:
            nonlocal refused
            while (sent := time.perf_counter()) < began + order.seconds:
                body = self._lines(number, order.count)
                raw = request(_BATCH_PATH, body, "application/x-ndjson", self._place.api_key)
                status, answer = await self._connections[number].ask(raw)
                lines = answer.splitlines() if status == 200 else []
                refused += order.count - len(lines) + sum(not _taken(line) for line in lines)
                latencies.extend([time.perf_counter() - sent] * order.count)

        await asyncio.gather(*(slot(number) for number in range(order.in_flight)))
        return window_of(latencies, time.perf_counter() - began, refused)

    def _lines(self, number: int, count: int) -> bytes:
        """The next step of each of `count` stories, which are this connection's own: no line waits for another."""
        steps = (self._stories.next(slot) for slot in range(number * count, (number + 1) * count))
        return _encode_lines([Line(step.type, step.target, msgspec.Raw(step.payload)) for step in steps])


def _path(step: Step) -> str:
    route = COMMANDS[step.type].route.replace("{workspace_id}", WORKSPACE)
    return route.replace("{id}", step.target) if "{id}" in route else f"{route}?id={step.target}"


def _taken(line: bytes) -> bool:
    return b'"version"' in line and b'"version":null' not in line


if __name__ == "__main__":
    main(HttpLoad)

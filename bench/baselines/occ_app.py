"""Baseline: the transaction per command behind HTTP, on the same Litestar, server and settings as our gateway.

Like the gateway it answers from plain ASGI handlers, validates the arguments strictly, and reads batches as NDJSON, so
that what differs is what happens to a command. It asks nobody who they are.

`python -m bench.baselines.occ_app '{"postgres_dsn": ..., "http_port": ...}'`
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop
from litestar import Litestar
from mpbus.ids import new_command_id
from mpgateway.routing import give_parameters, handler
from mpgateway.server import GatewayServer
from mpschema.api import BatchLine
from mpschema.openapi.doors import BATCH
from mpschema.registry import COMMANDS
from mpschema.vocabulary import CommandSpec

from bench.baselines.occ import Occ
from bench.load.orders import Place
from bench.load.story import PRINCIPAL

TYPES = ("task.create", "task.mark_ready", "task.claim", "channel.post")
_DRAIN_SECONDS = 1.0
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_line = msgspec.json.Decoder(BatchLine)

Handler = Callable[[Any, Any, Any], Awaitable[None]]


class Answered(msgspec.Struct):
    """The outcome of a command."""

    command_id: str
    target: str
    version: int | None


class OccApp:
    """Handlers over one pool of connections."""

    def __init__(self, occ: Occ) -> None:
        self._occ = occ

    def app(self) -> Litestar:
        """The application: a route for each command of the mix, and one for batches."""
        routes = [handler(COMMANDS[kind].route, self._command(COMMANDS[kind])) for kind in TYPES]
        app = Litestar(
            route_handlers=[*routes, handler(BATCH, self._batch)],
            openapi_config=None,
            logging_config=None,
        )
        give_parameters(app)
        return app

    def _command(self, spec: CommandSpec) -> Handler:
        async def handle(scope: Any, receive: Any, send: Any) -> None:
            body = await _body(receive)
            target = scope["query_string"].removeprefix(b"id=").decode() or scope["path_params"]["id"]
            answered = await self._do(spec, target, body or b"{}")
            await _send(send, 409 if answered.version is None else 200, _encode(answered))

        return handle

    async def _batch(self, _: Any, receive: Any, send: Any) -> None:
        lines = [_line.decode(line) for line in (await _body(receive)).split(b"\n") if line]
        work = (self._do(COMMANDS[line.type], str(line.target), bytes(line.payload)) for line in lines)
        await _send(send, 200, _encode_lines(await asyncio.gather(*work)))

    async def _do(self, spec: CommandSpec, target: str, payload: bytes) -> Answered:
        arguments = _encode(spec.decoder.decode(payload))
        command_id = new_command_id()
        version = await self._occ.handle(command_id, spec.command_type, target, PRINCIPAL, arguments.decode())
        return Answered(command_id, target, version)


async def _body(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _send(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(place: Place) -> None:
    """Serve until SIGTERM."""
    occ = Occ(place.postgres_dsn)
    await occ.open()
    server = GatewayServer(OccApp(occ).app(), "127.0.0.1", place.http_port, _DRAIN_SECONDS)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await server.serve_until_told(told, lambda: None, lambda: 0)
    await occ.close()


if __name__ == "__main__":
    uvloop.run(serve(msgspec.json.decode(sys.argv[1], type=Place)))

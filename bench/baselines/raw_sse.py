"""Baseline: a bare uvicorn application that pushes given bytes to every client, joined where several wait.

`python -m bench.baselines.raw_sse '{"http_port": ...}'`. Frames come in by `POST /frames`.
"""

import asyncio
import sys
from typing import Any

import msgspec
import uvicorn
import uvloop

from bench.load.orders import Place

CHUNK_BYTES = 128 * 1024
_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class RawSse:
    """Everything ever posted, and who waits for more."""

    def __init__(self) -> None:
        self._posted: list[bytes] = []
        self._more: asyncio.Future[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take frames, or stream them."""
        if scope["method"] == "POST":
            self._posted.append(await _body(receive))
            if self._more is not None:
                self._more.set_result(None)
                self._more = None
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
            await self._stream(send)

    async def _stream(self, send: Any) -> None:
        place = len(self._posted)
        while True:
            while place < len(self._posted):
                chunk, size = [], 0
                while place < len(self._posted) and size < CHUNK_BYTES:
                    chunk.append(self._posted[place])
                    size += len(chunk[-1])
                    place += 1
                await send({"type": "http.response.body", "body": b"".join(chunk), "more_body": True})
            self._more = self._more or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._more)


async def _body(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def main() -> None:
    """Serve until told to stop."""
    place = msgspec.json.decode(sys.argv[1], type=Place)
    config = uvicorn.Config(
        RawSse(),
        host="127.0.0.1",
        port=place.http_port,
        http="httptools",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=4096,
        timeout_graceful_shutdown=1,
    )
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()

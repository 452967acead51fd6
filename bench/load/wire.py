"""A lean HTTP client: one keep-alive connection that sends prepared bytes and hands back each whole answer.

A load generator must cost less than what it measures, which general clients do not.
"""

import asyncio
from typing import cast

import httptools


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to this machine."""
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return protocol

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request; the status and body of its answer. Raises ConnectionError when the server leaves."""
        assert self._transport is not None, "connected"
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class says nothing of its kind.

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server left, or we did."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the server closed the connection: {exc}"))

    def on_body(self, body: bytes) -> None:
        """A part of the answer's body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole. Its parser serves the next one too."""
        body = b"".join(self._body)
        self._body.clear()
        assert self._answer is not None, "nothing comes unasked"
        if not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), body))


def request(path: str, body: bytes, content_type: str, api_key: str) -> bytes:
    """The bytes of a POST."""
    head = [
        f"POST {path} HTTP/1.1",
        "host: bench",
        f"authorization: Bearer {api_key}",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body

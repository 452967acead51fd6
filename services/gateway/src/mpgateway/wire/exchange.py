"""One request and its answer on a connection: uvicorn's, with a body that may fail to come and an honest end."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

CLOSE = (b"connection", b"close")


class Exchange(RequestResponseCycle):
    """A request that is being answered.

    An answer given before its request was read to the end says `connection: close`: what follows on the connection is
    the rest of a body that nobody wants.
    """

    _failure: Exception | None = None
    _until_close = False
    _head: Any = None
    """The begin of an answer whose length is stated: it goes out in one piece with the body."""
    early = False
    """True when the answer began before the request was complete."""

    def fail(self, why: Exception) -> None:
        """Let whoever waits for the body know that it does not come."""
        self._failure = why
        self.message_event.set()

    async def receive(self) -> Any:
        """The next message from the client. Raises what `fail` was given."""
        message = await super().receive()
        if self._failure is not None and message["type"] != "http.disconnect":
            raise self._failure
        return message

    async def send(self, message: Any) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if headers and headers[-1][0] == b"content-length":
                self._head = message
            else:
                await self._send_head(message)
            return
        if self._head is not None:
            head, self._head = self._head, None
            if self._is_plain():
                self._send_whole(head, message)
                return
            await self._send_head(head)
        if self._until_close and not message.get("more_body", False):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)

    def _is_plain(self) -> bool:
        """Tell whether uvicorn need not look at the answer: with most it need not, which saves a tenth of a request."""
        return (
            self.keep_alive
            and not (self.more_body or self.response_started or self.disconnected or self.flow.write_paused)
            and self.scope["http_version"] == "1.1"
            and self.scope["method"] != "HEAD"
        )

    def _send_whole(self, head: Any, message: Any) -> None:
        headers, body = head["headers"], message["body"]
        if int(headers[-1][1]) != len(body) or message.get("more_body", False):
            raise RuntimeError("an answer has as many bytes as it says")
        if HEADER_VALUE_RE.search(b"".join([value for _, value in headers])):
            raise RuntimeError("a header holds what would end it")
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[head["status"]], *lines, b"\r\n", body]))
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()

    async def _send_head(self, message: Any) -> None:
        await super().send(self._begin(message))
        # uvicorn would close at once, and the client might never see the answer: the connection lingers instead.
        self.keep_alive = self.keep_alive or self.early

    def _begin(self, message: Any) -> Any:
        headers = message.get("headers", ())
        if self.more_body:
            self.early = True
            message = {**message, "headers": [*headers, CLOSE]}
        if self.scope["http_version"] == "1.0" and not any(name == b"content-length" for name, _ in headers):
            # HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
            self._until_close = True
            self.chunked_encoding = False
            self.expected_content_length = 1 << 62
        return message

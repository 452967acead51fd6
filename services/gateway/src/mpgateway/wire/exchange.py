"""One request and its answer on a connection: uvicorn's, with a body that may fail to come and an honest end."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

CLOSE = (b"connection", b"close")


class Exchange(RequestResponseCycle):
    """A request that is being answered.

    An answer given before its request was read to the end says `connection: close`: what follows on the connection is
    the rest of a body that nobody wants.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._failure: Exception | None = None
        self._until_close = False
        self.early = False
        """Whether the answer began before the request was complete."""

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
        if not self.response_started:
            message = self._begin(message)
            await super().send(message)
            # uvicorn would close at once, and the client might never see the answer: the connection lingers instead.
            self.keep_alive = self.keep_alive or self.early
            return
        if self._until_close and not message.get("more_body", False):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)

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

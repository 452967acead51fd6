"""The messages that a subscription saw on their way to the command stream, until they arrive."""

from collections import deque

from mpkernel.ports import CommandMessage

_KEPT = 8
"""The messages kept. More are on their way only where many wait, and then nothing is decided speculatively."""
_Sent = tuple[str, bytes]
"""The reply address, and the data."""


class Hearing:
    """The messages on their way, apart from those that arrived.

    The subscription delivers a message before its arrival, after it, or not at all.
    """

    def __init__(self) -> None:
        self._heard: deque[_Sent] = deque(maxlen=_KEPT)
        self._told: _Sent | None = None
        self._came: deque[_Sent] = deque(maxlen=_KEPT)
        """Messages that arrived before the subscription delivered them."""

    def hear(self, reply_to: str, data: bytes) -> None:
        """Record that a gateway sent a message."""
        sent = (reply_to, data)
        if sent in self._came:
            self._came.remove(sent)
        else:
            self._heard.append(sent)

    def arrived(self, message: CommandMessage) -> None:
        """Record that the stream delivered a message. The subscription has none of a service's."""
        if message.sender:
            return
        sent = (message.reply_to, message.data)
        if sent == self._told:
            self._told = None
        elif sent in self._heard:
            self._heard.remove(sent)
        else:
            self._came.append(sent)

    def next(self, position: int) -> CommandMessage | None:
        """Return the oldest message on its way, as it would be at a position. Each is returned once."""
        if not self._heard:
            return None
        self._told = self._heard.popleft()
        return CommandMessage(position, *self._told)

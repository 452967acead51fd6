"""What is heard on its way to the command stream, until it arrives."""

from collections import deque

from mpkernel.ports import CommandMessage

_KEPT = 8
"""More than that is on its way only where much waits anyhow, and then nothing is decided ahead."""
_Sent = tuple[str, bytes]
"""Where to answer, and the data."""


class Hearing:
    """Keeps apart what is on its way and what came: a message is heard before it arrives, after it, or not at all."""

    def __init__(self) -> None:
        self._heard: deque[_Sent] = deque(maxlen=_KEPT)
        self._told: _Sent | None = None
        self._came: deque[_Sent] = deque(maxlen=_KEPT)
        """What arrived and was not heard yet."""

    def hear(self, reply_to: str, data: bytes) -> None:
        """A gateway sent a message."""
        sent = (reply_to, data)
        if sent in self._came:
            self._came.remove(sent)
        else:
            self._heard.append(sent)

    def arrived(self, message: CommandMessage) -> None:
        """The stream delivered it. What a service sends is not heard before."""
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
        """The message that is on its way for the longest time, as it would be at a position. Told once."""
        if not self._heard:
            return None
        self._told = self._heard.popleft()
        return CommandMessage(position, *self._told)

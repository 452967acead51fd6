"""The same ports in memory: real adapters for simulation, held to the same contracts as those of a cluster."""

import asyncio

from mpkernel.hearing import Hearing
from mpkernel.ports import CommandMessage, CommandsRenumbered


class MemoryCommands:
    """A command stream in memory."""

    def __init__(self) -> None:
        self._waiting: dict[int, CommandMessage] = {}
        self._last = 0
        self._readers: list[MemoryIntake] = []

    def tell(self, data: bytes, reply_to: str = "") -> None:
        """A gateway's message is on its way, and may be stored later."""
        for reader in self._readers:
            reader.hear(reply_to, data)

    def publish(self, data: bytes, reply_to: str = "", sender: str = "") -> int:
        """Store one message of packed commands; its position."""
        self._last += 1
        message = self._waiting[self._last] = CommandMessage(self._last, reply_to, data, sender)
        for reader in self._readers:
            reader.deliver(message)
        return self._last

    @property
    def last(self) -> int:
        """The last position that was given out."""
        return self._last

    def after(self, consumed: int) -> list[CommandMessage]:
        """Return the messages that wait after a position, in order."""
        return [message for position, message in self._waiting.items() if position > consumed]

    def look(self, consumed: int) -> None:
        """See `Intake.look`."""
        if self._waiting and self._last < consumed:
            raise CommandsRenumbered("MP_CMD_0", self._last, consumed, len(self._waiting))

    def purge(self, consumed: int) -> None:
        """Drop everything up to a position; the next message is after it."""
        self._last = max(self._last, consumed)
        for position in [p for p in self._waiting if p <= consumed]:
            del self._waiting[position]

    def attach(self, reader: "MemoryIntake") -> None:
        """Deliver to this reader from now on."""
        self._readers.append(reader)

    def detach(self, reader: "MemoryIntake") -> None:
        """Deliver to it no more."""
        if reader in self._readers:
            self._readers.remove(reader)


class MemoryIntake:
    """The `Intake` of a command stream in memory."""

    def __init__(self, commands: MemoryCommands, wake: asyncio.Event) -> None:
        self._commands = commands
        self._wake = wake
        self._arrived: list[CommandMessage] = []
        self._hearing = Hearing()
        self._taken = 0

    async def look(self, consumed: int) -> None:
        """See the port."""
        self._commands.look(consumed)

    async def open(self, consumed: int) -> int:
        """See the port."""
        await self.look(consumed)
        self._commands.purge(consumed)
        self._arrived = self._commands.after(consumed)
        self._taken = max(consumed, self._arrived[0].position - 1 if self._arrived else self._commands.last)
        self._commands.attach(self)
        self._wake.set()
        return self._commands.last

    def deliver(self, message: CommandMessage) -> None:
        """A message was stored."""
        self._arrived.append(message)
        self._wake.set()

    def take_nowait(self) -> list[CommandMessage]:
        """See the port."""
        taken, self._arrived = self._arrived, []
        for message in taken:
            self._taken = message.position
            self._hearing.arrived(message)
        return taken

    def hear(self, reply_to: str, data: bytes) -> None:
        """A gateway sent a message."""
        self._hearing.hear(reply_to, data)
        self._wake.set()

    def overhear(self) -> CommandMessage | None:
        """See the port."""
        return self._hearing.next(self._taken + 1)

    async def discard(self, consumed: int) -> None:
        """See the port."""
        await self.look(consumed)
        self._commands.purge(consumed)

    async def close(self) -> None:
        """See the port."""
        self._commands.detach(self)


class MemoryReplies:
    """The `Replies` of a process that hears itself."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    async def send(self, reply_to: str, data: bytes) -> None:
        """See the port."""
        self.sent.append((reply_to, data))

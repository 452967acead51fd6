"""The same ports in memory: real adapters for simulation, held to the same contracts as those of a cluster."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from mpbus.errors import ForeignMessage
from mpbus.reader import GENESIS, Commit, LogPosition, verify
from mpschema import subjects

from mpkernel.hearing import Hearing
from mpkernel.ports import HEADER_BYTES, CommandMessage, CommandsRenumbered, CommitTooLarge, Deposed


class MemoryLog:
    """A log in memory, which many may follow and one at a time may append to."""

    def __init__(
        self, shard: str = "0", now_ns: Callable[[], int] = time.time_ns, commit_bytes_max: int = 8_000_000
    ) -> None:
        self.commit_bytes_max = commit_bytes_max
        """See `LogWriter`."""
        self._subject = subjects.log_subject(shard)
        self._now_ns = now_ns
        self._commits: list[Commit] = []
        self.stamps: list[int] = []
        """When each commit was stored, in nanoseconds."""
        self._grown = asyncio.Event()
        self._foreign: ForeignMessage | None = None

    @property
    def commits(self) -> Sequence[Commit]:
        """Every commit so far."""
        return self._commits

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """See `LogWriter`. There is nothing to wait for: `deadline_seconds` never passes."""
        del deadline_seconds
        if after.stream_seq < len(self._commits):
            if self._commits[after.stream_seq].hash == commit_hash:
                return after.stream_seq + 1
            raise Deposed(f"position {after.stream_seq + 1} holds another commit")
        if self._foreign is not None:
            raise Deposed(str(self._foreign))
        if len(data) > self.commit_bytes_max + HEADER_BYTES:
            raise CommitTooLarge(f"a commit of {len(data)} bytes")
        self.stamps.append(self._now_ns())
        self._commits.append(verify(self._head(), after.stream_seq + 1, self._subject, data, commit_hash))
        self._tell()
        return len(self._commits)

    async def last(self) -> int | None:
        """See `LogWriter`."""
        return len(self._commits) + (self._foreign is not None)

    def intrude(self, data: bytes) -> None:
        """Somebody stores what is no commit."""
        self._foreign = ForeignMessage(len(self._commits) + 1, self._subject, data)
        self._tell()

    def mend(self) -> None:
        """Take away what is no commit."""
        self._foreign = None

    async def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        """See `Log`."""
        while True:
            grown = self._grown
            commits = self._commits[after.stream_seq :]
            if commits:
                yield commits
                after = commits[-1].position
            elif self._foreign is not None:
                raise self._foreign
            else:
                await grown.wait()

    async def head(self) -> LogPosition:
        """See `Log`."""
        if self._foreign is not None:
            raise self._foreign
        return self._head()

    async def now_ns(self) -> int:
        """See `ServerClock`."""
        return self._now_ns()

    async def stored_ns(self, stream_seq: int) -> int:
        """See `ServerClock`."""
        return self.stamps[stream_seq - 1]

    async def position_before(self, seq: int) -> LogPosition:
        """See `Log`."""
        before = GENESIS
        for commit in self._commits:
            if commit.position.seq >= seq:
                break
            before = commit.position
        return before

    async def commit_at(self, stream_seq: int) -> Commit | None:
        """See `Log`."""
        return self._commits[stream_seq - 1] if 0 < stream_seq <= len(self._commits) else None

    def _head(self) -> LogPosition:
        return self._commits[-1].position if self._commits else GENESIS

    def _tell(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


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
        """What waits, in order."""
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


class MemoryLeases:
    """A keeper of leases in memory, by a clock that is handed in (seconds)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._held: dict[str, tuple[str, float]] = {}

    def holder(self, name: str) -> str | None:
        """Who holds a lease now."""
        holder, expires = self._held.get(name, ("", 0.0))
        return holder if holder and expires > self._now() else None

    def put(self, name: str, holder: str, ttl_seconds: float) -> None:
        """Give it to a holder."""
        self._held[name] = (holder, self._now() + ttl_seconds)

    def drop(self, name: str) -> None:
        """Free it."""
        self._held.pop(name, None)


class MemoryLease:
    """The `LeadershipLease` kept by a `MemoryLeases`."""

    def __init__(self, leases: MemoryLeases, name: str, holder: str, ttl_seconds: float) -> None:
        self._leases = leases
        self._name = name
        self._holder = holder
        self._ttl_seconds = ttl_seconds

    @property
    def holder(self) -> str:
        """See the port."""
        return self._leases.holder(self._name) or ""

    async def free(self) -> bool:
        """See the port."""
        return self._leases.holder(self._name) in (None, self._holder)

    async def acquire(self) -> bool:
        """See the port."""
        return await self.free() and self._take()

    async def renew(self) -> bool:
        """See the port."""
        return await self.free() and self._take()

    async def release(self) -> None:
        """See the port."""
        if self._leases.holder(self._name) == self._holder:
            self._leases.drop(self._name)

    def _take(self) -> bool:
        self._leases.put(self._name, self._holder, self._ttl_seconds)
        return True


class MemorySnapshots:
    """The `Snapshots` of a process that remembers one."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self.access: bytes | None = None

    async def load(self) -> bytes | None:
        """See the port."""
        return self._data

    async def store(self, data: bytes) -> None:
        """See the port."""
        self._data = data

    async def store_access(self, data: bytes) -> None:
        """See the port."""
        self.access = data


class MemoryReplies:
    """The `Replies` of a process that hears itself."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    async def send(self, reply_to: str, data: bytes) -> None:
        """See the port."""
        self.sent.append((reply_to, data))

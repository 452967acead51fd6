"""The ports of one simulated kernel, on the far side of everything that can go wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable

from mpbus.errors import ConsumerLost
from mpbus.reader import GENESIS, Commit, LogPosition
from mpkernel.adapters.memory import MemoryCommands, MemoryIntake
from mpkernel.ports import CommandMessage, IntakeUnavailable, ServerClockUnavailable
from mpstore.leases import LeaseUnavailable
from mpstore.leases.memory import MemoryLease
from mpstore.log import Unknown
from mpstore.log.memory import MemoryLog
from mpstore.snapshots import SnapshotsUnavailable
from mpstore.snapshots.memory import MemorySnapshots

from tests.simulation.node import Node

LATE_SECONDS_MAX = 20.0
"""The longest time that a message may wander about before it arrives after all."""


class FaultyLog:
    """A log whose writes may be cut off on either side, and whose reads lag."""

    def __init__(self, log: MemoryLog, node: Node) -> None:
        self._log = log
        self._node = node

    @property
    def commit_bytes_max(self) -> int:
        """See `LogWriter`."""
        return self._log.commit_bytes_max

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """See `LogWriter`."""
        node = self._node
        await node.lag()
        if node.happens("crash before the write", 0.01):
            node.crash()
        if node.happens("write lost", 0.01):
            raise Unknown("the write was lost")
        position = await self._log.append(data, commit_hash, after, deadline_seconds)
        if node.happens("crash after the write", 0.01):
            node.crash()
        await node.lag()
        if node.happens("acknowledgement lost", 0.01):
            raise Unknown("the acknowledgement was lost")
        return position

    async def last(self) -> int | None:
        """See `LogWriter`."""
        await self._node.lag()
        return None if self._node.happens("look in vain", 0.1) else await self._log.last()

    async def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        """See `Log`."""
        async for commits in self._log.follow(after):
            await self._node.lag()
            yield commits

    async def head(self) -> LogPosition:
        """See `Log`."""
        await self._node.lag()
        return await self._log.head()

    async def position_before(self, seq: int) -> LogPosition:
        """See `Log`."""
        return await self._log.position_before(seq)

    async def commit_at(self, stream_seq: int) -> Commit | None:
        """See `Log`."""
        await self._node.lag()
        return await self._log.commit_at(stream_seq)


class FaultyIntake:
    """An intake that may be lost, deliver a message again, listen in vain, or fail to discard."""

    def __init__(self, commands: MemoryCommands, wake: asyncio.Event, node: Node) -> None:
        self._intake = MemoryIntake(commands, wake)
        self._node = node
        self._wake = wake
        self._seen = 0

    async def look(self, consumed: int) -> None:
        """See `Intake`."""
        await self._intake.look(consumed)

    async def open(self, consumed: int) -> int:
        """See `Intake`."""
        await self._node.lag()
        if self._node.happens("intake away", 0.1):
            raise IntakeUnavailable("away")
        self._seen = consumed
        return await self._intake.open(consumed)

    def take_nowait(self) -> list[CommandMessage]:
        """See `Intake`: the stream may deliver again, the intake may not."""
        self._node.must_live()
        if self._node.happens("intake lost", 0.002):
            raise ConsumerLost("the consumer is gone")
        fresh = [message for message in self._intake.take_nowait() if message.position > self._seen]
        if fresh:
            self._seen = fresh[-1].position
        return fresh

    def overhear(self) -> CommandMessage | None:
        """See `Intake`."""
        message = self._intake.overhear()
        return None if self._node.happens("deaf", 0.1) else message

    async def discard(self, consumed: int) -> None:
        """See `Intake`."""
        await self._node.lag()
        if not self._node.happens("discard lost", 0.2):
            await self._intake.discard(consumed)

    async def close(self) -> None:
        """See `Intake`."""
        await self._intake.close()


class FaultyServerClock:
    """The clock of the server that keeps the log, far away, and not always to be asked."""

    def __init__(self, log: MemoryLog, node: Node) -> None:
        self._log = log
        self._node = node

    async def now_ns(self) -> int:
        """See `ServerClock`."""
        await self._asked()
        now = await self._log.now_ns()
        await self._node.lag()
        return now

    async def stored_ns(self, stream_seq: int) -> int:
        """See `ServerClock`."""
        await self._asked()
        return await self._log.stored_ns(stream_seq)

    async def _asked(self) -> None:
        await self._node.lag()
        if self._node.happens("server clock away", 0.02):
            raise ServerClockUnavailable("away")


class FaultyLease:
    """A lease whose keeper may be away: for a moment, or for this node, as long as `reached` says so."""

    def __init__(self, lease: MemoryLease, node: Node, reached: Callable[[], bool] = lambda: True) -> None:
        self._lease = lease
        self._node = node
        self._reached = reached

    @property
    def holder(self) -> str:
        """See `LeadershipLease`."""
        return self._lease.holder

    async def free(self) -> bool:
        """See `LeadershipLease`."""
        await self._reach()
        return await self._lease.free()

    async def acquire(self) -> bool:
        """See `LeadershipLease`."""
        await self._reach()
        return await self._lease.acquire()

    async def renew(self) -> bool:
        """See `LeadershipLease`."""
        await self._reach()
        return await self._lease.renew()

    async def release(self) -> None:
        """See `LeadershipLease`. A dead node releases nothing: its lease must run out."""
        if self._node.alive:
            if not self._reached():
                raise LeaseUnavailable("away")
            await self._lease.release()

    async def _reach(self) -> None:
        try:
            await asyncio.sleep(self._node.dice.random() * 0.3)
            await self._node.lag()
        except asyncio.CancelledError:  # As a client library was seen to do.
            if not self._node.alive or not self._node.happens("cancellation swallowed", 0.5):
                raise
        if not self._reached() or self._node.happens("lease keeper away", 0.02):
            raise LeaseUnavailable("away")


class FaultySnapshots:
    """Snapshots that may fail, or be a torn copy."""

    def __init__(self, snapshots: MemorySnapshots, node: Node) -> None:
        self._snapshots = snapshots
        self._node = node

    async def load(self) -> bytes | None:
        """See `Snapshots`."""
        if self._node.happens("snapshot away", 0.1):
            raise SnapshotsUnavailable("away")
        data = await self._snapshots.load()
        if data and self._node.happens("snapshot torn", 0.1):
            return data[: len(data) // 2]
        return data

    async def store(self, data: bytes) -> None:
        """See `Snapshots`."""
        await self._node.lag()
        await self._snapshots.store(data)

    async def store_access(self, data: bytes) -> None:
        """See `Snapshots`."""
        await self._node.lag()
        await self._snapshots.store_access(data)


class FaultyReplies:
    """Answers that come late, twice, or never."""

    def __init__(self, clients: "dict[str, asyncio.Queue[bytes]]", node: Node) -> None:
        self._clients = clients
        self._node = node

    async def send(self, reply_to: str, data: bytes) -> None:
        """See `Replies`."""
        await self._node.lag()
        if self._node.happens("answer lost", 0.05):
            return
        self._clients[reply_to].put_nowait(data)
        if self._node.happens("answer doubled", 0.05):
            late = self._node.dice.uniform(0, LATE_SECONDS_MAX)
            asyncio.get_running_loop().call_later(late, self._clients[reply_to].put_nowait, data)

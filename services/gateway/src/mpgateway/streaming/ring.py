"""The newest commits in memory, shared by every event stream of this process.

A commit's events are decoded when somebody in their workspace first looks, and each becomes bytes once, however many
clients get it. Clients are woken by commits of their own workspace alone.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from mpbus.reader import Commit
from mpschema.cloudevents import cloudevent_bytes
from mpschema.envelope import EventRecord

from mpgateway.streaming.cursor import START, Cursor

ANY = ""
"""Waits for commits of any workspace."""
DECODED_FACTOR = 2.5
"""The memory that a commit's decoded events take for each byte of the commit (measured)."""
FRAME_BYTES = 400
"""The memory that a frame takes beside its bytes (measured)."""


class _Tenant(msgspec.Struct):
    workspace_id: str


_tenants = msgspec.json.Decoder(_Tenant)


@dataclass(frozen=True, slots=True)
class Frame:
    """One event for the wire: what filters ask about, and its CloudEvents JSON as a server-sent event."""

    record: EventRecord
    sse: bytes
    json_at: int
    """The beginning of the JSON; it ends before the empty line. Kept once: memory limits how far back a ring goes."""

    @property
    def event_json(self) -> bytes:
        """The CloudEvents JSON alone."""
        return self.sse[self.json_at : -2]

    @property
    def cursor(self) -> Cursor:
        """The place after this event."""
        return Cursor(self.record.epoch, self.record.seq)


class FramedCommit:
    """A commit, and the frames of its events by workspace, made on demand."""

    __slots__ = ("_frames", "_grew", "bytes", "commit", "epoch", "first_seq", "last_seq", "workspaces")

    def __init__(self, commit: Commit, grew: Callable[[int], None] | None = None) -> None:
        header = commit.header
        self.bytes = len(commit.data)
        """About how much memory it takes, with what was made of it."""
        self._grew = grew
        self.commit = commit
        self.epoch = header.epoch
        self.first_seq = header.first_seq
        self.last_seq = header.first_seq + header.count - 1
        self.workspaces = {tenant.workspace_id for tenant in _tenants.decode_lines(commit.body)}
        self._frames: dict[str, list[Frame]] = {}

    @property
    def cursor(self) -> Cursor:
        """The place after this commit."""
        return Cursor(self.epoch, self.last_seq)

    def frames(self, workspace_id: str) -> list[Frame]:
        """The frames of one workspace's events, in order."""
        if workspace_id not in self.workspaces:
            return []
        frames = self._frames.get(workspace_id)
        if frames is None:
            frames = [self._frame(record) for record in self.commit.records if record.workspace_id == workspace_id]
            more = 0 if self._frames else int(DECODED_FACTOR * len(self.commit.data))
            more += sum(len(frame.sse) + FRAME_BYTES for frame in frames)
            self._frames[workspace_id] = frames
            self.bytes += more
            if self._grew is not None:
                self._grew(more)
        return frames

    def record(self, seq: int) -> EventRecord:
        """The event at a position that lies in this commit."""
        return self.commit.records[seq - self.first_seq]

    def _frame(self, record: EventRecord) -> Frame:
        event_json = cloudevent_bytes(record, self.commit.hash, self.commit.header.previous_hash)
        head = f"id: {record.epoch}:{record.seq}\nevent: {record.event_type}\ndata: ".encode()
        return Frame(record, b"%b%b\n\n" % (head, event_json), len(head))


SHUTDOWN = "shutdown"


class Ring:
    """Commits without a gap, oldest dropped first."""

    def __init__(self, bytes_max: int) -> None:
        """`bytes_max` bounds the commits with all that was made of them."""
        self._bytes_max = bytes_max
        self._bytes = 0
        self._commits: deque[FramedCommit] = deque()
        self._first_index = 0
        self._newest: dict[str, int] = {}
        self._waiters: dict[str, list[asyncio.Future[int]]] = {}
        self.cursor = START
        self.ending: str | None = None
        """The reason for which all streams are to end now; None while they go on."""

    def extend(self, commits: list[Commit]) -> None:
        """Add the next commits and wake those whose workspaces they touch."""
        touched, first_new = {ANY}, self.next_index
        for commit in commits:
            framed = FramedCommit(commit, self._grow)
            assert not self._commits or framed.first_seq == self.cursor.seq + 1, "G2: events are gapless"
            self._newest.update(dict.fromkeys(framed.workspaces, self.next_index))
            touched |= framed.workspaces
            self._commits.append(framed)
            self._bytes += framed.bytes
            self.cursor = framed.cursor
        self._shrink()
        self._wake(touched, first_new)

    def end(self, reason: str) -> None:
        """Tell all streams to say goodbye. The process's own end is the last word."""
        self.ending = self.ending if self.ending == SHUTDOWN else reason
        self.tick()

    def go_on(self, reason: str) -> None:
        """Streams may come again that were told to end for this reason; not those that end for another."""
        if self.ending == reason:
            self.ending = None

    def tick(self) -> None:
        """Let everybody who waits look again."""
        self._wake(list(self._waiters), self.next_index)

    def wake(self, workspace_id: str) -> None:
        """Let those who wait for a workspace look again."""
        self._wake([workspace_id], self.next_index)

    async def changed(self, workspace_id: str) -> int:
        """Wait for the next commit that touches a workspace (or `ANY`), for the end, or for the tick.

        Returns an index: from the start of the wait to there, nothing touched the workspace.
        """
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(workspace_id, []).append(waiter)
        return await waiter

    def index_of(self, seq: int) -> int | None:
        """The index of the commit that holds event `seq`; None when it is not here (any more, or yet)."""
        at = bisect_left(self._commits, seq, key=lambda commit: commit.last_seq)
        if at == len(self._commits) or self._commits[at].first_seq > seq:
            return None
        return self._first_index + at

    @property
    def next_index(self) -> int:
        """The index the next commit will have."""
        return self._first_index + len(self._commits)

    def newest(self, workspace_id: str) -> int:
        """The index of the newest commit read that touches a workspace, dropped or not; -1 when none did."""
        return self._newest.get(workspace_id, -1)

    def at(self, index: int) -> FramedCommit | None:
        """The commit at an index; None when it was dropped already. The index is below `next_index`."""
        return self._commits[index - self._first_index] if index >= self._first_index else None

    def _grow(self, more: int) -> None:
        self._bytes += more
        self._shrink()

    def _shrink(self) -> None:
        while self._bytes > self._bytes_max and len(self._commits) > 1:
            dropped = self._commits.popleft()
            self._bytes -= dropped.bytes
            self._first_index += 1

    def _wake(self, workspaces: Iterable[str], index: int) -> None:
        for workspace_id in workspaces:
            for waiter in self._waiters.pop(workspace_id, ()):
                if not waiter.done():
                    waiter.set_result(index)

"""The right to enter a workspace, known from the log itself: a request or stream rests on a look-up in memory.

The slice is as new as what this process has read of the log. So a yes holds as long as the log does not say otherwise,
and a no counts only once everything has been read that was there when it was asked.
"""

import asyncio
import time

import structlog
from mpbus.connect import BusClient
from mpbus.errors import BusError, LogIncomplete
from mpbus.marks import lacking
from mpbus.objects import access_object, load_object
from mpbus.reader import GENESIS, Commit, LogPosition, LogReader
from mpschema.rejections import Code
from mpviews.access import AccessSlice, concerning, open_part
from nats.errors import Error as NatsError

from mpgateway.auth.identity import Identity
from mpgateway.auth.refusals import Refusals
from mpgateway.http import retry_after
from mpgateway.problems import RequestRefused

SETTLE_SECONDS = 2.0
"""The wait of an unknown sender until the slice has reached the end of the log."""
LOAD_SECONDS = 30.0
LOST_SECONDS = 60.0
"""The time for which doors stay open by what is known, while NATS is away."""
AWAY = (BusError, NatsError, TimeoutError, OSError)
log = structlog.get_logger(__name__)


class Access:
    """The access slice of this process, and what follows from it. `extend` keeps it as new as the log that is read."""

    def __init__(
        self, nats: BusClient, reader: LogReader, shard: str, operators: frozenset[str], refusals: Refusals
    ) -> None:
        self._refusals = refusals
        self._nats = nats
        self._reader = reader
        self._shard = shard
        self._operators = operators
        self.slice = AccessSlice()
        self._moved = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self.settled_once = False
        """True once it has held all that was in the log: before, what it holds may have ended since."""

    async def begin(self) -> LogPosition:
        """Load what a kernel wrote down last, and say from where on the log has to be read. Raises what is `AWAY`.

        Raises `LogIncomplete`, which is one of them, while the log is being put back: what ended in the part that is
        still to come would be good again.
        """
        if lacks := await lacking(self._nats, self._shard, await self._reader.head()):
            raise LogIncomplete(lacks)
        try:
            data = await load_object(self._nats, access_object(self._shard), LOAD_SECONDS)
        except AWAY as error:
            log.warning("access.part_not_read", error=f"{type(error).__name__}: {error}", instead="the whole log")
            data = None
        opened = open_part(data) if data is not None else None
        if opened is None or not await self._is_of_this_log(opened[1]):
            self.slice = AccessSlice()
            return GENESIS
        self.slice, position = opened
        log.info("access.loaded", seq=position.seq, keys=len(self.slice.keys), bindings=len(self.slice.roles))
        return position

    async def _is_of_this_log(self, position: LogPosition) -> bool:
        commit = await self._reader.commit_at(position.stream_seq)
        return commit is not None and commit.hash == position.hash

    def extend(self, commits: list[Commit]) -> None:
        """Take in the next commits."""
        for commit in commits:
            last = commit.position.seq
            if last > self.slice.seq:
                for record in concerning(commit.body):
                    self.slice.fold(record)
                self.slice.seq = last
        self._refusals.extend(commits, old=not self.settled_once)
        self._moved.set()
        self._moved = asyncio.Event()

    def is_operator(self, principal: str) -> bool:
        """Tell whether the principal operates the installation: by the settings here, or by the last election."""
        return principal in self._operators or principal in self.slice.operators

    def ended(self, identity: Identity) -> str | None:
        """Say why the credential behind an identity is good no more; None while it is."""
        if identity.expires_at is not None and identity.expires_at <= time.time():
            return "expired"
        if identity.key_hash:
            held = self.slice.keys.get(identity.key_hash)
            return None if held is not None and not held.revoked else "revoked"
        if identity.session_id is not None and identity.workspace_id is not None:
            session = (identity.workspace_id, identity.session_id)
            if not self.slice.lives(*session):
                return "session_ended"
            return None if self.slice.has_token(*session, identity.token_id) else "revoked"
        return None

    @property
    def lost(self) -> bool:
        """True when this process has been without NATS for so long that what it knows may have ended meanwhile."""
        since = self._nats.lost_at
        return since is not None and time.monotonic() - since > LOST_SECONDS

    def may_enter(self, identity: Identity, workspace_id: str) -> bool:
        """Tell whether the identity has any business in a workspace. What it may do there is the kernel's to say."""
        if identity.workspace_id is not None and identity.workspace_id != workspace_id:
            return False
        if identity.session_id is not None or identity.operator:
            return True
        return bool(self.slice.roles_of(workspace_id, identity.principal)) or self.is_operator(identity.principal)

    async def settle(self) -> None:
        """Wait until the slice holds everything that is in the log now.

        Raises `RequestRefused` when it does not come so far. However many wait, the log is asked once at a time.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._settle(self._asking))
        try:
            await asyncio.shield(self._next)
        except AWAY as error:
            log.warning("access.not_settled", error=f"{type(error).__name__}: {error}", seq=self.slice.seq)
            detail = "who may enter cannot be told now: the log is not read to its end"
            raise RequestRefused(Code.UNAVAILABLE, detail, headers=retry_after(1)) from error

    async def _settle(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])  # It asked before those who wait here came: its answer may be too old.
        self._asking, self._next = self._next, None
        async with asyncio.timeout(SETTLE_SECONDS):
            head = await self._reader.head()
            while self.slice.seq < head.seq:
                await self._moved.wait()
        self.settled_once = True

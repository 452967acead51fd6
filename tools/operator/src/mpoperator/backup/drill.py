"""`mpctl backup drill`: a backup that was never restored is a hope. This restores one, in a place of its own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from mpbus.connect import connect
from mpbus.errors import BusError
from mpbus.reader import Commit, LogReader
from mpcli.output import err
from mpclient.client import AsyncClient
from mpclient.errors import ClientError, Rejected
from mpd.stack import ServerFailed, Stack, WheelMissing, free_port
from mpservice.rights import OPERATOR, RESTORE
from mpstore.readmodels import ProjectionsUnavailable
from mpstore.readmodels.dump import dump_tables
from mpviews.rows import Dump, fresh_fold
from nats.aio.client import Client

from mpoperator.backup import manifest as files
from mpoperator.backup.creation import create
from mpoperator.backup.manifest import Backup
from mpoperator.backup.restore import Restored, restore
from mpoperator.errors import Disproved, Finding, ServerGone, ToolRefused, said
from mpoperator.run import ToolResult
from mpoperator.site.cluster import GONE, cluster
from mpoperator.site.connections import archive
from mpoperator.site.settings import OperatorSettings

T = TypeVar("T")
_BEHIND = "SELECT count(*) FROM mp.projections WHERE position < $1"
_HALTED = "SELECT name, error FROM mp.projections WHERE state = 'halted'"
_FOLD_SECONDS_MAX = 600.0
_POLL_SECONDS = 0.2


class Drilled(ToolResult, frozen=True, kw_only=True):
    """A restoration that was rehearsed and holds."""

    backup: str
    events: int
    head: str
    state_root: str
    epoch: int
    rpo_events: int | None
    rpo_seconds: float | None
    rto_seconds: float
    steps: dict[str, float]
    """The duration of each step, in seconds."""
    tables: int
    rows: int
    kept: str | None = None

    def told(self) -> str:
        """See the base class."""
        return f"restored {self.events:,} events in a place apart; a command was decided after {self.rto_seconds:.1f} s"

    def details(self) -> list[list[str]]:
        """See the base class."""
        lost = "not known: the log as it is now cannot be read"
        if self.rpo_events is not None:
            lost = f"{self.rpo_events:,} events, {self.rpo_seconds:.1f} s of work"
        models = f"{self.rows:,} rows in {self.tables} tables, equal to a fresh fold" if self.tables else "not compared"
        steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.steps.items())
        return [
            ["RPO", lost],
            ["RTO", f"{self.rto_seconds:.1f} s ({steps})"],
            ["head", f"{self.head}, as in the backup"],
            ["state root", f"{self.state_root}, as in the backup"],
            ["read models", models],
            *([["kept", self.kept]] if self.kept else []),
        ]


async def drill(settings: OperatorSettings, folder: Path | None, *, compare: bool, keep: bool) -> Drilled:
    """Rehearse. Raises `Disproved` where the restored cluster is not what the backup was, `ServerGone` and so on."""
    place = _place()
    try:
        source = await _source(settings, folder, place)
        done = await _rehearse(settings, source, place, compare=compare, keep=keep)
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    return done


def _place() -> Path:
    place = Path(tempfile.mkdtemp(prefix="moduprompt-drill-"))
    # PostgreSQL may run as another user, who must be able to walk in. What is secret there has a mode of its own.
    place.chmod(0o711)
    return place


async def _source(settings: OperatorSettings, folder: Path | None, place: Path) -> Path:
    """The newest backup there is, or one taken now."""
    if folder is None:
        taken = place / "backup"
        _tell("taking a backup")
        await create(settings, taken, None)
        return taken
    found = files.newest(folder)
    if found is None:
        raise ToolRefused(f"there is no backup in {folder}: mpctl backup create {folder}/first")
    return found


async def _rehearse(settings: OperatorSettings, source: Path, place: Path, *, compare: bool, keep: bool) -> Drilled:
    backup = files.read(source)
    rpo_events, rpo_seconds = await _behind(settings, backup)
    stack = Stack(place / "cluster", shard=backup.shard, http_port=free_port())
    watch = _Watch()
    try:
        restored = await _restore(stack, source, watch)
        await watch.step("services", asyncio.to_thread(_start, stack, services=True))
        await watch.step("first command", _decide(stack))
        rto_seconds = watch.total
        tables = await watch.step("read models", _compare(stack)) if compare else {}
        await asyncio.to_thread(stack.stop)
    except (ServerFailed, WheelMissing) as error:
        raise ServerGone(f"the throw-away cluster: {said(error)}") from error
    finally:
        await asyncio.to_thread(stack.kill)
    return Drilled(
        backup=str(source),
        events=backup.seq,
        head=restored.head,
        state_root=restored.state_root,
        epoch=restored.epoch,
        rpo_events=rpo_events,
        rpo_seconds=rpo_seconds,
        rto_seconds=round(rto_seconds, 3),
        steps=watch.steps,
        tables=len(tables),
        rows=sum(map(len, tables.values())),
        kept=str(place) if keep else None,
    )


async def _restore(stack: Stack, source: Path, watch: _Watch) -> Restored:
    await watch.step("servers", asyncio.to_thread(_start, stack, services=False))
    target = OperatorSettings(
        nats_url=stack.nats_url,
        nats_nkey_seed_file=stack.bus(OPERATOR).nkey_seed_file,
        nats_restore_seed_file=stack.bus(RESTORE).nkey_seed_file,
        redis_user=OPERATOR,
        redis_password_file=stack.credentials.redis_password_file(OPERATOR),
        shard=stack.shard,
        replicas=1,
        postgres_owner_dsn=stack.postgres.dsn(),
        redis_url=stack.valkey.url,
    )
    return await watch.step("log", restore(target, source, drop=False, resume=False))


def _start(stack: Stack, *, services: bool) -> None:
    processes = stack.services if services else stack.servers
    for process in processes:
        process.spawn()
    for process in processes:
        process.wait_ready()
    if not services:
        stack.prepare()


async def _behind(settings: OperatorSettings, backup: Backup) -> tuple[int | None, float | None]:
    """Return how far the live log is ahead of a backup; not known where it cannot be read, or is another log."""
    async with cluster(settings) as live:
        try:
            head = await live.head() if live.nc else None
            at = await LogReader(live.nc, live.shard).commit_at(backup.stream_seq) if live.nc else None
        except (*GONE, BusError):
            return None, None
    if head is None or at is None or at.hash != backup.head:
        return None, None
    return head.position.seq - backup.seq, round((head.header.time_ms - backup.head_time_ms) / 1_000, 3)


async def _decide(stack: Stack) -> None:
    """One command, from a client to its outcome, by the way that clients take."""
    try:
        async with AsyncClient(stack.url, stack.root_key) as client:
            await client.workspaces.create(name="Drill")
    except Rejected as refused:
        detail = f"a command was refused: {refused.code} {refused.detail}"
        raise Disproved(Finding(where="state", detail=detail)) from refused
    except ClientError as error:
        raise ServerGone(f"the throw-away cluster decided no command: {said(error)}") from error


async def _compare(stack: Stack) -> Dump:
    """The read models, once they have folded everything and equal a fold without a database. Raises `Disproved`.

    The kernel is stopped first: leases and deadlines that passed since the backup go on being recorded otherwise.
    """
    for kernel in stack.kernels:
        await asyncio.to_thread(kernel.stop)
    nc = await connect(stack.bus(OPERATOR), "drill")
    try:
        commits = await _all_commits(nc, stack.shard)
    finally:
        await nc.close()
    await _folded(stack.postgres.dsn(), commits[-1].position.seq)
    wanted = await asyncio.to_thread(fresh_fold, commits)
    try:
        found = await dump_tables(stack.postgres.dsn())
    except ProjectionsUnavailable as error:
        raise ServerGone(f"the throw-away cluster's PostgreSQL: {said(error)}") from error
    if wrong := [name for name, rows in wanted.items() if found[name] != rows]:
        raise Disproved(Finding(where="read models", detail=f"{', '.join(wrong)} are not what a fresh fold gives"))
    return found


async def _all_commits(nc: Client, shard: str) -> list[Commit]:
    reader, commits = LogReader(nc, shard), list[Commit]()
    head = await reader.head()
    async for batch in reader.follow():
        commits += batch
        if commits[-1].stream_seq >= head.stream_seq:
            return commits
    raise AssertionError("a reader follows for ever")


async def _folded(dsn: str, seq: int) -> None:
    """Wait until every projection has folded an event. Raises `Disproved` when one halts or never does."""
    deadline = time.monotonic() + _FOLD_SECONDS_MAX
    async with archive(dsn) as database:
        while await database.fetchval(_BEHIND, seq):
            if halted := await database.fetchrow(_HALTED):
                detail = f"the projection {halted['name']} halted: {halted['error']}"
                raise Disproved(Finding(where="read models", detail=detail))
            if time.monotonic() > deadline:
                detail = f"not every projection has folded event {seq} after {_FOLD_SECONDS_MAX:g} s"
                raise Disproved(Finding(where="read models", detail=detail))
            await asyncio.sleep(_POLL_SECONDS)


class _Watch:
    """Measures steps, and tells a person which one is under way."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @property
    def total(self) -> float:
        """All steps so far, in seconds."""
        return sum(self.steps.values())

    async def step(self, name: str, work: Awaitable[T]) -> T:
        """Do this and note how long it took."""
        _tell(name)
        started = time.monotonic()
        done = await work
        self.steps[name] = round(time.monotonic() - started, 3)
        return done


def _tell(what: str) -> None:
    """A line for a person who waits."""
    if err().is_terminal:
        err().print(f"{what} …", style="dim")

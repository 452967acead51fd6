"""Sets the scene of the demo and hosts the processes of its agents, moved by the event stream alone."""

from __future__ import annotations

import asyncio
import secrets
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpclient.calls import order
from mpclient.client import AsyncClient
from mpclient.errors import Rejected, error_of
from mpschema import session, task
from mpschema.base import Event
from mpschema.board import Column
from mpschema.cloudevents import CloudEvent
from mpschema.problems import Problem
from mpschema.rejections import Code
from mpschema.task import TaskState
from msgspec.structs import replace

from mpdemo.assignment import Assignment
from mpdemo.lead import packaged_blueprint
from mpdemo.processes import Agents
from mpdemo.repository import DemoFinding, Repository

SECONDS_MAX = 900
TOKEN_TTL_SECONDS = 1_800


@dataclass(frozen=True)
class Plan:
    """The settings of one demo."""

    repository: Repository
    findings: list[DemoFinding]
    url: str
    workspace: str
    workers: int
    kill_worker: bool
    ttl_seconds: int
    check: str | None = None


@dataclass(frozen=True)
class Scene:
    """The names of one run of the demo."""

    run: str = field(default_factory=lambda: secrets.token_hex(3))

    @property
    def project(self) -> str:
        return f"demo-{self.run}"

    @property
    def board(self) -> str:
        return f"{self.project}-board"

    @property
    def lead(self) -> str:
        return f"{self.project}-lead"

    @property
    def channel(self) -> str:
        return f"{self.project}-findings"

    def task(self, number: int) -> str:
        """The id of the task of a finding, counted from 1."""
        return f"{self.project}-{number}"


class DemoFailed(Exception):
    """The story broke off; the message says where."""


class Director:
    """One run of the demo. Worktrees go to `folder`; `tell` is given every event of the workspace, in order."""

    def __init__(
        self, client: AsyncClient, plan: Plan, folder: Path, logs: Path, tell: Callable[[CloudEvent], None]
    ) -> None:
        self._client = client
        self._plan = plan
        self._folder = folder
        self._tell = tell
        self._agents = Agents(logs)
        self._hosting: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[str, int]] = []
        self._victim: str | None = None
        self._spawned = 0
        self._victim_claimed = False
        self._killed: str | None = None
        self._telling: asyncio.Task[None] | None = None
        self._broken: BaseException | None = None
        self._over = False
        self._finished = False
        self._position = ""
        self.scene = Scene()
        self.last_seq = 0
        """The last event of the story."""

    async def run(self) -> None:
        """The whole story. Raises `DemoFailed`, `TimeoutError`, or what the client raises."""
        scene, repository = self.scene, self._plan.repository
        opened = await self._client.projects.create(
            name=f"{repository.name}-{scene.run}", repo=str(repository.root), labels=("demo",), id=scene.project
        )
        self._position = f"{opened.epoch}:{opened.first_seq - 1}"
        async with asyncio.timeout(SECONDS_MAX), self._ending_everything():
            self._telling = asyncio.create_task(self._follow())
            self._host(self._set_scene())
            try:
                await self._telling
            except asyncio.CancelledError:
                if self._broken is None:
                    self._telling.cancel()
                    raise
                raise self._broken from None

    async def _follow(self) -> None:
        """Tell every event and react to it, until the lead has ended."""
        async with aclosing(self._client.events(after=self._position)) as events:
            async for event in events:
                self.last_seq = event.seq
                self._tell(event)
                if event.spec and await self._see(event, event.event):
                    self._finished = True
                    return

    async def _set_scene(self) -> None:
        """A board with limits, the tasks on it, and the lead."""
        scene, plan, client = self.scene, self._plan, self._client
        limit = max(1, plan.workers - 1)
        columns = (
            Column("To do", (TaskState.DRAFT, TaskState.READY)),
            Column("Doing", (TaskState.CLAIMED, TaskState.IN_PROGRESS), limit),
            Column("Review", (TaskState.IN_REVIEW,)),
            Column("Closed", (TaskState.DONE, TaskState.CANCELED)),
        )
        await client.boards.create(project_id=scene.project, name="demo", columns=columns, id=scene.board)
        lines = [
            order(
                task.CreateTask(
                    project_id=scene.project,
                    title=finding.title,
                    description=finding.description,
                    board_id=scene.board,
                    labels=("demo", finding.label),
                ),
                scene.task(number),
            )
            for number, finding in enumerate(plan.findings, 1)
        ]
        lines += [order(task.MarkTaskReady(), scene.task(number)) for number in range(1, len(plan.findings) + 1)]
        for answer in await client.batch(lines):
            if isinstance(answer, Problem):
                raise error_of(answer)
        blueprint = packaged_blueprint("lead")
        await client.sessions.spawn(
            blueprint=blueprint.ref,
            project_id=scene.project,
            limits=blueprint.session_limits,
            labels=tuple(blueprint.labels),
            purpose="lead",
            id=scene.lead,
        )
        await self._start("lead", self._job(scene.lead, plan.workers))

    async def _see(self, event: CloudEvent, fact: Event) -> bool:
        """React to one event; whether the story is over."""
        match fact:
            case session.SessionSpawned(parent_id=self.scene.lead):
                await self._worker_spawned(event.aggregate_id)
            case task.TaskClaimed(session_id=str(holder)) if holder == self._victim:
                await self._victim_has_claimed()
            case task.TaskStarted() if self._victim and event.sessionid == self._victim:
                await self._kill_victim(event.aggregate_id)
            case session.SessionCompleted() if event.aggregate_id == self.scene.lead:
                return True
            case session.SessionFailed(failure=failure, detail=detail) if event.aggregate_id == self.scene.lead:
                raise DemoFailed(f"the lead failed: {failure}, {detail}. The last worker said: {self._last_words()}")
            case session.SessionCanceled(reason=reason) if event.aggregate_id == self.scene.lead:
                raise DemoFailed(f"the lead was canceled: {reason}")
        return False

    async def _worker_spawned(self, worker: str) -> None:
        """Give the session a process. The one to be killed comes first; the others wait until it holds a claim."""
        self._spawned += 1
        if self._plan.kill_worker and self._spawned == 1:
            self._victim = worker
        elif self._victim and not self._victim_claimed:
            self._waiting.append((worker, self._spawned))
            return
        await self._start_worker(worker, self._spawned)

    async def _victim_has_claimed(self) -> None:
        self._victim_claimed = True
        waiting, self._waiting = self._waiting, []
        for worker, number in waiting:
            await self._start_worker(worker, number)

    async def _kill_victim(self, name: str) -> None:
        """Say so where everybody can read it, then do it."""
        worker, self._victim = self._victim, None
        assert worker is not None
        self._killed = worker
        pid = self._agents.pid(worker)
        title = next(
            each.title for number, each in enumerate(self._plan.findings, 1) if self.scene.task(number) == name
        )
        body = f"process {pid} of {worker} is killed with SIGKILL while it holds {title}"
        await self._client.channels.post(self.scene.channel, kind="notice", body=body)
        self._agents.kill(worker)

    async def _start_worker(self, worker: str, number: int) -> None:
        hangs = worker == self._victim
        await self._start("worker", replace(self._job(worker), number=number, hangs=hangs))

    async def _start(self, program: str, job: Assignment) -> None:
        """Make a token for the session, start its program with it, and look after the process."""
        issued = await self._client.sessions.issue_token(job.session, ttl_seconds=TOKEN_TTL_SECONDS)
        process = await self._agents.start(program, job, issued.token)
        self._host(self._look_after(job.session, process))

    async def _look_after(self, name: str, process: Process) -> None:
        """A program that ends badly by itself fails its session; one that was killed says nothing: its lease tells."""
        code = await process.wait()
        if code == 0 or self._over or name == self._killed:
            return
        detail = f"exit code {code}: {self._agents.last_words(name)}"[:2_000]
        try:
            await self._client.sessions.fail(name, failure="process_exited", detail=detail)
        except Rejected as refusal:
            if refusal.code != Code.INVALID_STATE:  # The session has ended already.
                raise
        if name == self._victim:
            await self._victim_has_claimed()

    def _last_words(self) -> str:
        """Return the last line in the log of the worker spawned last, or `nothing`."""
        return self._agents.last_words(f"{self.scene.project}-worker-{self._spawned}") or "nothing"

    def _job(self, name: str, workers: int = 1) -> Assignment:
        plan, scene = self._plan, self.scene
        return Assignment(
            url=plan.url,
            workspace=plan.workspace,
            session=name,
            project=scene.project,
            channel=scene.channel,
            position=self._position,
            repository=str(plan.repository.root),
            commit=plan.repository.commit,
            folder=str(self._folder),
            paths={scene.task(number): finding.path for number, finding in enumerate(plan.findings, 1)},
            ttl_seconds=plan.ttl_seconds,
            check=plan.check,
            workers=workers,
        )

    def _host(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it beside the story; what fails in it breaks the story off."""
        hosted = asyncio.create_task(work)
        self._hosting.add(hosted)
        hosted.add_done_callback(self._hosted)
        return hosted

    def _hosted(self, hosted: asyncio.Task[None]) -> None:
        self._hosting.discard(hosted)
        if not hosted.cancelled() and (error := hosted.exception()) and self._telling:
            self._broken = error
            self._telling.cancel()

    @asynccontextmanager
    async def _ending_everything(self) -> AsyncIterator[None]:
        """Whatever happens, no process is left, and what is still open is closed."""
        try:
            yield
        finally:
            self._over = True
            await self._agents.stop()
            for hosted in [*self._hosting]:
                hosted.cancel()
            await self._close_what_is_open()

    async def _close_what_is_open(self) -> None:
        """After a story that broke off: cancel the lead with all below it, and the tasks that are open."""
        if self._finished:
            return
        reason = "the demo was broken off"
        lines = [order(session.CancelSession(reason=reason), self.scene.lead)]
        lines += [
            order(task.CancelTask(reason=reason), self.scene.task(number))
            for number in range(1, len(self._plan.findings) + 1)
        ]
        # Refusals are fine: what was never made or has ended needs no end.
        await self._client.batch(lines)

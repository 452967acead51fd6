"""The program of a worker: claims tasks of its project one after the other, and proves what it did.

It knows nothing but its assignment and its agent token. It ends when every task is closed, or when its parent does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from mpclient.client import AsyncClient
from mpclient.errors import Rejected
from mpschema.envelope import Outcome
from mpschema.rejections import Code
from mpschema.task import Evidence, TaskState

from mpdemo.assignment import Assignment, run_agent
from mpdemo.checks import checks_for
from mpdemo.picture import Picture
from mpdemo.repository import Repository

_TAKEN = {Code.INVALID_STATE, Code.BLOCKED}
"""Refusals of a claim that are part of the game: another was faster."""


class DemoWorker:
    """One worker at work."""

    def __init__(self, client: AsyncClient, job: Assignment) -> None:
        self._client = client
        self._job = job
        self._repository = Repository(Path(job.repository), job.commit)
        self._picture = Picture(job.project)
        self._handed_in: set[str] = set()

    async def run(self) -> None:
        """Work until every task of the project is closed."""
        await self._client.sessions.start(self._job.session)
        async with self._looking_on():
            while not self._picture.settled:
                await self._turn()
        count = len(self._handed_in)
        result = f"{count} task{'' if count == 1 else 's'} handed in"
        await self._client.sessions.complete(self._job.session, result=result)

    @asynccontextmanager
    async def _looking_on(self) -> AsyncIterator[None]:
        following = self._client.events(after=self._job.position, aggregate="task")
        async with aclosing(following) as events, _beside(self._picture.follow(events)):
            yield

    async def _turn(self) -> None:
        """Claim one task and see it through; where there is none to claim, wait until that may have changed."""
        picture = self._picture
        seen, freed = picture.seq, picture.freed
        for task in self._in_order(picture.ready):
            try:
                claimed = await self._client.tasks.claim(
                    task, session_id=self._job.session, ttl_seconds=self._job.ttl_seconds
                )
            except Rejected as refusal:
                if refusal.code == Code.WIP_LIMIT_REACHED:
                    return await picture.until(lambda: picture.freed > freed or picture.settled)
                if refusal.code not in _TAKEN:
                    raise
            else:
                await self._reach(claimed)
                return await self._see_through(task, picture.fences[task])
        return await picture.until(lambda: picture.seq > seen)

    def _in_order(self, ready: list[str]) -> list[str]:
        """Each worker begins elsewhere, so that they seldom reach for the same task."""
        first = (self._job.number - 1) % max(1, len(ready))
        return ready[first:] + ready[:first]

    async def _see_through(self, task: str, fence: int) -> None:
        """From the claim to the verdict; work sent back is done again. Whoever loses the lease leaves it at that."""
        try:
            await self._client.tasks.start(task, fence=fence)
            if self._job.hangs:
                await asyncio.Event().wait()
            while True:
                await self._work(task, fence)
                await self._picture.until(lambda: self._picture.states[task] is not TaskState.IN_REVIEW)
                if self._picture.states[task] is not TaskState.IN_PROGRESS:
                    return
        except Rejected as refusal:
            if refusal.code not in (Code.STALE_FENCE, Code.INVALID_STATE):
                raise

    async def _work(self, task: str, fence: int) -> None:
        """Run the checks in a worktree of its own while the lease is kept alive, then hand in what they said."""
        async with _beside(self._keep_lease(task, fence)):
            evidence = await self._run_checks(task)
        for each in evidence:
            await self._client.channels.post(self._job.channel, kind=each.kind, body=each.summary)
        handed_in = await self._client.tasks.submit(task, fence=fence, evidence=evidence)
        self._handed_in.add(task)
        await self._reach(handed_in)

    async def _reach(self, outcome: Outcome) -> None:
        """Wait until the picture has what this command did."""
        await self._picture.until(lambda: self._picture.seq >= outcome.last_seq)

    async def _run_checks(self, task: str) -> list[Evidence]:
        path = self._job.paths[task]
        where = f"git:{self._repository.name}@{self._job.commit[:12]}:{path}"
        folder = Path(self._job.folder) / f"{self._job.session}-{task}"
        await asyncio.to_thread(self._repository.add_worktree, folder)
        try:
            return [await check.run(folder, where) for check in checks_for(path, self._job.check)]
        finally:
            await asyncio.to_thread(self._repository.remove_worktree, folder)

    async def _keep_lease(self, task: str, fence: int) -> None:
        """Renew at a third of the lease. A refusal ends it: the fence will refuse our evidence too."""
        ttl_seconds = self._job.ttl_seconds
        try:
            while True:
                await asyncio.sleep(ttl_seconds / 3)
                await self._client.tasks.renew(task, fence=fence, ttl_seconds=ttl_seconds)
        except Rejected:
            return


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let work run beside what is done meanwhile. What fails first ends the other, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(work)
            yield
            running.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def work(client: AsyncClient, job: Assignment) -> None:
    """The whole life of a worker."""
    await DemoWorker(client, job).run()


if __name__ == "__main__":
    run_agent(work)

"""The program of the lead: spawns the workers, judges their evidence, and sees to it that every task is closed.

It knows nothing but its assignment and its agent token.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from importlib.resources import files

from mpcli.blueprints import Blueprint, parse_blueprint
from mpclient.client import AsyncClient
from mpclient.errors import Rejected
from mpschema import session, task
from mpschema.base import Event
from mpschema.channel import Scope
from mpschema.cloudevents import CloudEvent
from mpschema.rejections import Code

from mpdemo.assignment import Assignment, run_agent
from mpdemo.reviewing import ReviewVerdict, judge

REPLACEMENTS_MAX = 3


def packaged_blueprint(name: str) -> Blueprint:
    """A blueprint that comes with the demo."""
    path = f"blueprints/{name}.yaml"
    return parse_blueprint(files("mpdemo").joinpath(path).read_bytes(), path)


class Lead:
    """One lead at work."""

    def __init__(self, client: AsyncClient, job: Assignment) -> None:
        self._client = client
        self._job = job
        self._open: set[str] = set()
        self._live: set[str] = set()
        self._spawned = 0
        self._begun_seq = 0
        self._gave_up = False
        self._rejections: Counter[str] = Counter()
        self._tally: Counter[str] = Counter()

    async def run(self) -> None:
        """Lead until every task is closed and every worker has ended."""
        job, client = self._job, self._client
        await client.sessions.start(job.session)
        await client.channels.open(session_id=job.session, scope=Scope.SUBTREE, name="findings", id=job.channel)
        for _ in range(job.workers):
            await self._spawn_worker()
        async with aclosing(client.events(after=job.position)) as events:
            async for event in events:
                if event.spec:
                    await self._see(event, event.event)
                if self._gave_up:
                    return
                if event.seq >= self._begun_seq and not self._live and not self._open:
                    break
        await client.sessions.complete(job.session, result=self._result())

    def _result(self) -> str:
        done, left, lost = self._tally["done"], self._tally["left"], self._tally["lost"]
        parts = [f"{done} done"]
        parts += [f"{left} left to people"] if left else []
        parts += [f"{lost} worker{'s' if lost > 1 else ''} lost"] if lost else []
        return ", ".join(parts)

    async def _spawn_worker(self) -> None:
        self._spawned += 1
        blueprint = packaged_blueprint("worker")
        outcome = await self._client.sessions.spawn(
            blueprint=blueprint.ref,
            parent_id=self._job.session,
            limits=blueprint.session_limits,
            labels=tuple(blueprint.labels),
            purpose=f"worker-{self._spawned}",
            id=f"{self._job.project}-worker-{self._spawned}",
        )
        self._live.add(outcome.target)
        self._begun_seq = outcome.last_seq

    async def _see(self, event: CloudEvent, fact: Event) -> None:
        """React to one event."""
        name = event.aggregate_id
        match fact:
            case task.TaskCreated(project_id=project) if project == self._job.project:
                self._open.add(name)
            case task.TaskSubmitted(evidence=evidence) if name in self._open:
                await self._judge(name, evidence)
            case task.TaskLeaseExpired(holder=holder) if name in self._open:
                await self._give_up(holder.removeprefix("agent:"), name)
            case task.TaskCompleted() | task.TaskCanceled():
                self._open.discard(name)
            case session.SessionCompleted() | session.SessionFailed() | session.SessionCanceled():
                self._live.discard(name)
                if self._open and not self._live:
                    await self._replace_workers()

    async def _replace_workers(self) -> None:
        """Spawn a worker for the open work when none is left; give up after a few, which are no accident any more."""
        if self._spawned < self._job.workers + REPLACEMENTS_MAX:
            await self._spawn_worker()
        else:
            await self._client.sessions.fail(self._job.session, failure="no_workers_left", detail="all of them ended")
            self._gave_up = True

    async def _judge(self, name: str, evidence: tuple[task.Evidence, ...]) -> None:
        judgement = judge(evidence, self._rejections[name])
        tasks = self._client.tasks
        match judgement.verdict:
            case ReviewVerdict.ACCEPT:
                await tasks.accept(name, note=judgement.reason)
                await tasks.complete(name)
                self._tally["done"] += 1
            case ReviewVerdict.REJECT:
                self._rejections[name] += 1
                await tasks.reject(name, reason=judgement.reason)
            case ReviewVerdict.CANCEL:
                await tasks.cancel(name, reason=judgement.reason)
                self._tally["left"] += 1

    async def _give_up(self, worker: str, name: str) -> None:
        """A worker that lets its lease run out is lost: its session ends, and the task is anyone's again."""
        if worker in self._live:
            self._tally["lost"] += 1
            detail = f"its lease on {name} expired"
            try:
                await self._client.sessions.fail(worker, failure="lease_expired", detail=detail)
            except Rejected as refusal:
                if refusal.code != Code.INVALID_STATE:  # It has ended by itself meanwhile.
                    raise


async def lead(client: AsyncClient, job: Assignment) -> None:
    """The whole life of a lead."""
    await Lead(client, job).run()


if __name__ == "__main__":
    run_agent(lead)

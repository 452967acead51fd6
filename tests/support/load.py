"""A load of real commands that never gives up on one, and the audit of the log afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from mpbus.errors import BusError
from mpbus.ids import new_command_id
from mpbus.producer import CommandProducer
from mpschema import channel, codec, project, session, task, workspace
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope, EventRecord, Outcome
from mpschema.registry import COMMANDS

T = TypeVar("T")

ROOT = "user:root"
_SPECS = {spec.arguments: spec for spec in COMMANDS.values()}


def command(workspace_id: str, target: str, arguments: Command, *, command_id: str = "") -> CommandEnvelope:
    """A command of the operator."""
    return _SPECS[type(arguments)].envelope(
        codec.encode(arguments),
        command_id=command_id or new_command_id(),
        workspace_id=workspace_id,
        principal=ROOT,
        target=target,
    )


async def insist(send: Callable[[], Awaitable[T]]) -> T:
    """Send a command as often as needed, always under the same id. Returns its outcome."""
    while True:
        try:
            return await send()
        except BusError:
            await asyncio.sleep(0.02)


@dataclass
class Load:
    """Clients that each work on tasks of their own, one command after the other."""

    producer: CommandProducer
    workspace_id: str = "acme"
    fence_floor: int = 0
    """The epoch in which the log was put back, if it was: tokens of claims go on from there."""
    pause_seconds: float = 0.0
    """The rest of a client between two commands."""
    acknowledged: dict[str, Outcome] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    """Commands that are durable and whose outcome nobody waits for: nobody will ask for them again."""
    waits: list[tuple[float, float]] = field(default_factory=list)
    """The time of sending and the duration of each command, in seconds of the monotonic clock."""

    async def prepare(self) -> None:
        """The workspace and project that the clients work in, a lead session and its channel."""
        await self.act(workspace.CreateWorkspace(name="Acme"), target=self.workspace_id)
        await self.act(project.CreateProject(name="core"), target="core")
        blueprint = session.BlueprintRef(name="lead", version="1.0.0", digest="a" * 64)
        await self.act(session.SpawnSession(blueprint=blueprint, project_id="core"), target="lead")
        await self.act(session.StartSession(), target="lead")
        await self.act(channel.OpenChannel(session_id="lead", scope=channel.Scope.SUBTREE, name="x"), target="talk")

    async def act(self, arguments: Command, *, target: str) -> Outcome:
        """Send one command and keep its outcome."""
        envelope = command(self.workspace_id, target, arguments)
        started = time.monotonic()
        outcome = await insist(partial(self.producer.submit, envelope, timeout_seconds=4))
        self.waits.append((started, time.monotonic() - started))
        self.acknowledged[envelope.command_id] = outcome
        return outcome

    async def leave(self, arguments: Command, *, target: str) -> None:
        """Send one command and wait no longer than until it is durable."""
        envelope = command(self.workspace_id, target, arguments)
        await insist(partial(self.producer.enqueue, envelope))
        self.left.add(envelope.command_id)

    async def run(self, clients: int, commands: int, until: asyncio.Event | None = None) -> None:
        """`commands` in all, spread over so many clients; more, until the event is set, where one is given."""
        each = commands // clients
        await asyncio.gather(*(self._client(number, each, until) for number in range(clients)))

    async def _client(self, number: int, commands: int, until: asyncio.Event | None) -> None:
        steps = 0
        while steps < commands or not (until is None or until.is_set()):
            limit = commands - steps if steps < commands else 1_000
            steps += await self._one_task(f"t{number}-{steps}", limit)

    async def _one_task(self, name: str, limit: int) -> int:
        claim, fence = task.ClaimTask(ttl_seconds=3600), self.fence_floor + 1
        script: list[tuple[str, Command]] = [
            (name, task.CreateTask(project_id="core", title=name)),
            (name, task.MarkTaskReady()),
            (name, claim),
            (name, task.StartTask(fence=fence)),
            ("talk", channel.PostMessage(kind="note", body=f"working on {name}")),
            (name, task.StartTask(fence=fence)),  # Refused: it is started already.
            (name, task.SubmitTask(fence=fence, evidence=(task.Evidence(kind="test", summary="green"),))),
            (name, task.AcceptTask()),
            (name, task.CompleteTask()),
        ]
        for target, arguments in script[:limit]:
            await self.act(arguments, target=target)
            if self.pause_seconds:
                await asyncio.sleep(self.pause_seconds)
        await self.leave(channel.PostMessage(kind="note", body=f"done with {name}"), target="talk")
        return min(limit, len(script))


def audit(records: list[EventRecord], acknowledged: dict[str, Outcome]) -> None:
    """Every acknowledged command has exactly one outcome, positions and versions have no gaps, epochs only rise."""
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert [record.epoch for record in records] == sorted(record.epoch for record in records)
    ids = Counter(record.id for record in records)
    assert not [event_id for event_id, count in ids.items() if count > 1]
    versions: dict[tuple[str, str, str], int] = {}
    for record in records:
        key = (record.workspace_id, record.aggregate, record.aggregate_id)
        versions[key] = versions.get(key, 0) + 1
        assert record.version == versions[key], f"{record.id} is version {record.version}, not {versions[key]}"
    outcomes = {record.command_id: record for record in records if record.digest is not None}
    for command_id, outcome in acknowledged.items():
        first = outcomes.get(command_id)
        assert first is not None, f"{command_id} was acknowledged and is not in the log"
        assert first.seq == outcome.first_seq, f"{command_id} was acknowledged at {outcome.first_seq}"
        assert (first.aggregate == "command") == (not outcome.accepted)

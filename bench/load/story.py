"""The mix of commands: each slot creates a task, offers it, claims it and says so in its channel, again and again.

Every command is accepted and becomes one event: so each baseline does the same number of the same things.
"""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from mpbus.ids import new_command_id
from mpbus.producer import CommandProducer
from mpschema import channel, codec, project, session, task, workspace
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.registry import COMMANDS

WORKSPACE = "acme"
PRINCIPAL = "user:root"
PROJECT = "core"
SLOTS_MAX = 1_024
_TYPES = {spec.arguments: spec.command_type for spec in COMMANDS.values()}
_DAY_SECONDS = 86_400  # No lease runs out while we measure.
_CREATE = codec.encode(
    task.CreateTask(
        project_id=PROJECT,
        title="Retry the login when the first attempt times out",
        description="The third attempt is never made: the counter is compared before it is raised. " * 2,
        labels=("login", "bug"),
    )
)
_READY = codec.encode(task.MarkTaskReady())
_CLAIM = codec.encode(task.ClaimTask(ttl_seconds=_DAY_SECONDS))
_POST = codec.encode(channel.PostMessage(kind="status", body="Claimed; I begin with the test that shows it. " * 3))


class Step(NamedTuple):
    """One command: its type, its target, and the exact bytes of its arguments."""

    type: str
    target: str
    payload: bytes

    def envelope(self) -> CommandEnvelope:
        """The command under a new id, as a producer sends it."""
        return COMMANDS[self.type].envelope(
            self.payload,
            command_id=new_command_id(),
            workspace_id=WORKSPACE,
            principal=PRINCIPAL,
            target=self.target,
        )


def channel_of(slot: int) -> str:
    """The channel a slot posts to. Slots never meet in one, so no baseline fights over versions."""
    return f"channel-{slot}"


def mix(nonce: str, slot: int) -> Iterator[Step]:
    """The commands of one slot, for ever."""
    number = 0
    while True:
        task_id = f"task-{nonce}-{slot}-{number}"
        yield Step("task.create", task_id, _CREATE)
        yield Step("task.mark_ready", task_id, _READY)
        yield Step("task.claim", task_id, _CLAIM)
        yield Step("channel.post", channel_of(slot), _POST)
        number += 1


def creations(nonce: str, slot: int) -> Iterator[Step]:
    """Nothing but new tasks."""
    number = 0
    while True:
        yield Step("task.create", f"task-{nonce}-{slot}-{number}", _CREATE)
        number += 1


class Stories:
    """One endless story for each slot, continued from window to window."""

    def __init__(self, nonce: str) -> None:
        self._slots = [mix(nonce, slot) for slot in range(SLOTS_MAX)]

    def next(self, slot: int) -> Step:
        """The slot's next command."""
        return next(self._slots[slot])


async def found(producer: CommandProducer) -> None:
    """The workspace, project, session and channels that the mix needs."""
    blueprint = session.BlueprintRef(name="bench", version="1.0.0", digest="ab" * 32)
    commands: list[tuple[str, Command]] = [
        (WORKSPACE, workspace.CreateWorkspace(name="Acme")),
        (PROJECT, project.CreateProject(name=PROJECT)),
        ("lead", session.SpawnSession(blueprint=blueprint, project_id=PROJECT)),
        ("lead", session.StartSession()),
    ]
    for target, arguments in commands:
        await _act(producer, target, arguments)
    opened = channel.OpenChannel(session_id="lead", scope=channel.Scope.PROJECT, name="bench")
    await asyncio.gather(*(_act(producer, channel_of(slot), opened) for slot in range(SLOTS_MAX)))


async def _act(producer: CommandProducer, target: str, arguments: Command) -> None:
    outcome = await producer.submit(Step(_TYPES[type(arguments)], target, codec.encode(arguments)).envelope())
    assert outcome.accepted, f"{_TYPES[type(arguments)]} was refused: {outcome.detail}"

"""Given what happened, when a command comes, then these facts or that refusal: the language of the core's tests.

A `Story` owns a world and runs commands through it as the kernel does: decide, record, fold. Time stands still until
`later` lets it pass, and then fires what is due.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, Self

import msgspec
from mpcore.access.policy import RoleAuthorizer
from mpcore.access.verdict import Authorizer
from mpcore.domain.aggregates import new_world
from mpcore.domain.sweep.index import sweeps
from mpcore.domain.task.index import tasks
from mpcore.domain.task.state import Task
from mpcore.engine.commit import PendingCommit
from mpcore.engine.decide import decide
from mpcore.engine.recorder import OutcomeRow, recorder_of
from mpcore.engine.shard import Shard
from mpcore.engine.timers import due
from mpcore.engine.turn import Turn
from mpcore.engine.undo import Undo
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import DecisionContext, Inputs
from mpcore.state.tenant import Tenant
from mpcore.state.world import World
from mpschema import levels
from mpschema.base import Command, Event
from mpschema.board import CreateBoard
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.principal import BindRole, Role
from mpschema.project import CreateProject
from mpschema.registry import COMMANDS, LOG_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.session import BlueprintRef, SessionLimits, SpawnSession, StartSession
from mpschema.task import ClaimTask, CreateTask, Evidence, MarkTaskReady, StartTask, SubmitTask
from mpschema.workspace import CreateWorkspace

ROOT = "user:root"
"""Operates the deployment; owns ACME because it created it."""
OWNER, OPERATOR, DEVELOPER = "user:olga", "user:oskar", "user:dora"
RUNNER, VIEWER, STRANGER = "service:runner", "user:vera", "user:sam"
ACME, CORE = "acme", "core"
START_MS = 1_750_000_000_000
BLUEPRINT = BlueprintRef("reviewer", "1.0.0", "ab" * 32)
EVIDENCE = (Evidence("test", "all green"),)
AUTHORIZER = RoleAuthorizer()
COMMAND_TYPES = {spec.arguments: kind for kind, spec in (COMMANDS | LOG_COMMANDS).items()}


class Step(NamedTuple):
    """One command of a story: who says what of which thing."""

    arguments: Command
    target: str
    by: str = DEVELOPER
    session_id: str | None = None
    expected_version: int | str = "any"
    workspace_id: str = ACME

    def envelope(self, number: int) -> CommandEnvelope:
        """The command on the wire. An agent says which session it is."""
        session_id = self.session_id
        if session_id is None and self.by.startswith("agent:"):
            session_id = self.by.removeprefix("agent:")
        return CommandEnvelope(
            command_id=f"cmd-{number}",
            type=COMMAND_TYPES[type(self.arguments)],
            workspace_id=self.workspace_id,
            principal=self.by,
            target=self.target,
            session_id=session_id,
            expected_version=self.expected_version,  # type: ignore[arg-type]  # a str here is always "any"
        )


class Answer:
    """What came of a command."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts it became; it must have been accepted."""
        assert not isinstance(self.decision, Rejection), self.decision
        return self.decision

    def then(self, *events: Event) -> None:
        """It became exactly these events, in this order."""
        assert tuple(fact.event for fact in self.facts) == events

    def then_accepted(self) -> None:
        """It became something."""
        assert self.facts

    def then_rejected(self, code: Code) -> Rejection:
        """It was refused for this reason."""
        assert isinstance(self.decision, Rejection), f"accepted: {self.decision}"
        assert self.decision.code is code, self.decision
        return self.decision


def _fact(record: EventRecord) -> Fact:
    return Fact(record.aggregate, record.aggregate_id, record.event)


class Story:
    """A world and what happens in it."""

    def __init__(self) -> None:
        self.world = new_world(frozenset({ROOT}))
        self.world.feature_level = levels.FEATURE_LEVEL
        self.now_ms = START_MS
        self.commands = 0
        self.told: list[tuple[str, Fact]] = []
        """Everything recorded, with its workspace."""
        self.records: list[EventRecord] = []
        """The same, as the log would carry it."""
        self.undo: Undo | None = None
        """The way back, for what is recorded from now on."""

    def given(self, *steps: Step) -> Self:
        """These commands were accepted."""
        for step in steps:
            self.when(step).then_accepted()
        return self

    def when(self, step: Step) -> Answer:
        """This command comes."""
        commit = self._commit()
        decision = self._decided(step, commit, AUTHORIZER)
        self._keep(commit)
        return Answer(decision)

    def ask(self, step: Step, authorizer: Authorizer = AUTHORIZER) -> Decision:
        """Return what would be decided now, and leave everything as it was."""
        commit = self._commit()
        decision = self._decided(step, commit, authorizer)
        commit.undo.run()
        return decision

    def later(self, seconds: int) -> list[Fact]:
        """Let time pass, and return what was recorded because of it."""
        self.now_ms += seconds * 1_000
        turn = self._commit()
        for timer in due(self.world, self.now_ms, 1_000):
            turn.fire(timer)
        assert not turn.faults, turn.faults
        return self._keep(turn)

    def at_rest(self) -> Self:
        """Let every sweep go to its end."""
        while any(sweeps(tenant).running for tenant in self.world.tenants.values()):
            self.now_ms += 10
            self.later(0)
        return self

    def record(self, workspace_id: str, facts: tuple[Fact, ...]) -> None:
        """Fold facts as the log would carry them."""
        commit = self._commit()
        for fact in facts:
            commit.record(fact, workspace_id, f"event:{self.world.seq + 1}", "kernel")
        self._keep(commit)

    def _commit(self) -> Turn:
        return Turn(Shard(self.world), 1, self.now_ms, AUTHORIZER)

    def _decided(self, step: Step, commit: PendingCommit, authorizer: Authorizer) -> Decision:
        self.commands += 1
        envelope, inputs = step.envelope(self.commands), Inputs(self.now_ms)
        recorder = recorder_of(commit, inputs, OutcomeRow(envelope.command_id, 0, 0), envelope)
        context = DecisionContext(inputs, recorder, envelope, step.target, step.arguments)
        decision, _ = decide(context, authorizer)
        if isinstance(decision, Rejection):
            commit.back(0)
            return decision
        for fact in decision:
            recorder.record(fact)
        return tuple(_fact(record) for record, _ in commit.undo.replaced)

    def _keep(self, commit: PendingCommit) -> list[Fact]:
        """Remember what a commit recorded."""
        records = [record for record, _ in commit.undo.replaced]
        self.records += records
        self.told += [(record.workspace_id, _fact(record)) for record in records]
        if self.undo is not None:
            self.undo.replaced += commit.undo.replaced
        return [_fact(record) for record in records]

    @property
    def tenant(self) -> Tenant:
        """The workspace most stories play in."""
        return self.world.tenants[ACME]

    def task(self, task_id: str = "t1") -> Task:
        """A task as it is now."""
        return tasks(self.tenant).by_id[task_id]


def acme() -> Story:
    """A workspace with someone in every role, and an open project."""
    roles = {
        OWNER: Role.OWNER,
        OPERATOR: Role.OPERATOR,
        DEVELOPER: Role.DEVELOPER,
        RUNNER: Role.AGENT,
        VIEWER: Role.VIEWER,
    }
    story = Story().given(Step(CreateWorkspace("Acme"), ACME, ROOT))
    story.given(*(Step(BindRole(role), principal, ROOT) for principal, role in roles.items()))
    return story.given(Step(CreateProject("Core"), CORE))


def task(task_id: str = "t1", board_id: str | None = None, project_id: str = CORE) -> Step:
    """A task is created."""
    return Step(CreateTask(project_id, f"Do {task_id}", board_id=board_id), task_id)


def ready(task_id: str = "t1") -> Step:
    """A task is offered."""
    return Step(MarkTaskReady(), task_id)


def claimed(task_id: str = "t1", session_id: str | None = None, ttl_seconds: int = 300) -> Step:
    """A task is claimed."""
    return Step(ClaimTask(session_id, ttl_seconds), task_id)


def in_review(task_id: str = "t1", session_id: str | None = None, fence: int = 1) -> tuple[Step, ...]:
    """From a fresh draft to a task that is handed in."""
    work = (Step(StartTask(fence), task_id), Step(SubmitTask(fence, EVIDENCE), task_id))
    return (ready(task_id), claimed(task_id, session_id), *work)


def board(*columns: object, board_id: str = "b1") -> Step:
    """A board is created in the project."""
    return Step(msgspec.convert({"project_id": CORE, "name": "Board", "columns": columns}, CreateBoard), board_id)


def spawned(
    session_id: str, parent_id: str | None = None, *, limits: SessionLimits | None = None, project_id: str | None = None
) -> Step:
    """A session is asked for."""
    return Step(SpawnSession(BLUEPRINT, project_id, parent_id, limits=limits), session_id)


def active(session_id: str, parent_id: str | None = None, *, limits: SessionLimits | None = None) -> tuple[Step, ...]:
    """A session is asked for, and runs."""
    return (spawned(session_id, parent_id, limits=limits), Step(StartSession(), session_id))


def family() -> Story:
    """A lineage that runs: `lead` above `left` and `right`, `leaf` below `left`; and a stranger, `other`."""
    lineage = {"lead": None, "left": "lead", "right": "lead", "leaf": "left", "other": None}
    return acme().given(*(step for name, parent_id in lineage.items() for step in active(name, parent_id)))


def picture(world: World) -> object:
    """Everything that a world holds, as a value that can be compared."""
    tenants = {
        name: (
            {
                aggregate: (list(index.by_id.items()), copy.deepcopy(index))
                for aggregate, index in tenant.indexes.items()
            },
            tenant.closed,
        )
        for name, tenant in world.tenants.items()
    }
    position = (world.seq, world.epoch, world.time_ms, world.log_version, world.operators)
    level = (world.feature_level, world.fence_floor)
    return tenants, position, level, dict(world.deadlines.due_of)


def before(story: Story) -> Story:
    """The same in a log that an earlier release began: without follow-ups and sweeps."""
    story.world.feature_level = levels.HOUSE_LEVEL - 1
    return story

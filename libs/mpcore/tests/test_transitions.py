"""Every state times every command: allowed exactly where the table says so, and leading exactly where it says.

The table is what `decide` reads, and what the diagrams are drawn from; the paths here are walked by real commands.
"""

from collections.abc import Mapping

import pytest
from mpcore.access.policy import SYSTEM_COMMANDS
from mpcore.domain.aggregates import AGGREGATES, BY_NAME
from mpcore.domain.board import rules as board
from mpcore.domain.board.state import BoardState
from mpcore.domain.channel import rules as channel
from mpcore.domain.channel.state import ChannelState
from mpcore.domain.project import rules as project
from mpcore.domain.project.state import ProjectState
from mpcore.domain.session import rules as session
from mpcore.domain.task import rules as task
from mpcore.domain.webhook import rules as webhook
from mpcore.domain.workspace import rules as workspace
from mpcore.domain.workspace.state import WorkspaceState
from mpschema import board as board_words
from mpschema import channel as channel_words
from mpschema import project as project_words
from mpschema import session as session_words
from mpschema import task as task_words
from mpschema import webhook as webhook_words
from mpschema import workspace as workspace_words
from mpschema.base import Command
from mpschema.channel import OpenChannel, Scope
from mpschema.registry import COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.session import SessionState
from mpschema.task import TaskState
from mpschema.webhook import WORKER, WebhookState

from libs.mpcore.tests import story as told
from libs.mpcore.tests.story import ACME, COMMAND_TYPES, CORE, EVIDENCE, ROOT, Step, Story, acme

WORKED = (told.ready(), told.claimed(), Step(task_words.StartTask(1), "t1"))
HANDED_IN = (*WORKED, Step(task_words.SubmitTask(1, EVIDENCE), "t1"))
CLOSING = (Step(task_words.AcceptTask(), "t1"), Step(task_words.CompleteTask(), "t1"))
RUNNING = told.active("s1")
HOOKED = Step(webhook_words.CreateWebhook("https://ci.example"), "w1", ROOT)
FREEZE = Step(workspace_words.FreezeWorkspace("x"), ACME, ROOT)

PATHS: Mapping[str, Mapping[str, tuple[Step, ...]]] = {
    "task": {
        TaskState.DRAFT: (),
        TaskState.READY: WORKED[:1],
        TaskState.CLAIMED: WORKED[:2],
        TaskState.IN_PROGRESS: WORKED,
        TaskState.IN_REVIEW: HANDED_IN,
        TaskState.BLOCKED: (*WORKED, Step(task_words.BlockTask("x"), "t1")),
        TaskState.DONE: (*HANDED_IN, *CLOSING),
        TaskState.CANCELED: (*WORKED, Step(task_words.CancelTask(), "t1")),
    },
    "session": {
        SessionState.REQUESTED: RUNNING[:1],
        SessionState.ACTIVE: RUNNING,
        SessionState.PAUSED: (*RUNNING, Step(session_words.PauseSession(), "s1")),
        SessionState.COMPLETED: (*RUNNING, Step(session_words.CompleteSession(), "s1")),
        SessionState.FAILED: (*RUNNING, Step(session_words.FailSession("x"), "s1")),
        SessionState.CANCELED: (*RUNNING, Step(session_words.CancelSession(), "s1")),
    },
    "project": {
        ProjectState.OPEN: (),
        ProjectState.ARCHIVED: (Step(project_words.ArchiveProject(), CORE),),
    },
    "board": {
        BoardState.OPEN: (told.board(),),
        BoardState.ARCHIVED: (told.board(), Step(board_words.ArchiveBoard(), "b1")),
    },
    "channel": {
        ChannelState.OPEN: (*RUNNING, Step(OpenChannel("s1", Scope.SELF, "talk"), "c1")),
        ChannelState.CLOSED: (
            *RUNNING,
            Step(OpenChannel("s1", Scope.SELF, "talk"), "c1"),
            Step(channel_words.PostMessage("note", "x"), "c1"),
            Step(channel_words.CloseChannel(), "c1"),
        ),
    },
    "webhook": {
        WebhookState.ACTIVE: (HOOKED,),
        WebhookState.PAUSED: (HOOKED, Step(webhook_words.PauseWebhook(), "w1", ROOT)),
        WebhookState.REMOVED: (HOOKED, Step(webhook_words.RemoveWebhook(), "w1", ROOT)),
    },
    "workspace": {
        WorkspaceState.ACTIVE: (),
        WorkspaceState.FROZEN: (FREEZE,),
        WorkspaceState.ARCHIVED: (Step(workspace_words.ArchiveWorkspace(), ACME, ROOT),),
    },
}
TARGETS = {
    "task": "t1",
    "session": "s1",
    "project": CORE,
    "board": "b1",
    "channel": "c1",
    "webhook": "w1",
    "workspace": ACME,
}
PARKED = Step(webhook_words.ParkKey("task/t1", 1, "x", 1), "w1", WORKER)
REQUEUED = Step(webhook_words.RequeueKeys(), "w1", ROOT)
ARGUMENTS: tuple[Command, ...] = (
    task_words.EditTask(title="x"),
    task_words.LinkTask(task_words.LinkKind.RELATES, "t2"),
    task_words.UnlinkTask(task_words.LinkKind.RELATES, "linked"),
    task_words.MarkTaskReady(),
    task_words.ClaimTask(),
    task_words.RenewTask(1),
    task_words.ReleaseTask(1),
    task_words.StartTask(1),
    task_words.SubmitTask(1, EVIDENCE),
    task_words.AcceptTask(),
    task_words.RejectTask("x"),
    task_words.BlockTask("x"),
    task_words.UnblockTask(),
    task_words.CompleteTask(),
    task_words.CancelTask(),
    task_words.ReopenTask(),
    session_words.StartSession(),
    session_words.PauseSession(),
    session_words.ResumeSession(),
    session_words.CompleteSession(),
    session_words.FailSession("x"),
    session_words.CancelSession(),
    session_words.IssueSessionToken(),
    session_words.RevokeSessionTokens(),
    project_words.ConfigureProject(),
    project_words.ArchiveProject(),
    board_words.AddColumn("x"),
    board_words.MapColumn("first", ()),
    board_words.LimitColumn("first"),
    board_words.ReorderColumns(("first",)),
    board_words.ArchiveBoard(),
    channel_words.PostMessage("note", "x"),
    channel_words.AckMessages(1),
    channel_words.CloseChannel(),
    webhook_words.ConfigureWebhook(),
    webhook_words.PauseWebhook(),
    webhook_words.ResumeWebhook(),
    webhook_words.RemoveWebhook(),
    webhook_words.RotateWebhookSecret(),
    webhook_words.ParkKey("task/t1", 1, "x", 1),
    webhook_words.RequeueKeys(),
    webhook_words.ClearKey("task/t1"),
    workspace_words.RenameWorkspace("x"),
    workspace_words.FreezeWorkspace("x"),
    workspace_words.ThawWorkspace(),
    workspace_words.ArchiveWorkspace(),
)
CLOSED_CODES = {Code.ARCHIVED, Code.INVALID_STATE, Code.STALE_FENCE, Code.FROZEN}


def aggregate_of(arguments: Command) -> str:
    return next(spec.aggregate for spec in COMMANDS.values() if spec.arguments is type(arguments))


GRID = [(arguments, state) for arguments in ARGUMENTS for state in PATHS[aggregate_of(arguments)]]


def at(aggregate: str, state: str, arguments: Command) -> Story:
    """A story in which the aggregate has come to this state."""
    story = acme().given(told.task("t1"), told.task("t2"), told.task("linked"))
    if aggregate == "task":
        story.given(Step(task_words.LinkTask(task_words.LinkKind.RELATES, "linked"), "t1"))
    created, *rest = PATHS[aggregate][state] or (None,)
    story.given(*([created] if created else []))
    if isinstance(arguments, webhook_words.RequeueKeys | webhook_words.ClearKey):
        story.given(PARKED)
    if isinstance(arguments, webhook_words.ClearKey):
        story.given(REQUEUED)
    story.given(*rest)
    if aggregate == "board" and state is BoardState.OPEN:
        story.given(Step(board_words.AddColumn("first"), "b1"))
    if isinstance(arguments, task_words.CompleteTask) and state is TaskState.IN_REVIEW:
        story.given(CLOSING[0])
    if isinstance(arguments, channel_words.AckMessages) and state is ChannelState.OPEN:
        story.given(Step(channel_words.PostMessage("note", "x"), "c1"))
    return story


@pytest.mark.parametrize(("arguments", "state"), GRID)
def test_a_command_is_allowed_where_its_table_says_so(arguments: Command, state: str) -> None:
    aggregate = aggregate_of(arguments)
    rule = BY_NAME[aggregate].rules[type(arguments)]
    story, target = at(aggregate, state, arguments), TARGETS[aggregate]
    only_system = COMMAND_TYPES[type(arguments)] in SYSTEM_COMMANDS[WORKER]
    decision = story.when(Step(arguments, target, WORKER if only_system else ROOT)).decision
    after = story.tenant.indexes[aggregate].by_id[target].state
    if state in rule.sources:
        assert not isinstance(decision, Rejection), decision
        assert after in (rule.targets or (state,))
    else:
        assert isinstance(decision, Rejection)
        assert decision.code in CLOSED_CODES
        assert after == state


def test_the_grid_covers_every_command_that_has_a_table() -> None:
    rules = [each for aggregate in AGGREGATES for each in aggregate.rules.items()]
    with_table = {arguments for arguments, rule in rules if rule.sources and not rule.by_kernel}
    assert {type(arguments) for arguments in ARGUMENTS} == with_table


@pytest.mark.parametrize(
    ("module", "states"),
    [
        (task, TaskState),
        (session, SessionState),
        (project, ProjectState),
        (board, BoardState),
        (channel, ChannelState),
        (webhook, WebhookState),
        (workspace, WorkspaceState),
    ],
)
def test_every_state_can_be_reached(module: object, states: type[TaskState]) -> None:
    targets = {target for rule in module.RULES.values() for target in rule.targets}  # type: ignore[attr-defined]
    assert targets == set(states)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_rule_and_every_event_it_may_become_is_folded(command: str) -> None:
    spec = COMMANDS[command]
    folded = {event for aggregate in AGGREGATES for event in aggregate.evolve}
    assert spec.arguments in BY_NAME[spec.aggregate].rules
    assert set(spec.emits) <= folded

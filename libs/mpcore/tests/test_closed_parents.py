"""What becomes of the children when a parent is closed: nothing begins any more, and what was begun can be ended."""

import pytest
from mpschema.base import Command
from mpschema.board import AddColumn, ArchiveBoard, Column, LimitColumn, MapColumn, ReorderColumns
from mpschema.project import ArchiveProject
from mpschema.rejections import Code
from mpschema.session import CancelSession, CompleteSession, SpawnSession
from mpschema.task import (
    AcceptTask,
    BlockTask,
    CancelTask,
    CompleteTask,
    EditTask,
    RejectTask,
    ReleaseCause,
    ReleaseTask,
    RenewTask,
    ReopenTask,
    StartTask,
    SubmitTask,
    TaskRejected,
    TaskReleased,
    TaskState,
    UnblockTask,
)
from mpschema.webhook import CreateWebhook, RemoveWebhook
from mpschema.workspace import ArchiveWorkspace, FreezeWorkspace, ThawWorkspace

from libs.mpcore.tests.story import (
    ACME,
    BLUEPRINT,
    CORE,
    EVIDENCE,
    OWNER,
    Step,
    Story,
    acme,
    active,
    board,
    claimed,
    in_review,
    ready,
    task,
)

ARCHIVE = Step(ArchiveProject(), CORE)
BLOCKED = Step(BlockTask("waits"), "t1")
BEFORE = 2
"""The feature level before closing a parent meant anything."""
TODO = Column("todo", (TaskState.READY,), 1)


def on_task(command: Command) -> Step:
    return Step(command, "t1")


BEGINNINGS = {
    "claim": ((ready(),), claimed()),
    "offer": ((), ready()),
    "reopen": ((on_task(CancelTask("no")),), on_task(ReopenTask("yes"))),
    "offer again what was blocked": ((ready(), BLOCKED), on_task(UnblockTask())),
    "run a session for it": ((), Step(SpawnSession(BLUEPRINT, task_id="t1"), "s1")),
}


@pytest.mark.parametrize(("before", "beginning"), BEGINNINGS.values(), ids=list(BEGINNINGS))
def test_nothing_begins_for_a_task_of_an_archived_project(before: tuple[Step, ...], beginning: Step) -> None:
    story = acme().given(task(), *before, ARCHIVE)
    refused = story.when(beginning).then_rejected(Code.ARCHIVED)
    assert refused.detail == f"project {CORE} is archived"


@pytest.mark.parametrize(("before", "beginning"), BEGINNINGS.values(), ids=list(BEGINNINGS))
def test_before_the_level_a_task_goes_on_as_it_did(before: tuple[Step, ...], beginning: Step) -> None:
    story = acme()
    story.world.feature_level = BEFORE
    story.given(task(), *before, ARCHIVE).when(beginning).then_accepted()


@pytest.mark.parametrize(
    "ending",
    [
        (on_task(StartTask(1)), on_task(SubmitTask(1, EVIDENCE)), on_task(AcceptTask()), on_task(CompleteTask())),
        (on_task(RenewTask(1, 60)), on_task(ReleaseTask(1)), on_task(EditTask("It")), on_task(CancelTask("no"))),
        (
            on_task(StartTask(1)),
            on_task(SubmitTask(1, EVIDENCE)),
            on_task(RejectTask("more")),
            on_task(CancelTask("no")),
        ),
        (BLOCKED, on_task(CancelTask("no"))),
    ],
)
def test_what_was_begun_in_an_archived_project_can_be_finished(ending: tuple[Step, ...]) -> None:
    acme().given(task(), ready(), claimed(), ARCHIVE, *ending)


def test_what_was_never_offered_may_become_a_draft_again() -> None:
    acme().given(task(), BLOCKED, ARCHIVE, on_task(UnblockTask()))


@pytest.mark.parametrize("shaping", [AddColumn("more"), MapColumn("todo", ()), ReorderColumns(("todo",))])
def test_a_board_of_an_archived_project_keeps_its_shape_and_never_holds_back_what_is_finished(shaping: Command) -> None:
    story = acme().given(board(TODO), ARCHIVE)
    story.when(Step(shaping, "b1")).then_rejected(Code.ARCHIVED)
    story.given(Step(LimitColumn("todo"), "b1"), Step(ArchiveBoard(), "b1"))


def test_a_workspace_is_not_archived_while_a_session_lives() -> None:
    story = acme().given(*active("lead"), *active("leaf", "lead"))
    refused = story.when(Step(ArchiveWorkspace(), ACME, OWNER)).then_rejected(Code.INVALID_STATE)
    assert refused.detail == f"workspace {ACME} has 2 live sessions: cancel them"
    story.given(Step(FreezeWorkspace("incident"), ACME, OWNER))
    refused = story.when(Step(ArchiveWorkspace(), ACME, OWNER)).then_rejected(Code.INVALID_STATE)
    assert refused.detail.endswith("thaw it, and cancel them")
    story.given(Step(ThawWorkspace(), ACME, OWNER), Step(CancelSession(), "lead"))
    story.when(Step(ArchiveWorkspace(), ACME, OWNER)).then_accepted()


def test_before_the_level_a_workspace_is_archived_whatever_lives_in_it() -> None:
    story = acme().given(*active("lead"))
    story.world.feature_level = BEFORE
    story.when(Step(ArchiveWorkspace(), ACME, OWNER)).then_accepted()


@pytest.mark.parametrize("closing", [FreezeWorkspace("incident"), ArchiveWorkspace()])
def test_a_webhook_can_be_removed_from_a_closed_workspace(closing: Command) -> None:
    webhook = Step(CreateWebhook("https://ci.example/"), "w1", OWNER)
    removal = Step(RemoveWebhook(), "w1", OWNER)
    story = acme().given(webhook, Step(closing, ACME, OWNER))
    story.world.feature_level = BEFORE
    assert story.when(removal).then_rejected(story.tenant.closed.code)  # type: ignore[union-attr]  # it is closed
    story.world.feature_level = BEFORE + 1
    story.when(removal).then_accepted()


def handed_in_by_an_ended_session() -> Story:
    """A task in review whose session has completed."""
    story = acme().given(task(), *active("s1"), *in_review(session_id="s1"), Step(CompleteSession(), "s1"))
    assert story.task().state is TaskState.IN_REVIEW
    return story


def test_work_of_an_ended_session_that_is_sent_back_is_free_at_once() -> None:
    story = handed_in_by_an_ended_session()
    holder = story.task().holder
    rejected, released = (fact.event for fact in story.when(on_task(RejectTask("more"))).facts)
    assert isinstance(rejected, TaskRejected)
    assert released == TaskReleased(1, holder, ReleaseCause.SESSION_ENDED)
    assert (story.task().state, story.task().holder) == (TaskState.READY, "")
    story.given(claimed())


def test_work_of_a_live_session_that_is_sent_back_stays_its_own() -> None:
    story = acme().given(task(), *active("s1"), *in_review(session_id="s1"), on_task(RejectTask("more")))
    assert (story.task().state, story.task().session_id) == (TaskState.IN_PROGRESS, "s1")


def test_before_the_level_work_of_an_ended_session_waits_for_its_lease() -> None:
    story = handed_in_by_an_ended_session()
    story.world.feature_level = BEFORE
    story.given(on_task(RejectTask("more")))
    assert story.task().state is TaskState.IN_PROGRESS

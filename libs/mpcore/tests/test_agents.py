"""Agents: each acts as its own session, while that lives, and has authority over what is below it alone."""

import pytest
from mpschema.base import Command
from mpschema.channel import CloseChannel, OpenChannel, Scope
from mpschema.rejections import Code
from mpschema.session import (
    CancelSession,
    CompleteSession,
    FailSession,
    IssueSessionToken,
    PauseSession,
    ResumeSession,
    RevokeSessionTokens,
    SpawnSession,
    StartSession,
)
from mpschema.task import (
    AcceptTask,
    BlockTask,
    CancelTask,
    ClaimTask,
    CompleteTask,
    CreateTask,
    EditTask,
    LinkKind,
    LinkTask,
    MarkTaskReady,
    RejectTask,
    ReleaseTask,
    ReopenTask,
    StartTask,
    SubmitTask,
    UnblockTask,
    UnlinkTask,
)

from libs.mpcore.tests.story import (
    BLUEPRINT,
    CORE,
    DEVELOPER,
    EVIDENCE,
    RUNNER,
    Step,
    Story,
    claimed,
    family,
    in_review,
    ready,
    task,
)

LEAD, LEFT, RIGHT = "agent:lead", "agent:left", "agent:right"


def offered() -> Story:
    """The family of sessions, and a task that is ready."""
    return family().given(task(), ready())


def held_by_left() -> Story:
    """The task is claimed by `left`."""
    return offered().given(Step(ClaimTask(), "t1", LEFT))


def reviewed(session_id: str) -> Story:
    """The task is handed in by this session."""
    return family().given(task(), *in_review(session_id=session_id))


def test_an_agent_says_which_session_it_is() -> None:
    story = offered()
    story.when(Step(ClaimTask(), "t1", LEFT, session_id="right")).then_rejected(Code.DENIED)
    story.when(Step(ClaimTask(), "t1", RUNNER)).then_rejected(Code.DENIED)
    story.when(Step(ClaimTask(), "t1", RUNNER, session_id="nobody")).then_rejected(Code.DENIED)


def test_an_agent_ends_with_its_session() -> None:
    story = offered().given(Step(CancelSession(), "left"))
    for step in (Step(ClaimTask(), "t1", LEFT), Step(ClaimTask(), "t1", RUNNER, session_id="left")):
        story.when(step).then_rejected(Code.SESSION_ENDED)


@pytest.mark.parametrize("by", [LEFT, RUNNER])
@pytest.mark.parametrize("session_id", [None, "left"])
def test_an_agent_claims_for_its_own_session(by: str, session_id: str | None) -> None:
    story = offered().given(Step(ClaimTask(session_id), "t1", by, session_id="left"))
    assert (story.task().holder, story.task().session_id) == (by, "left")


def test_an_agent_claims_for_no_other_session() -> None:
    offered().when(Step(ClaimTask("right"), "t1", LEFT)).then_rejected(Code.DENIED)


def test_an_agent_works_on_what_it_holds() -> None:
    story = held_by_left()
    story.given(Step(StartTask(1), "t1", LEFT), Step(SubmitTask(1, EVIDENCE), "t1", LEFT))


@pytest.mark.parametrize("command", [StartTask(1), ReleaseTask(1), SubmitTask(1, EVIDENCE)])
def test_a_fence_alone_does_not_make_an_agent_the_holder(command: Command) -> None:
    held_by_left().when(Step(command, "t1", RIGHT)).then_rejected(Code.DENIED)


def test_for_a_developer_the_fence_is_enough() -> None:
    held_by_left().when(Step(StartTask(1), "t1", DEVELOPER)).then_accepted()


def test_an_agent_that_lost_its_claim_hears_so() -> None:
    story = held_by_left()
    story.later(300)
    story.when(Step(StartTask(1), "t1", LEFT)).then_rejected(Code.STALE_FENCE)
    story.given(Step(ClaimTask(), "t1", RIGHT))
    story.when(Step(StartTask(1), "t1", LEFT)).then_rejected(Code.STALE_FENCE)


def test_an_agent_shapes_the_work() -> None:
    story = offered().given(Step(CreateTask(CORE, "More"), "t2", LEFT))
    for command in (EditTask(title="x"), LinkTask(LinkKind.BLOCKS, "t2"), BlockTask("x"), UnblockTask()):
        story.given(Step(command, "t1", LEFT))


@pytest.mark.parametrize(
    "command", [MarkTaskReady(), ReopenTask(), UnlinkTask(LinkKind.BLOCKS, "t2"), CancelTask(), CompleteTask()]
)
def test_an_agent_does_not_run_the_board(command: Command) -> None:
    offered().when(Step(command, "t1", LEFT)).then_rejected(Code.DENIED)


@pytest.mark.parametrize("command", [AcceptTask(), RejectTask("no"), CancelTask()])
@pytest.mark.parametrize("holder", ["left", "leaf"])
def test_a_lead_judges_the_work_of_its_descendants(command: Command, holder: str) -> None:
    reviewed(holder).when(Step(command, "t1", LEAD)).then_accepted()


@pytest.mark.parametrize("command", [AcceptTask(), RejectTask("no"), CompleteTask(), CancelTask()])
@pytest.mark.parametrize("holder", ["left", "lead", "right", "other"])
def test_nobody_judges_its_own_work_nor_that_of_others(command: Command, holder: str) -> None:
    reviewed(holder).when(Step(command, "t1", LEFT)).then_rejected(Code.DENIED)


def test_work_without_a_session_is_not_an_agent_s_to_judge() -> None:
    family().given(task(), *in_review()).when(Step(AcceptTask(), "t1", LEAD)).then_rejected(Code.DENIED)


def test_a_lead_still_judges_work_of_a_child_that_has_ended() -> None:
    story = reviewed("right").given(Step(CompleteSession(), "right"))
    story.given(Step(AcceptTask(), "t1", LEAD))
    story.when(Step(CompleteTask(), "t1", LEAD)).then_accepted()


@pytest.mark.parametrize("parent_id", ["left", "leaf"])
def test_an_agent_spawns_below_itself(parent_id: str) -> None:
    family().when(Step(SpawnSession(BLUEPRINT, parent_id=parent_id), "new", LEFT)).then_accepted()


@pytest.mark.parametrize("parent_id", [None, "lead", "right", "other"])
def test_an_agent_spawns_nowhere_else(parent_id: str | None) -> None:
    family().when(Step(SpawnSession(BLUEPRINT, parent_id=parent_id), "new", LEFT)).then_rejected(Code.DENIED)


def test_an_agent_runs_its_own_session() -> None:
    story = family().given(Step(SpawnSession(BLUEPRINT, parent_id="left"), "new", LEFT))
    for command in (StartSession(), PauseSession(), ResumeSession(), CompleteSession()):
        story.given(Step(command, "new", "agent:new"))


@pytest.mark.parametrize("command", [PauseSession(), StartSession(), ResumeSession()])
def test_an_agent_does_not_run_the_session_of_another(command: Command) -> None:
    family().when(Step(command, "leaf", LEFT)).then_rejected(Code.DENIED)


@pytest.mark.parametrize("command", [CompleteSession(), FailSession("stuck")])
def test_an_agent_ends_what_is_below_it_and_nothing_else(command: Command) -> None:
    family().when(Step(command, "leaf", LEFT)).then_accepted()
    for other in ("lead", "right", "other"):
        family().when(Step(command, other, LEFT)).then_rejected(Code.DENIED)


@pytest.mark.parametrize("command", [CancelSession(), IssueSessionToken(), RevokeSessionTokens()])
def test_an_agent_neither_cancels_nor_makes_nor_takes_tokens(command: Command) -> None:
    family().when(Step(command, "left", LEFT)).then_rejected(Code.DENIED)


@pytest.mark.parametrize(("anchor", "allowed"), [("left", True), ("lead", True), ("right", True), ("other", False)])
def test_an_agent_opens_channels_in_its_own_lineage(anchor: str, allowed: bool) -> None:
    answer = family().when(Step(OpenChannel(anchor, Scope.LINEAGE, "talk"), "c1", LEFT))
    if allowed:
        answer.then_accepted()
    else:
        answer.then_rejected(Code.DENIED)


def test_an_agent_does_not_close_channels() -> None:
    story = family().given(Step(OpenChannel("left", Scope.LINEAGE, "talk"), "c1", LEFT))
    story.when(Step(CloseChannel(), "c1", LEFT)).then_rejected(Code.DENIED)


def test_an_agent_is_told_what_does_not_exist() -> None:
    story = offered()
    steps = (
        Step(StartTask(1), "nowhere", LEFT),
        Step(AcceptTask(), "nowhere", LEFT),
        Step(CompleteSession(), "nowhere", LEFT),
        Step(SpawnSession(BLUEPRINT, parent_id="nowhere"), "new", LEFT),
        Step(OpenChannel("nowhere", Scope.SELF, "talk"), "c1", LEFT),
    )
    for step in steps:
        story.when(step).then_rejected(Code.NOT_FOUND)


def test_a_claim_of_a_person_has_no_session() -> None:
    story = offered().given(claimed())
    assert story.task().session_id is None

"""Tasks: offered, claimed by lease, handed in with evidence, judged, done."""

import itertools

import pytest
from mpschema.base import Command
from mpschema.ids import derived_id
from mpschema.rejections import Code
from mpschema.session import CompleteSession, PauseSession
from mpschema.task import (
    AcceptTask,
    BlockTask,
    CancelTask,
    CompleteTask,
    CreateTask,
    EditTask,
    LinkKind,
    LinkTask,
    RejectTask,
    ReleaseTask,
    RenewTask,
    ReopenTask,
    StartTask,
    SubmitTask,
    TaskAccepted,
    TaskBlocked,
    TaskCanceled,
    TaskClaimed,
    TaskCompleted,
    TaskCreated,
    TaskEdited,
    TaskLeaseRenewed,
    TaskLinked,
    TaskReady,
    TaskRejected,
    TaskReleased,
    TaskReopened,
    TaskStarted,
    TaskState,
    TaskSubmitted,
    TaskUnblocked,
    TaskUnlinked,
    UnblockTask,
    UnlinkTask,
)

from libs.mpcore.tests.story import (
    CORE,
    DEVELOPER,
    EVIDENCE,
    Step,
    Story,
    acme,
    active,
    claimed,
    in_review,
    ready,
    spawned,
    task,
)


def offered(*task_ids: str) -> Story:
    """These tasks, ready to be claimed."""
    story = acme()
    for task_id in task_ids or ("t1",):
        story.given(task(task_id), ready(task_id))
    return story


def on_task(command: Command, task_id: str = "t1") -> Step:
    return Step(command, task_id)


def blocks(task_id: str, other: str, kind: LinkKind = LinkKind.BLOCKS) -> Step:
    return Step(LinkTask(kind, other), task_id)


def test_a_task_is_created_as_a_draft() -> None:
    story = acme()
    step = on_task(CreateTask(CORE, "Title", "Words", priority=0, labels=("bug",)))
    story.when(step).then(TaskCreated(CORE, "Title", "Words", priority=0, labels=("bug",)))
    assert story.task().state is TaskState.DRAFT


def test_a_task_is_edited() -> None:
    acme().given(task()).when(on_task(EditTask(title="New"))).then(TaskEdited(title="New"))


def test_a_task_is_offered() -> None:
    acme().given(task()).when(ready()).then(TaskReady())


def test_a_claim_is_a_lease_with_a_fence() -> None:
    story = offered()
    lease_id = derived_id("lease", f"cmd-{story.commands + 1}")
    expires_at_ms = story.now_ms + 60_000
    story.when(claimed(ttl_seconds=60)).then(TaskClaimed(DEVELOPER, lease_id, 1, 60, expires_at_ms))


def test_a_task_has_one_holder() -> None:
    offered().given(claimed()).when(claimed()).then_rejected(Code.INVALID_STATE)


def test_a_claim_for_a_session_needs_it_running() -> None:
    story = offered().given(spawned("new"), *active("s1"), *active("done"), Step(CompleteSession(), "done"))
    story.when(claimed(session_id="nobody")).then_rejected(Code.NOT_FOUND)
    story.when(claimed(session_id="new")).then_rejected(Code.INVALID_STATE)
    story.when(claimed(session_id="done")).then_rejected(Code.SESSION_ENDED)
    story.given(Step(PauseSession(), "s1"))
    story.when(claimed(session_id="s1")).then_rejected(Code.INVALID_STATE)


def test_every_claim_has_a_higher_fence() -> None:
    story = offered().given(claimed(), on_task(ReleaseTask(1)), claimed())
    assert story.task().fence == 2
    story.given(on_task(BlockTask("x")), on_task(UnblockTask()), claimed())
    assert story.task().fence == 3
    story.given(on_task(CancelTask()), on_task(ReopenTask()), ready(), claimed())
    assert story.task().fence == 4


@pytest.mark.parametrize("command", [RenewTask(1), ReleaseTask(1), StartTask(1), SubmitTask(1, EVIDENCE)])
def test_an_old_fence_is_worth_nothing(command: Command) -> None:
    story = offered().given(claimed())
    story.later(300)
    story.when(on_task(command)).then_rejected(Code.STALE_FENCE)
    story.given(claimed())
    story.when(on_task(command)).then_rejected(Code.STALE_FENCE)


def test_a_renewed_lease_runs_from_now() -> None:
    story = offered().given(claimed(ttl_seconds=60))
    story.now_ms += 30_000
    story.when(on_task(RenewTask(1, 90))).then(TaskLeaseRenewed(1, 90, story.now_ms + 90_000))


def test_a_claim_outlives_its_time_until_the_expiry_is_recorded() -> None:
    story = offered().given(claimed(ttl_seconds=1))
    story.now_ms += 3_600_000
    story.when(on_task(StartTask(1))).then_accepted()


def test_work_begins_with_a_fresh_lease() -> None:
    story = offered().given(claimed(ttl_seconds=60))
    story.now_ms += 30_000
    story.when(on_task(StartTask(1))).then(TaskStarted(1, story.now_ms + 60_000))


def test_a_released_task_is_ready_again() -> None:
    story = offered().given(claimed())
    story.when(on_task(ReleaseTask(1))).then(TaskReleased(1, DEVELOPER))
    assert (story.task().state, story.task().holder) == (TaskState.READY, "")


def test_handing_in_stops_the_clock() -> None:
    story = offered().given(claimed(), on_task(StartTask(1)))
    story.when(on_task(SubmitTask(1, EVIDENCE))).then(TaskSubmitted(1, EVIDENCE))
    assert story.later(100_000) == []


def test_rejected_work_goes_back_to_its_holder_with_a_fresh_lease() -> None:
    story = acme().given(task(), *in_review())
    story.when(on_task(RejectTask("tests fail"))).then(TaskRejected("tests fail", story.now_ms + 300_000))
    assert (story.task().state, story.task().holder) == (TaskState.IN_PROGRESS, DEVELOPER)
    story.when(on_task(SubmitTask(1, EVIDENCE))).then_accepted()


def test_only_accepted_work_is_completed() -> None:
    story = acme().given(task(), *in_review())
    story.when(on_task(CompleteTask())).then_rejected(Code.INVALID_STATE)
    story.when(on_task(AcceptTask("fine"))).then(TaskAccepted("fine"))
    story.when(on_task(CompleteTask())).then(TaskCompleted())


def test_work_is_accepted_once_and_an_acceptance_can_be_taken_back() -> None:
    story = acme().given(task(), *in_review(), on_task(AcceptTask()))
    story.when(on_task(AcceptTask())).then_rejected(Code.INVALID_STATE)
    story.given(on_task(RejectTask("on second thought")), on_task(SubmitTask(1, EVIDENCE)))
    story.when(on_task(CompleteTask())).then_rejected(Code.INVALID_STATE)


def test_a_block_ends_the_claim() -> None:
    story = offered().given(claimed())
    story.when(on_task(BlockTask("no licence"))).then(TaskBlocked("no licence"))
    assert story.task().holder == ""
    assert story.later(300) == []


def test_a_task_that_was_offered_is_ready_after_a_block() -> None:
    story = offered().given(claimed(), on_task(BlockTask("x")))
    story.when(on_task(UnblockTask())).then(TaskUnblocked(TaskState.READY))


def test_a_task_that_was_never_offered_is_a_draft_after_a_block() -> None:
    story = acme().given(task(), on_task(BlockTask("x")))
    story.when(on_task(UnblockTask())).then(TaskUnblocked(TaskState.DRAFT))


def test_a_reopened_task_must_be_offered_anew() -> None:
    story = offered().given(claimed())
    story.when(on_task(CancelTask("why not"))).then(TaskCanceled("why not"))
    story.when(on_task(ReopenTask("so not"))).then(TaskReopened("so not"))
    story.given(on_task(BlockTask("x")))
    story.when(on_task(UnblockTask())).then(TaskUnblocked(TaskState.DRAFT))


def test_an_open_blocker_keeps_a_task_from_being_offered_or_claimed() -> None:
    story = offered("t2").given(task("t1"), task("t3"), blocks("t1", "t2"), blocks("t1", "t3"))
    story.when(ready("t3")).then_rejected(Code.BLOCKED)
    story.when(claimed("t2")).then_rejected(Code.BLOCKED)


def test_a_closed_blocker_blocks_nothing() -> None:
    story = offered("t2").given(task("t1"), blocks("t1", "t2"), on_task(CancelTask()))
    story.when(claimed("t2")).then_accepted()
    story.given(Step(ReleaseTask(1), "t2"), on_task(ReopenTask()))
    story.when(claimed("t2")).then_rejected(Code.BLOCKED)


def test_a_link_that_is_taken_away_blocks_nothing() -> None:
    story = offered("t2").given(task("t1"), blocks("t1", "t2"))
    story.when(on_task(UnlinkTask(LinkKind.BLOCKS, "t2"))).then(TaskUnlinked(LinkKind.BLOCKS, "t2"))
    story.when(claimed("t2")).then_accepted()


def test_tasks_are_linked_once_per_kind() -> None:
    story = offered("t1", "t2")
    story.when(blocks("t1", "t2")).then(TaskLinked(LinkKind.BLOCKS, "t2"))
    story.when(blocks("t1", "t2")).then_rejected(Code.ALREADY_EXISTS)
    story.when(blocks("t1", "t2", LinkKind.RELATES)).then_accepted()


def test_a_link_that_is_not_there_cannot_be_taken_away() -> None:
    offered("t1", "t2").when(on_task(UnlinkTask(LinkKind.BLOCKS, "t2"))).then_rejected(Code.NOT_FOUND)


def test_a_link_leads_to_a_task_that_exists() -> None:
    offered("t1").when(blocks("t1", "nowhere")).then_rejected(Code.NOT_FOUND)


@pytest.mark.parametrize("kind", [LinkKind.BLOCKS, LinkKind.PARENT])
def test_what_must_be_done_before_never_runs_in_a_circle(kind: LinkKind) -> None:
    story = offered("t1", "t2", "t3", "t4")
    story.given(blocks("t1", "t2", kind), blocks("t2", "t3", kind), blocks("t4", "t3", kind))
    story.when(blocks("t3", "t1", kind)).then_rejected(Code.CYCLE)
    story.when(blocks("t1", "t1", kind)).then_rejected(Code.CYCLE)
    story.when(blocks("t1", "t4", kind)).then_accepted()


def test_tasks_that_merely_relate_may_run_in_a_circle() -> None:
    story = offered("t1", "t2").given(blocks("t1", "t2", LinkKind.RELATES))
    story.when(blocks("t2", "t1", LinkKind.RELATES)).then_accepted()


def test_a_chain_of_any_length_is_searched() -> None:
    names = [f"n{n:04}" for n in range(2_000)]
    story = acme().given(*(task(name) for name in names))
    story.given(*(blocks(one, other) for one, other in itertools.pairwise(names)))
    story.when(blocks(names[-1], names[0])).then_rejected(Code.CYCLE)


def test_a_task_has_a_bounded_number_of_links() -> None:
    story = acme().given(task("hub"), *(task(f"n{n}") for n in range(257)))
    story.given(*(blocks("hub", f"n{n}") for n in range(256)))
    story.when(blocks("hub", "n256")).then_rejected(Code.TOO_LARGE)

"""Sweeps: what ends with a scope ends at once for everybody who asks, and step by step in the log."""

from mpcore.domain.session.index import sessions
from mpcore.domain.sweep.index import sweeps
from mpschema.channel import OpenChannel, PostMessage, Scope
from mpschema.ending import CancelSessions
from mpschema.project import ArchiveProject, ProjectArchived
from mpschema.rejections import Code
from mpschema.session import (
    CancelSession,
    CompleteSession,
    IssueSessionToken,
    PauseSession,
    SessionCanceled,
    SessionState,
)
from mpschema.sweep import SweepAdvanced, SweepBegun, SweepEnded, SweepKind
from mpschema.system import LOG, SYSTEM_WORKSPACE, SetLimits
from mpschema.task import ClaimTask, ReleaseCause, RenewTask, TaskReleased, TaskState
from mpschema.workspace import ArchiveWorkspace

from libs.mpcore.tests.story import (
    ACME,
    CORE,
    OWNER,
    ROOT,
    Step,
    Story,
    acme,
    active,
    before,
    claimed,
    ready,
    spawned,
    task,
)

CHILDREN = tuple(f"c{number}" for number in range(5))
CANCEL = Step(CancelSession("runaway"), "lead")


def crowd(sweep_facts: int = 2) -> Story:
    """A lead with five children, each with a child, where a sweep takes two commands a step."""
    limit = Step(SetLimits(sweep_facts=sweep_facts), LOG, ROOT, workspace_id=SYSTEM_WORKSPACE)
    story = acme().given(limit, *active("lead"))
    for child in CHILDREN:
        story.given(*active(child, "lead"), spawned(f"{child}-below", child))
    return story


def states(story: Story) -> set[SessionState]:
    return {session.state for session in sessions(story.tenant).by_id.values()}


def test_what_fits_a_step_ends_in_the_same_commit() -> None:
    story = crowd(sweep_facts=10)
    answer = story.when(CANCEL)
    assert len(answer.facts) == 11
    assert states(story) == {SessionState.CANCELED}
    assert not sweeps(story.tenant).by_id


def test_what_does_not_fit_a_step_begins_a_sweep_and_ends_at_once_for_all_who_ask() -> None:
    story = crowd()
    (canceled, begun) = story.when(CANCEL).facts
    assert canceled.event == SessionCanceled("lead", "runaway")
    assert isinstance(begun.event, SweepBegun)
    assert (begun.event.kind, begun.event.scope) == (SweepKind.DESCENDANTS, "lead")
    assert sessions(story.tenant).by_id["c0"].state is SessionState.ACTIVE
    for command in (PauseSession(), CompleteSession(), CancelSession(), IssueSessionToken()):
        refused = story.when(Step(command, "c0")).then_rejected(Code.INVALID_STATE)
        assert refused.detail == "session c0 ended with session lead"
    story.when(spawned("late", "c0")).then_rejected(Code.SESSION_ENDED)
    story.when(Step(OpenChannel("c0", Scope.LINEAGE, "x"), "ch")).then_rejected(Code.SESSION_ENDED)


def test_an_agent_whose_lineage_ended_may_do_nothing() -> None:
    story = crowd().given(Step(OpenChannel("c0", Scope.LINEAGE, "x"), "ch"), CANCEL)
    for agent in ("agent:c0", "agent:c0-below"):
        story.when(Step(PostMessage("note", "still here"), "ch", agent)).then_rejected(Code.SESSION_ENDED)


def test_a_sweep_takes_one_step_a_commit_until_nothing_is_left() -> None:
    story = crowd().given(CANCEL)
    steps = []
    while sweeps(story.tenant).running:
        story.now_ms += 10
        steps.append([fact.event for fact in story.later(0)][1:])
    assert all(len(step) <= 3 for step in steps)
    assert [step[0] for step in steps] == [SweepAdvanced(done) for done in (2, 4, 6, 8, 10)] + [SweepEnded(10)]
    assert states(story) == {SessionState.CANCELED}
    assert {session.version for session in sessions(story.tenant).by_id.values()} <= {2, 3}


def test_a_sweep_returns_the_claims_of_each_session_before_it_ends_it() -> None:
    story = crowd().given(task(), ready(), claimed(session_id="c0"), CANCEL)
    story.when(Step(RenewTask(1, 60), "t1")).then_rejected(Code.STALE_FENCE)
    story.at_rest()
    assert story.task().state is TaskState.READY
    released = [fact.event for _, fact in story.told if isinstance(fact.event, TaskReleased)]
    assert [event.cause for event in released] == [ReleaseCause.SESSION_ENDED]


def test_a_lease_that_ends_before_the_sweep_comes_expires_as_ever() -> None:
    story = crowd().given(task(), ready(), claimed(session_id="c4", ttl_seconds=60), CANCEL)
    story.later(60)
    assert story.task().state is TaskState.READY
    story.at_rest()
    assert states(story) == {SessionState.CANCELED}


def test_nobody_claims_for_a_session_that_is_about_to_be_swept() -> None:
    story = crowd().given(task(), ready(), CANCEL)
    story.when(Step(ClaimTask("c1", 60), "t1")).then_rejected(Code.SESSION_ENDED)


def test_many_claims_of_one_session_are_swept() -> None:
    story = crowd()
    for number in range(5):
        story.given(task(f"t{number}"), ready(f"t{number}"), claimed(f"t{number}", "c0"))
    story.given(Step(CancelSession(), "c0"))
    assert (SweepKind.CLAIMS, "c0") in sweeps(story.tenant).running
    story.at_rest()
    assert {story.task(f"t{number}").state for number in range(5)} == {TaskState.READY}


def test_a_project_is_archived_with_the_sessions_that_run_in_it() -> None:
    story = crowd().given(*(spawned(f"p{number}", project_id=CORE) for number in range(5)))
    story.when(Step(ArchiveProject(), CORE)).then_rejected(Code.INVALID_STATE)
    answer = story.when(Step(ArchiveProject(cancel=CancelSessions.RUNNING), CORE))
    assert isinstance(answer.facts[0].event, ProjectArchived)
    refused = story.when(Step(CancelSession(), "p4")).then_rejected(Code.INVALID_STATE)
    assert refused.detail == "session p4 ended with project core"
    story.at_rest()
    known = sessions(story.tenant).by_id
    assert {known[f"p{number}"].state for number in range(5)} == {SessionState.CANCELED}
    assert known["lead"].state is SessionState.ACTIVE


def test_a_workspace_is_archived_with_every_session_in_it_though_it_is_closed() -> None:
    story = crowd()
    story.when(Step(ArchiveWorkspace(), ACME, OWNER)).then_rejected(Code.INVALID_STATE)
    story.given(Step(ArchiveWorkspace(CancelSessions.RUNNING), ACME, OWNER)).at_rest()
    assert states(story) == {SessionState.CANCELED}


def test_sweeps_of_several_scopes_end_all_of_them() -> None:
    story = crowd().given(Step(CancelSession(), "c0"), CANCEL)
    story.given(Step(ArchiveWorkspace(CancelSessions.RUNNING), ACME, OWNER)).at_rest()
    assert states(story) == {SessionState.CANCELED}
    assert all(not sweep.running for sweep in sweeps(story.tenant).by_id.values())


def test_below_level_4_nothing_is_swept_and_archiving_takes_no_sessions_with_it() -> None:
    story = before(crowd())
    assert len(story.when(CANCEL).facts) == 11
    for step in (
        Step(ArchiveProject(cancel=CancelSessions.RUNNING), CORE),
        Step(ArchiveWorkspace(CancelSessions.RUNNING), ACME, OWNER),
    ):
        assert "needs feature level 4" in story.when(step).then_rejected(Code.INVALID_STATE).detail

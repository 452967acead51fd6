"""Sessions: lineages that stay within the limits set above them, and end as a whole."""

import pytest
from mpcore.domain.session.index import sessions
from mpschema.project import CreateProject
from mpschema.rejections import Code
from mpschema.session import (
    CancelSession,
    CompleteSession,
    FailSession,
    IssueSessionToken,
    PauseSession,
    ResumeSession,
    RevokeSessionTokens,
    SessionCanceled,
    SessionCompleted,
    SessionFailed,
    SessionLimits,
    SessionPaused,
    SessionResumed,
    SessionSpawned,
    SessionStarted,
    SessionTokenIssued,
    SessionTokensRevoked,
    SpawnSession,
    StartSession,
)
from mpschema.system import LOG, SYSTEM_WORKSPACE, SetLimits
from mpschema.task import RejectTask, ReleaseCause, TaskReleased, TaskState
from mpschema.workspace import CreateWorkspace

from libs.mpcore.tests.story import (
    BLUEPRINT,
    CORE,
    DEVELOPER,
    ROOT,
    Step,
    Story,
    acme,
    active,
    before,
    claimed,
    family,
    in_review,
    ready,
    spawned,
    task,
)


def limits(max_depth: int, max_children: int) -> SessionLimits:
    return SessionLimits(max_depth=max_depth, max_children=max_children)


def states(story: Story) -> dict[str, str]:
    return {session.id: session.state.value for session in sessions(story.tenant).by_id.values()}


def test_a_session_without_a_parent_is_the_root_of_a_lineage() -> None:
    event = SessionSpawned(BLUEPRINT, "s1", 0, (), SessionLimits(), project_id=CORE)
    acme().when(spawned("s1", project_id=CORE)).then(event)


def test_a_child_knows_its_ancestors_and_inherits_limits_and_project() -> None:
    story = acme().given(Step(SpawnSession(BLUEPRINT, CORE, limits=limits(3, 2)), "a"), spawned("b", "a"))
    event = SessionSpawned(BLUEPRINT, "a", 2, ("a", "b"), limits(3, 2), parent_id="b", project_id=CORE)
    story.when(spawned("c", "b")).then(event)


def test_a_parent_must_exist_and_live() -> None:
    story = acme().given(*active("s1"), Step(CompleteSession(), "s1"))
    story.when(spawned("child", "nobody")).then_rejected(Code.NOT_FOUND)
    story.when(spawned("child", "s1")).then_rejected(Code.SESSION_ENDED)


def test_a_lineage_is_no_deeper_than_its_limit() -> None:
    story = acme().given(spawned("a", limits=limits(1, 4)), spawned("b", "a"))
    story.when(spawned("c", "b")).then_rejected(Code.DEPTH_EXCEEDED)


def test_a_narrower_limit_holds_for_everything_below_it() -> None:
    story = acme().given(spawned("a"), spawned("b", "a", limits=limits(2, 1)), spawned("c", "b"))
    story.when(spawned("d", "c")).then_rejected(Code.DEPTH_EXCEEDED)
    story.when(spawned("e", "b")).then_rejected(Code.FANOUT_EXCEEDED)


def test_children_are_counted_for_ever() -> None:
    story = acme().given(spawned("a", limits=limits(1, 1)), *active("b", "a"), Step(CompleteSession(), "b"))
    story.when(spawned("c", "a")).then_rejected(Code.FANOUT_EXCEEDED)


@pytest.mark.parametrize("wider", [limits(3, 2), limits(2, 3)])
def test_a_child_s_limits_are_never_wider_than_its_parent_s(wider: SessionLimits) -> None:
    story = acme().given(spawned("a", limits=limits(2, 2)))
    story.when(spawned("b", "a", limits=wider)).then_rejected(Code.AUTHORITY_EXCEEDED)


def test_a_child_works_in_its_parent_s_project() -> None:
    story = acme().given(Step(CreateProject("Docs"), "docs"), spawned("a", project_id=CORE), spawned("free"))
    story.when(spawned("b", "a", project_id="docs")).then_rejected(Code.AUTHORITY_EXCEEDED)
    story.when(spawned("c", "free", project_id="docs")).then_accepted()


def test_a_session_s_task_exists() -> None:
    acme().when(Step(SpawnSession(BLUEPRINT, task_id="t1"), "s1")).then_rejected(Code.NOT_FOUND)
    acme().given(task()).when(Step(SpawnSession(BLUEPRINT, task_id="t1"), "s1")).then_accepted()


def test_a_session_s_id_leaves_room_for_its_agent_s_name() -> None:
    acme().when(spawned("s" * 123)).then_rejected(Code.SCHEMA_INVALID)
    acme().when(spawned("s" * 122)).then_accepted()


def test_a_session_starts_pauses_and_resumes() -> None:
    story = acme().given(spawned("s1"))
    story.when(Step(StartSession(), "s1")).then(SessionStarted())
    story.when(Step(PauseSession("lunch"), "s1")).then(SessionPaused("lunch"))
    story.when(Step(ResumeSession(), "s1")).then(SessionResumed())


def test_a_session_completes_after_its_children() -> None:
    story = family()
    story.when(Step(CompleteSession(), "left")).then_rejected(Code.INVALID_STATE)
    story.given(Step(CompleteSession(), "leaf"))
    story.when(Step(CompleteSession("found it"), "left")).then(SessionCompleted("found it"))


def test_canceling_ends_the_whole_live_subtree_children_before_parents() -> None:
    story = family().given(Step(CompleteSession(), "right"))
    story.when(Step(CancelSession("enough"), "lead")).then(
        SessionCanceled("lead", "enough"), SessionCanceled("lead"), SessionCanceled("lead")
    )
    assert [fact.aggregate_id for _, fact in story.told[-3:]] == ["lead", "leaf", "left"]
    assert states(story) == {
        "lead": "canceled", "left": "canceled", "leaf": "canceled", "right": "completed", "other": "active"
    }  # fmt: skip


def test_failing_cancels_what_lives_below() -> None:
    story = family()
    story.when(Step(FailSession("crash", "core dumped"), "left")).then(
        SessionFailed("crash", "core dumped"), SessionCanceled("left")
    )
    assert states(story)["lead"] == "active"


def test_what_an_ended_session_held_is_ready_again() -> None:
    story = family().given(task("t1"), task("t2"), ready("t1"), ready("t2"))
    story.given(claimed("t1", "left"), claimed("t2", "leaf"))
    story.when(Step(CancelSession(), "left")).then(
        SessionCanceled("left"),
        TaskReleased(1, DEVELOPER, ReleaseCause.SESSION_ENDED),
        TaskReleased(1, DEVELOPER, ReleaseCause.SESSION_ENDED),
        SessionCanceled("left"),
    )
    assert {story.task("t1").state, story.task("t2").state} == {TaskState.READY}


def test_what_an_ended_session_handed_in_stays_in_review() -> None:
    story = acme().given(*active("s1"), task(), *in_review(session_id="s1"))
    story.when(Step(CompleteSession(), "s1")).then(SessionCompleted())
    assert story.task().state is TaskState.IN_REVIEW


def test_work_sent_back_to_an_ended_session_returns_when_its_lease_expires() -> None:
    story = acme().given(*active("s1"), task(), *in_review(session_id="s1"), Step(CompleteSession(), "s1"))
    story.given(Step(RejectTask("no"), "t1"))
    story.later(300)
    assert story.task().state is TaskState.READY


def test_a_token_is_issued_while_the_session_lives() -> None:
    story = acme().given(spawned("s1"))
    token = SessionTokenIssued(f"token_cmd{story.commands + 1}", story.now_ms + 900_000)
    story.when(Step(IssueSessionToken(), "s1")).then(token)
    story.when(Step(RevokeSessionTokens("leaked"), "s1")).then(SessionTokensRevoked("leaked"))
    story.given(Step(CancelSession(), "s1"))
    for command in (IssueSessionToken(), RevokeSessionTokens()):
        story.when(Step(command, "s1")).then_rejected(Code.INVALID_STATE)


def test_a_lineage_never_grows_beyond_its_recorded_limit() -> None:
    limit = Step(SetLimits(lineage_live_max=3), LOG, ROOT, workspace_id=SYSTEM_WORKSPACE)
    story = acme().given(limit, spawned("a"), spawned("b", "a"), spawned("c", "b"))
    story.when(spawned("d", "a")).then_rejected(Code.FANOUT_EXCEEDED)
    story.given(Step(CancelSession(), "c"))
    story.when(spawned("d", "a")).then_accepted()


def test_below_level_4_a_lineage_never_grows_beyond_what_one_cascade_can_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpcore.domain.session.rules.LINEAGE_LIVE_MAX_BEFORE", 3)
    story = before(acme()).given(spawned("a"), spawned("b", "a"), spawned("c", "b"))
    story.when(spawned("d", "a")).then_rejected(Code.FANOUT_EXCEEDED)


def test_below_level_4_claims_beyond_one_outcome_expire_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpcore.domain.task.claims.RELEASES_MAX", 1)
    story = before(acme()).given(*active("s1"))
    story.given(*(step for name in ("t1", "t2") for step in (task(name), ready(name), claimed(name, "s1"))))
    story.given(Step(CancelSession(), "s1"))
    assert (story.task("t1").state, story.task("t2").state) == (TaskState.READY, TaskState.CLAIMED)
    story.later(300)
    assert story.task("t2").state is TaskState.READY


def test_a_session_of_another_workspace_is_no_parent() -> None:
    story = acme().given(spawned("s1"), Step(CreateWorkspace("Else"), "else", ROOT, workspace_id="else"))
    step = Step(SpawnSession(BLUEPRINT, parent_id="s1"), "child", ROOT, workspace_id="else")
    story.when(step).then_rejected(Code.NOT_FOUND)

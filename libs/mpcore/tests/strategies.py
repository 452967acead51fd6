"""Random commands for a small world: a few tasks, sessions and channels, and people of every role."""

from hypothesis import strategies as st
from mpschema.base import Command
from mpschema.board import Column, LimitColumn, MapColumn
from mpschema.channel import AckMessages, CloseChannel, PostMessage
from mpschema.principal import BindRole, IssueKey, RevokeKey, Role, UnbindRole
from mpschema.project import ArchiveProject, CreateProject
from mpschema.session import (
    CancelSession,
    CompleteSession,
    FailSession,
    IssueSessionToken,
    PauseSession,
    ResumeSession,
    RevokeSessionTokens,
    SessionLimits,
    StartSession,
)
from mpschema.task import (
    AcceptTask,
    BlockTask,
    CancelTask,
    ClaimTask,
    CompleteTask,
    LinkKind,
    LinkTask,
    MarkTaskReady,
    RejectTask,
    ReleaseTask,
    RenewTask,
    ReopenTask,
    StartTask,
    SubmitTask,
    TaskState,
    UnblockTask,
    UnlinkTask,
)
from mpschema.webhook import (
    WORKER,
    ClearKey,
    CreateWebhook,
    ParkKey,
    PauseWebhook,
    RequeueKeys,
    ResumeWebhook,
    RotateWebhookSecret,
)
from mpschema.workspace import FreezeWorkspace

from libs.mpcore.tests.story import (
    ACME,
    CORE,
    DEVELOPER,
    EVIDENCE,
    OPERATOR,
    OWNER,
    ROOT,
    RUNNER,
    VIEWER,
    Step,
)

COLUMNS = (
    Column("todo", (TaskState.READY,), 2),
    Column("doing", (TaskState.CLAIMED, TaskState.IN_PROGRESS), 2),
    Column("review", (TaskState.IN_REVIEW, TaskState.BLOCKED)),
)

TASKS, SESSIONS, CHANNELS = ("t0", "t1", "t2", "t3"), ("s0", "s1", "s2", "s3", "s4"), ("c0", "c1")
task_ids, session_ids, channel_ids = st.sampled_from(TASKS), st.sampled_from(SESSIONS), st.sampled_from(CHANNELS)
people = st.sampled_from([DEVELOPER, OPERATOR, ROOT])
principals = st.sampled_from([DEVELOPER, RUNNER, VIEWER, *(f"agent:{name}" for name in SESSIONS)])
limits = st.none() | st.builds(SessionLimits, max_depth=st.integers(0, 3), max_children=st.integers(0, 3))
kinds = st.sampled_from(LinkKind)

task_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(LinkTask, kind=kinds, to=task_ids),
    st.builds(UnlinkTask, kind=kinds, to=task_ids),
    st.builds(ClaimTask, session_id=st.none() | session_ids, ttl_seconds=st.integers(1, 120)),
    st.builds(RenewTask, fence=st.integers(1, 3), ttl_seconds=st.integers(1, 120)),
    st.builds(ReleaseTask, fence=st.integers(1, 3)),
    st.builds(StartTask, fence=st.integers(1, 3)),
    st.builds(SubmitTask, fence=st.integers(1, 3), evidence=st.just(EVIDENCE)),
    st.sampled_from([MarkTaskReady(), AcceptTask(), RejectTask("x"), BlockTask("x"), UnblockTask()]),
    st.sampled_from([CompleteTask(), CancelTask(), ReopenTask()]),
)
session_commands: st.SearchStrategy[Command] = st.sampled_from(
    [
        StartSession(),
        IssueSessionToken(),
        RevokeSessionTokens(),
        PauseSession(),
        ResumeSession(),
        CompleteSession(),
        FailSession("x"),
        CancelSession(),
    ]
)
posts = st.builds(
    PostMessage,
    kind=st.just("note"),
    body=st.just(""),
    reply_to=st.none() | st.integers(1, 4),
    reply_by_seconds=st.none() | st.integers(1, 120),
)
channel_commands: st.SearchStrategy[Command] = posts | st.builds(AckMessages, cursor=st.integers(1, 4))
governing_steps = st.sampled_from(
    [
        Step(CreateProject("Core"), "core2"),
        Step(ArchiveProject(), "core2"),
        Step(ArchiveProject(), CORE),
        Step(LimitColumn("todo", 1), "b1"),
        Step(LimitColumn("doing", None), "b1"),
        Step(MapColumn("todo", (TaskState.DRAFT, TaskState.READY)), "b1"),
        Step(FreezeWorkspace("x"), ACME, OWNER),
        Step(UnbindRole(Role.OWNER), ROOT, OWNER),
        Step(UnbindRole(Role.OWNER), OWNER, OWNER),
        Step(BindRole(Role.OWNER), ROOT, OWNER),
        Step(UnbindRole(Role.AGENT), RUNNER, OWNER),
        Step(IssueKey("k1", "0" * 64), DEVELOPER, OWNER),
        Step(RevokeKey("k1"), DEVELOPER, OWNER),
        Step(CloseChannel(), "c1"),
        Step(CreateWebhook("https://ci.example"), "w1", OWNER),
        Step(ParkKey("task/t1", 1, "x", 1), "w1", WORKER),
        Step(ParkKey("task/t2", 1, "x", 1), "w1", WORKER),
        Step(RequeueKeys(), "w1", OWNER),
        Step(ClearKey("task/t1"), "w1", WORKER),
        Step(PauseWebhook("x"), "w1", WORKER),
        Step(ResumeWebhook(), "w1", OWNER),
        Step(ResumeWebhook(after_seq=0), "w1", OWNER),
        Step(RotateWebhookSecret(), "w1", OWNER),
    ]
)

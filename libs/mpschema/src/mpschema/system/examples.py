"""Examples of the commands, events and rows about the log itself: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.envelope import Status
from mpschema.rejections import Code
from mpschema.system import (
    CommandRejected,
    FeatureLevelRaised,
    FollowUpRefused,
    LeaderElected,
    LimitsSet,
    LineSurvived,
    LineTried,
    LogCheckpointed,
    LogRestored,
    RaiseFeatureLevel,
    SetLimits,
    TimerFired,
)
from mpschema.system.rows import CommandRow, EventRow, ProjectionRow

COMMANDS: tuple[Command, ...] = (
    RaiseFeatureLevel(level=2),
    SetLimits(outcome_days=90),
)
EVENTS: tuple[Event, ...] = (
    CommandRejected(
        code=Code.STALE_FENCE, detail="the claim has fence 7, not 6", command_type="task.submit", target=story.TASK
    ),
    TimerFired(due_ms=story.EXPIRES_AT_MS, kind="task_lease"),
    LeaderElected(leader_epoch=3, node="kernel-a", operators=("user:root",), policy_digest="ef" * 32),
    LogCheckpointed(at_seq=4096, head="12" * 32, state_root="34" * 32, key_id="2026-01", signature="c2lnbmVk"),
    LogRestored(at_seq=4096, head="12" * 32, state_root="34" * 32, source="backup", copied_at_ms=story.EXPIRES_AT_MS),
    FeatureLevelRaised(level=2),
    LimitsSet(lineage_live_max=100_000, outcome_days=90, sweep_facts=200),
    FollowUpRefused(
        command="task.expire_lease",
        code=Code.INVALID_STATE,
        detail=f"task {story.TASK} is done",
        target=story.TASK,
    ),
    LineTried(position=4711, line=3, process="kernel-a-1f0c9d2e"),
    LineSurvived(position=4711, line=3, process="kernel-a-1f0c9d2e"),
)
ROWS: tuple[msgspec.Struct, ...] = (
    CommandRow(
        workspace_id=story.WORKSPACE,
        id=story.COMMAND_ID,
        idempotency_key="ci-4711",
        status=Status.REJECTED,
        command_type="task.submit",
        target=story.TASK,
        code=Code.STALE_FENCE,
        detail="the claim has fence 7, not 6",
        actor=story.ACTOR,
        first_seq=1042,
        last_seq=1042,
        epoch=3,
        decided_at=story.AT,
    ),
    EventRow(
        workspace_id=story.WORKSPACE,
        seq=1042,
        id=f"{story.COMMAND_ID}:0",
        event_type="mp.task.TaskReady.v1",
        aggregate="task",
        aggregate_id=story.TASK,
        version=2,
        epoch=3,
        actor=story.OWNER,
        recorded_at=story.AT,
        hash="56" * 32,
        event=msgspec.Raw(b'{"type":"mp.task.TaskReady.v1","seq":1042}'),
    ),
    ProjectionRow(
        name="work",
        build=2,
        version=1,
        phase="serving",
        position=1040,
        head=1042,
        lag_events=2,
        lag_seconds=0.012,
        state="live",
        error=None,
        halted_at=None,
        updated_at=story.LATER,
    ),
)

"""Follow-ups: commands of the kernel's own, decided behind their cause, in its commit and its outcome."""

from collections.abc import Sequence
from typing import Any

import pytest
from mpcore.access.kernel import KERNEL_AUTHORIZER
from mpcore.access.policy import RoleAuthorizer
from mpcore.domain.aggregates import FOLLOW_UPS, RULES
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import Session
from mpcore.engine import decide as deciding
from mpcore.engine import recorder
from mpcore.engine.commit import TurnLimits
from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpcore.state.reactions import FollowUp
from mpcore.state.rules import DecisionContext, Inputs
from mpschema import codec, levels
from mpschema.base import Command
from mpschema.envelope import EventRecord, Outcome, Status
from mpschema.registry import COMMANDS, KERNEL_COMMANDS
from mpschema.rejections import Code, Rejection
from mpschema.session import CancelSession, EndSession, SessionCanceled, SessionState, SpawnSession
from mpschema.system import FeatureLevelRaised, FollowUpRefused, LeaderElected
from mpschema.task import ExpireTaskLease, TaskLeaseExpired
from mpschema.workspace import CreateWorkspace
from msgspec.structs import replace

from libs.mpcore.tests.story import ACME, BLUEPRINT, ROOT, Step, acme, before, claimed, family, ready, task

LIMITS = TurnLimits()
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Kernel:
    """Turns on a shard of the newest level, in which a lineage of three lives."""

    def __init__(self) -> None:
        self.shard = Shard()
        self.position = 0
        turn = self.turn()
        turn.note(Fact("log", "log", LeaderElected(leader_epoch=1, node="k", operators=(ROOT,))), "election_1:0")
        turn.note(Fact("log", "log", FeatureLevelRaised(level=levels.FEATURE_LEVEL)), "election_1:1")
        self.give(CreateWorkspace("Acme"), ACME)
        for name, parent in (("lead", None), ("left", "lead"), ("leaf", "left")):
            self.give(SpawnSession(BLUEPRINT, parent_id=parent), name)

    def turn(self, limits: TurnLimits = LIMITS) -> Turn:
        return Turn(self.shard, 1, 1_000, RoleAuthorizer(), limits=limits)

    def give(self, arguments: Command, target: str, limits: TurnLimits = LIMITS) -> tuple[Turn, Any]:
        """Decide one command in a turn of its own, and return the turn and the answer."""
        self.position += 1
        spec = next(spec for spec in COMMANDS.values() if spec.arguments is type(arguments))
        envelope = spec.envelope(
            codec.encode(arguments),
            command_id=f"cmd-{self.position}",
            workspace_id=ACME,
            principal=ROOT,
            target=target,
            correlation_id="request-1",
            traceparent=TRACE,
        )
        turn = self.turn(limits)
        turn.take(self.position, "replies", codec.encode(envelope))
        (answer,) = turn.replies["replies"]
        return turn, answer


def records(turn: Turn) -> list[EventRecord]:
    return [record for record, _ in turn.undo.replaced]


def test_a_follow_up_is_the_kernels_own_behind_its_cause_and_in_its_outcome() -> None:
    turn, answer = Kernel().give(CancelSession("enough"), "lead")
    cause, *followed = records(turn)
    assert [record.id for record in (cause, *followed)] == ["cmd-5:0", "cmd-5:1", "cmd-5:2"]
    assert cause.actor == ROOT
    assert cause.digest is not None
    for record in followed:
        assert (record.actor, record.causation_id, record.digest) == ("kernel", cause.id, None)
        assert (record.correlation_id, record.traceparent) == ("request-1", TRACE)
    assert isinstance(answer, Outcome)
    assert (answer.first_seq, answer.last_seq) == (cause.seq, followed[-1].seq)
    assert answer.version == cause.version


def test_a_timer_is_an_event_with_a_command_that_follows() -> None:
    story = acme().given(task(), ready(), claimed(ttl_seconds=60))
    story.later(60)
    fired, expired = story.records[-2:]
    assert isinstance(expired.event, TaskLeaseExpired)
    assert (expired.actor, expired.causation_id, expired.command_id) == ("kernel", fired.id, fired.command_id)


def test_below_level_4_a_timer_is_recorded_as_it_always_was() -> None:
    story = before(acme()).given(task(), ready(), claimed(ttl_seconds=60))
    story.later(60)
    assert story.records[-1].id == story.records[-2].id.replace(":0", ":1")


@pytest.mark.parametrize("kind", KERNEL_COMMANDS)
def test_nobody_else_can_give_a_command_of_the_kernels_own(kind: str) -> None:
    assert kind not in COMMANDS
    kernel = Kernel()
    envelope = COMMANDS["session.start"].envelope(
        b"{}", command_id="x", workspace_id=ACME, principal="kernel", target="lead"
    )
    turn = kernel.turn()
    turn.take(kernel.position + 1, "replies", codec.encode(envelope).replace(b"session.start", kind.encode()))
    (answer,) = turn.replies["replies"]
    assert isinstance(answer, Outcome)
    assert answer.code is Code.UNKNOWN_TYPE


def test_the_kernel_gives_no_command_of_a_callers() -> None:
    kernel = Kernel()
    envelope = COMMANDS["session.cancel"].envelope(
        b"{}", command_id="x", workspace_id=ACME, principal="kernel", target="lead"
    )
    turn = kernel.turn()
    draft = recorder.recorder_of(turn, Inputs(1), recorder.OutcomeRow("x", 0, 0), envelope)
    verdict = KERNEL_AUTHORIZER.authorize(DecisionContext(Inputs(1), draft, envelope, "lead", CancelSession()))
    assert verdict.refusal is not None
    assert verdict.refusal.code is Code.DENIED
    assert set(FOLLOW_UPS) == set(KERNEL_COMMANDS)


def reacting(monkeypatch: pytest.MonkeyPatch, *follow_ups: FollowUp) -> None:
    """A fault of ours: these follow from every cancel."""

    def reaction(*_: object) -> Sequence[FollowUp]:
        return follow_ups

    monkeypatch.setattr(recorder, "_REACTIONS", {SessionCanceled: (reaction,)})


def test_a_refused_follow_up_is_recorded_and_told_and_its_cause_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    reacting(monkeypatch, FollowUp(ExpireTaskLease(7), "nowhere"))
    turn, answer = Kernel().give(CancelSession(), "lead")
    canceled, refused = records(turn)
    assert isinstance(canceled.event, SessionCanceled)
    assert isinstance(refused.event, FollowUpRefused)
    assert (refused.event.command, refused.event.code) == ("task.expire_lease", Code.NOT_FOUND)
    assert (refused.actor, refused.causation_id) == ("kernel", canceled.id)
    assert answer.status is Status.ACCEPTED
    assert [(fault.kind, fault.what) for fault in turn.faults] == [("follow_up", "task.expire_lease of acme/nowhere")]


def test_a_circle_of_follow_ups_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def canceled(draft: Any, context: DecisionContext, depth: int) -> Rejection | None:
        """Decide as if a session could be canceled again and again."""
        if depth <= recorder.DEPTH_MAX:
            draft.record(Fact("session", context.target, SessionCanceled(context.target)))
        return None if depth <= recorder.DEPTH_MAX else decided(draft, context, depth)

    decided = recorder._decided
    monkeypatch.setattr(recorder, "_decided", canceled)
    reacting(monkeypatch, FollowUp(EndSession("left"), "left"))
    turn, answer = Kernel().give(CancelSession(), "lead")
    assert answer.status is Status.ACCEPTED
    assert [record.name for record in records(turn)] == ["SessionCanceled"] * (recorder.DEPTH_MAX + 1) + [
        "FollowUpRefused"
    ]


def test_where_a_cause_with_its_follow_ups_is_larger_than_a_commit_it_is_refused() -> None:
    kernel = Kernel()
    limits = TurnLimits(commit_bytes=700)
    turn, answer = kernel.give(CancelSession("x" * 200), "lead", limits)
    assert answer.code is Code.TOO_LARGE
    assert [record.name for record in records(turn)] == ["CommandRejected"]
    assert kernel.give(CancelSession(), "leaf", limits)[1].status is Status.ACCEPTED


def test_facts_of_a_decision_are_seen_by_the_rest_of_it_and_rolled_back_with_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def record_and_refuse(session: Session, _: Command, context: DecisionContext) -> Rejection:
        context.draft.record(Fact("session", session.id, SessionCanceled(session.id)))
        seen.append(sessions(context.draft.tenant).by_id[session.id].state)
        return Rejection(Code.INVALID_STATE, "and yet not")

    rule = replace(RULES["session.cancel"], decide=record_and_refuse)
    story = family()
    monkeypatch.setattr(
        deciding, "_RULES", deciding._RULES | {CancelSession: (COMMANDS["session.cancel"], "session", rule)}
    )
    recorded = len(story.records)
    story.when(Step(CancelSession(), "lead")).then_rejected(Code.INVALID_STATE)
    assert seen == [SessionState.CANCELED]
    assert len(story.records) == recorded
    assert sessions(story.tenant).by_id["leaf"].state is SessionState.ACTIVE


def test_policy_says_on_whose_standing_and_by_which_policies() -> None:
    kernel = Kernel()
    turn, _ = kernel.give(CancelSession(), "leaf")
    (verdict,) = turn.verdicts
    assert (verdict.standing, verdict.allowed, verdict.policies) == ("operator", True, ("deployment:operator",))

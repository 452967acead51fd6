"""The words about a task: a piece of work, claimed by lease, proven by evidence."""

import enum
from typing import Annotated

import msgspec

from mpschema.base import Command, Digest, Event, Fence, Id, Labels, Name, Reason, Text, TimeMs, TtlSeconds
from mpschema.vocabulary import Vocabulary, command

Priority = Annotated[int, msgspec.Meta(ge=0, le=4, description="0 is most urgent")]


class TaskState(enum.StrEnum):
    """The states of a task, from draft to end."""

    DRAFT = "draft"
    READY = "ready"
    CLAIMED = "claimed"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    BLOCKED = "blocked"
    DONE = "done"
    CANCELED = "canceled"


class LinkKind(enum.StrEnum):
    """The relation of one task to another. `blocks` and `parent` are acyclic."""

    BLOCKS = "blocks"
    PARENT = "parent"
    DISCOVERED_FROM = "discovered_from"
    RELATES = "relates"


class ReleaseCause(enum.StrEnum):
    """The reason why a claim ended before its work was submitted."""

    HOLDER = "holder"
    SESSION_ENDED = "session_ended"


class Evidence(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Something that shows that work was done: what kind, in words, and where the bytes are."""

    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    summary: Text
    uri: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    sha256: Digest | None = None


class CreateTask(Command, frozen=True):
    """Create a task in a project, as a draft."""

    project_id: Id
    title: Name
    description: Text = ""
    board_id: Id | None = None
    priority: Priority = 2
    labels: Labels = ()


class EditTask(Command, frozen=True):
    """Change what a task says; what is left out stays."""

    title: Name | None = None
    description: Text | None = None
    priority: Priority | None = None
    labels: Labels | None = None


class LinkTask(Command, frozen=True):
    """Relate this task to another; `blocks` means this one must be done before the other."""

    kind: LinkKind
    to: Id


class UnlinkTask(Command, frozen=True):
    """Take a link away."""

    kind: LinkKind
    to: Id


class MarkTaskReady(Command, frozen=True):
    """Offer the task to whoever may claim it; refused while something open blocks it."""


class ClaimTask(Command, frozen=True):
    """Take the task for a time, by lease; the answer's event carries the fencing token."""

    session_id: Id | None = None
    ttl_seconds: TtlSeconds = 300


class RenewTask(Command, frozen=True):
    """Hold the claim longer: the lease runs anew from now."""

    fence: Fence
    ttl_seconds: TtlSeconds = 300


class ReleaseTask(Command, frozen=True):
    """Give the claim back; the task is ready again."""

    fence: Fence


class StartTask(Command, frozen=True):
    """Begin the work."""

    fence: Fence


class SubmitTask(Command, frozen=True):
    """Hand the work in for review, with evidence."""

    fence: Fence
    evidence: Annotated[tuple[Evidence, ...], msgspec.Meta(min_length=1, max_length=32)]


class AcceptTask(Command, frozen=True):
    """Accept the evidence; the task can then be completed."""

    note: Reason = ""


class RejectTask(Command, frozen=True):
    """Send the work back to its holder, with the reason."""

    reason: Reason


class BlockTask(Command, frozen=True):
    """Stop the task for an outside reason; a claim on it ends."""

    reason: Reason


class UnblockTask(Command, frozen=True):
    """Take the block away."""


class CompleteTask(Command, frozen=True):
    """Close an accepted task as done."""


class CancelTask(Command, frozen=True):
    """Close the task without doing it."""

    reason: Reason = ""


class ReopenTask(Command, frozen=True):
    """Bring a closed task back, as a draft."""

    reason: Reason = ""


class ExpireTaskLease(Command, frozen=True):
    """End a claim because its lease has passed; the task is ready again."""

    fence: Fence


class ReturnTask(Command, frozen=True):
    """End a claim because its session ended; the task is ready again."""

    fence: Fence


class TaskCreated(Event, frozen=True):
    project_id: Id
    title: Name
    description: Text = ""
    board_id: Id | None = None
    priority: Priority = 2
    labels: Labels = ()


class TaskEdited(Event, frozen=True):
    title: Name | None = None
    description: Text | None = None
    priority: Priority | None = None
    labels: Labels | None = None


class TaskLinked(Event, frozen=True):
    kind: LinkKind
    to: Id


class TaskUnlinked(Event, frozen=True):
    kind: LinkKind
    to: Id


class TaskReady(Event, frozen=True):
    pass


class TaskClaimed(Event, frozen=True):
    holder: Id
    lease_id: Id
    fence: Fence
    ttl_seconds: TtlSeconds
    expires_at_ms: TimeMs
    session_id: Id | None = None


class TaskLeaseRenewed(Event, frozen=True):
    fence: Fence
    ttl_seconds: TtlSeconds
    expires_at_ms: TimeMs


class TaskLeaseExpired(Event, frozen=True):
    fence: Fence
    holder: Id


class TaskReleased(Event, frozen=True):
    fence: Fence
    holder: Id
    cause: ReleaseCause = ReleaseCause.HOLDER


class TaskStarted(Event, frozen=True):
    fence: Fence
    expires_at_ms: TimeMs


class TaskSubmitted(Event, frozen=True):
    fence: Fence
    evidence: tuple[Evidence, ...]


class TaskAccepted(Event, frozen=True):
    note: Reason = ""


class TaskRejected(Event, frozen=True):
    reason: Reason
    expires_at_ms: TimeMs


class TaskBlocked(Event, frozen=True):
    reason: Reason


class TaskUnblocked(Event, frozen=True):
    state: TaskState


class TaskCompleted(Event, frozen=True):
    pass


class TaskCanceled(Event, frozen=True):
    reason: Reason = ""


class TaskReopened(Event, frozen=True):
    reason: Reason = ""


VOCABULARY = Vocabulary(
    name="task",
    plural="tasks",
    projection="work",
    about="Tasks: claimed by lease, proven by evidence.",
    commands=(
        command("task.create", CreateTask, TaskCreated, creates=True),
        command("task.edit", EditTask, TaskEdited),
        command("task.link", LinkTask, TaskLinked),
        command("task.unlink", UnlinkTask, TaskUnlinked),
        command("task.mark_ready", MarkTaskReady, TaskReady),
        command("task.claim", ClaimTask, TaskClaimed),
        command("task.renew", RenewTask, TaskLeaseRenewed),
        command("task.release", ReleaseTask, TaskReleased),
        command("task.start", StartTask, TaskStarted),
        command("task.submit", SubmitTask, TaskSubmitted),
        command("task.accept", AcceptTask, TaskAccepted),
        command("task.reject", RejectTask, TaskRejected, TaskReleased),
        command("task.block", BlockTask, TaskBlocked),
        command("task.unblock", UnblockTask, TaskUnblocked),
        command("task.complete", CompleteTask, TaskCompleted),
        command("task.cancel", CancelTask, TaskCanceled),
        command("task.reopen", ReopenTask, TaskReopened),
    ),
    kernel_commands=(
        command("task.expire_lease", ExpireTaskLease, TaskLeaseExpired),
        command("task.return", ReturnTask, TaskReleased),
    ),
    events=(
        TaskCreated,
        TaskEdited,
        TaskLinked,
        TaskUnlinked,
        TaskReady,
        TaskClaimed,
        TaskLeaseRenewed,
        TaskLeaseExpired,
        TaskReleased,
        TaskStarted,
        TaskSubmitted,
        TaskAccepted,
        TaskRejected,
        TaskBlocked,
        TaskUnblocked,
        TaskCompleted,
        TaskCanceled,
        TaskReopened,
    ),
)

"""The envelope of a message: cause, correlation, time, version, and the answer to a command."""

import enum
import functools
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from mpschema.base import ID_PATTERN, INT_MAX, Event
from mpschema.ids import is_id
from mpschema.levels import FIRST_LEVEL
from mpschema.rejections import Code

WITHOUT_NUL = r"^[^\x00]*\Z"
"""The pattern of recorded text: PostgreSQL must be able to store it, and its text cannot hold NUL."""
EnvelopeId = Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]
IdempotencyKey = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+\Z")]
Traceparent = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")]
ExpectedVersion = Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] | Literal["any"]
"""The version the target must have (0: must not exist yet), or `any`."""


_GivenId = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": ID_PATTERN})]
"""The ids every command has. `codec.decode_envelope` looks at them: a pattern of msgspec's own costs three times it."""
_is_known_id = functools.lru_cache(4_096)(is_id)
"""The cached check of ids that come again and again: workspaces and principals."""


def _text_without_nul(length: int) -> msgspec.Meta:
    """The same: `codec.decode_envelope` looks for NUL."""
    return msgspec.Meta(max_length=length, extra_json_schema={"pattern": WITHOUT_NUL})


class CommandEnvelope(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One command on the wire. `payload` holds its arguments, undecoded.

    `target` may be empty for a command that creates: the kernel then derives the id from `command_id`.
    `idempotency_key` defaults to the command's id, `correlation_id` likewise.
    """

    command_id: _GivenId
    type: Annotated[str, _text_without_nul(200)]
    workspace_id: _GivenId
    principal: _GivenId
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    target: Annotated[str, _text_without_nul(128)] = ""
    schema_version: int = 1
    expected_version: ExpectedVersion = "any"
    idempotency_key: IdempotencyKey = ""
    on_behalf_of: EnvelopeId | None = None
    session_id: EnvelopeId | None = None
    correlation_id: EnvelopeId | None = None
    causation_id: EnvelopeId | None = None
    traceparent: Traceparent | None = None

    @property
    def misfit(self) -> str:
        """The fault that its types do not show; empty for none."""
        if not (is_id(self.command_id) and _is_known_id(self.workspace_id) and _is_known_id(self.principal)):
            wrong = next(name for name in ("command_id", "workspace_id", "principal") if not is_id(getattr(self, name)))
            return f"Expected `str` matching regex {ID_PATTERN!r} - at `$.{wrong}`"
        if "\x00" in self.type or "\x00" in self.target:
            wrong = "type" if "\x00" in self.type else "target"
            return f"Expected `str` matching regex {WITHOUT_NUL!r} - at `$.{wrong}`"
        return ""


class EventRecord(
    msgspec.Struct,
    frozen=True,
    gc=False,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
):
    """One event as it is stored: a line of a commit. Each event type and version has its own subclass with typed data.

    `seq` is the gapless position in the shard's log, `version` the gapless position in the aggregate's own history.
    `id` is the command's id and the event's index in its outcome (`…:0`). `idempotency_key` (when it is not the
    command's id) and `digest` stand on the first event of an outcome only.
    """

    aggregate: ClassVar[str]
    event_type: ClassVar[str]
    """The full type, `mp.task.TaskClaimed.v1`."""
    name: ClassVar[str]
    """The bare name, `TaskClaimed`."""

    seq: int
    id: str
    workspace_id: str
    aggregate_id: str
    version: int
    time_ms: int
    epoch: int
    actor: str
    data: Any
    on_behalf_of: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    idempotency_key: str | None = None
    digest: str | None = None

    @property
    def command_id(self) -> str:
        """The id of the command whose outcome this event belongs to."""
        return self.id.rpartition(":")[0]

    @property
    def index(self) -> int:
        """The event's place in its command's outcome, from 0."""
        return int(self.id.rpartition(":")[2])

    @property
    def event(self) -> Event:
        """The fact itself, typed."""
        data: Event = self.data
        return data


class CommitHeader(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first line of a commit: which events it holds, who wrote it, and how far the command stream is consumed."""

    epoch: int
    first_seq: int
    count: int
    time_ms: int
    previous_hash: str
    """SHA-256 of the commit before, lower-case hex; 64 zeros for the first."""
    command_position: int
    """The last position of the command stream whose outcome is in the log up to this commit."""
    commands: int = 0
    feature_level: int = FIRST_LEVEL
    """The feature level that readers of this commit and those after it need (`mpschema.levels`)."""
    command_line: int = 0
    """The number of lines of the message at the next position that have their outcome in the log, too. From level 3."""


class Status(enum.StrEnum):
    """The two outcomes of a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Outcome(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The recorded answer to a command. The same key and body get the same answer (`duplicate` tells).

    A key is remembered for 30 days at least, unless the log has another limit; then its request is decided anew.
    """

    command_id: str
    """Of the command that was decided: with `duplicate`, the first that carried the key.

    A command with a key is recorded under an id that the kernel makes (from feature level 4).
    """
    status: Status
    epoch: int
    first_seq: int
    last_seq: int
    target: str = ""
    version: int = 0
    """The target's version after this command (accepted only)."""
    code: Code | None = None
    detail: str = ""
    duplicate: bool = False
    request_id: str = ""
    """The id of the command that asked, where it is not `command_id`."""

    @property
    def accepted(self) -> bool:
        """True if the command became events."""
        return self.status is Status.ACCEPTED

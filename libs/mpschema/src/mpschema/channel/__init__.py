"""The words about a channel: ordered messages among the sessions of a lineage."""

import enum
from typing import Annotated

import msgspec

from mpschema.base import Command, Event, Id, Name, Reason, Sequence, Text, TimeMs
from mpschema.vocabulary import Vocabulary, command

MessageKind = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Scope(enum.StrEnum):
    """The members of a channel, relative to the session it is anchored to, at the time of each post."""

    SELF = "self"
    PARENT = "parent"
    CHILDREN = "children"
    SIBLINGS = "siblings"
    SUBTREE = "subtree"
    LINEAGE = "lineage"
    PROJECT = "project"


class Provenance(enum.StrEnum):
    """The origin of a message. The kernel sets it, never the sender."""

    OPERATOR = "operator"
    KERNEL = "kernel"
    PEER = "peer"
    TOOL = "tool"


class OpenChannel(Command, frozen=True):
    """Open a channel anchored to a session, for those its scope names."""

    session_id: Id
    scope: Scope
    name: Name


class PostMessage(Command, frozen=True):
    """Say something in the channel; `reply_by_seconds` asks for an answer in that time."""

    kind: MessageKind
    body: Text
    reply_to: Sequence | None = None
    reply_by_seconds: Annotated[int, msgspec.Meta(ge=1, le=604_800)] | None = None


class AckMessages(Command, frozen=True):
    """Say up to which message the caller has read."""

    cursor: Sequence


class CloseChannel(Command, frozen=True):
    """Close the channel; it stays readable."""

    reason: Reason = ""


class ExpireReply(Command, frozen=True):
    """Wait no longer for the reply to a message: its time has passed."""

    message_seq: Sequence


class ChannelOpened(Event, frozen=True):
    session_id: Id
    scope: Scope
    name: Name


class MessagePosted(Event, frozen=True):
    message_seq: Sequence
    kind: MessageKind
    body: Text
    sender: Id
    provenance: Provenance
    session_id: Id | None = None
    reply_to: Sequence | None = None
    reply_by_ms: TimeMs | None = None


class CursorAdvanced(Event, frozen=True):
    reader: Id
    cursor: Sequence


class ReplyOverdue(Event, frozen=True):
    message_seq: Sequence


class ChannelClosed(Event, frozen=True):
    reason: Reason = ""


VOCABULARY = Vocabulary(
    name="channel",
    plural="channels",
    about="Channels: ordered messages within a lineage.",
    commands=(
        command("channel.open", OpenChannel, ChannelOpened, creates=True),
        command("channel.post", PostMessage, MessagePosted),
        command("channel.ack", AckMessages, CursorAdvanced),
        command("channel.close", CloseChannel, ChannelClosed),
    ),
    kernel_commands=(command("channel.expire_reply", ExpireReply, ReplyOverdue),),
    events=(
        ChannelOpened,
        MessagePosted,
        CursorAdvanced,
        ReplyOverdue,
        ChannelClosed,
    ),
)

"""Ordered messages among the sessions of a lineage. The kernel numbers them and says where each comes from.

What was said is not kept: only how many messages there are, who has read how far, and which still wait for an answer.
"""

from collections.abc import Callable, Mapping
from sys import intern

from mpschema import channel as words
from mpschema.base import Event
from mpschema.channel import Provenance, Scope
from mpschema.envelope import EventRecord
from mpschema.rejections import Code, Rejection
from msgspec.structs import replace

from mpkernel.core.authority import acting_session, voice
from mpkernel.core.rules import AccessRequest, Evolve, Rule, Rules
from mpkernel.core.session import LIVE
from mpkernel.core.states import Channel, ChannelState, Session
from mpkernel.core.world import Decision, Fact

OPEN, CLOSED = ChannelState.OPEN, ChannelState.CLOSED
AWAITED_MAX = 1_000
"""How many messages of a channel may wait for an answer at once."""

_BELONGS: dict[Scope, Callable[[Session, Session], bool]] = {
    Scope.SELF: lambda _, __: False,
    Scope.PARENT: lambda anchor, other: other.id == anchor.parent_id,
    Scope.CHILDREN: lambda anchor, other: other.parent_id == anchor.id,
    Scope.SIBLINGS: lambda anchor, other: anchor.parent_id is not None and other.parent_id == anchor.parent_id,
    Scope.SUBTREE: lambda anchor, other: anchor.id in other.lineage,
    Scope.LINEAGE: lambda anchor, other: other.root_id == anchor.root_id,
    Scope.PROJECT: lambda anchor, other: anchor.project_id is not None and other.project_id == anchor.project_id,
}
"""Whether another session than the anchor belongs to a channel of this scope."""


def is_member(scope: Scope, anchor: Session, other: Session) -> bool:
    """Whether the session belongs to a channel anchored so. The anchor always does."""
    return other.id == anchor.id or _BELONGS[scope](anchor, other)


def _outsider(channel: Channel, request: AccessRequest) -> Rejection | None:
    """Why the caller is not heard here, or None where it is: agents must be members, people with a role need not."""
    session = acting_session(request)
    if session is None or is_member(channel.scope, request.space.sessions[channel.session_id], session):
        return None
    return Rejection(Code.NOT_A_MEMBER, f"session {session.id} does not belong to channel {channel.id}")


def _open(_: None, arguments: words.OpenChannel, request: AccessRequest) -> Decision:
    anchor = request.space.sessions.get(arguments.session_id)
    if anchor is None:
        return Rejection(Code.NOT_FOUND, f"session {arguments.session_id} does not exist")
    if anchor.state not in LIVE:
        return Rejection(Code.SESSION_ENDED, f"session {anchor.id} is {anchor.state}")
    event = words.ChannelOpened(arguments.session_id, arguments.scope, arguments.name)
    return (Fact("channel", request.target, event),)


def _post(channel: Channel, arguments: words.PostMessage, request: AccessRequest) -> Decision:
    session = acting_session(request)
    refused = _outsider(channel, request) if session else None
    if refused is not None:
        return refused
    if arguments.reply_to is not None and arguments.reply_to > channel.messages:
        return Rejection(Code.NOT_FOUND, f"channel {channel.id} has no message {arguments.reply_to}")
    reply_by_ms = None
    if arguments.reply_by_seconds is not None:
        if len(channel.awaited) >= AWAITED_MAX:
            return Rejection(Code.OVERLOADED, f"{AWAITED_MAX} messages of channel {channel.id} wait for an answer")
        reply_by_ms = request.now_ms + arguments.reply_by_seconds * 1_000
    event = words.MessagePosted(
        channel.messages + 1,
        arguments.kind,
        arguments.body,
        voice(request, session),
        Provenance.PEER if session else Provenance.OPERATOR,
        session.id if session else None,
        arguments.reply_to,
        reply_by_ms,
    )
    return (Fact("channel", channel.id, event),)


def _ack(channel: Channel, arguments: words.AckMessages, request: AccessRequest) -> Decision:
    if refused := _outsider(channel, request):
        return refused
    reader, cursor = voice(request, acting_session(request)), arguments.cursor
    if cursor > channel.messages:
        return Rejection(Code.NOT_FOUND, f"channel {channel.id} has no message {cursor}")
    read = channel.cursors.get(reader, 0)
    if cursor <= read:
        return Rejection(Code.INVALID_STATE, f"{reader} has acknowledged message {read} already")
    return (Fact("channel", channel.id, words.CursorAdvanced(reader, cursor)),)


def _close(channel: Channel, arguments: words.CloseChannel, _: AccessRequest) -> Decision:
    return (Fact("channel", channel.id, words.ChannelClosed(arguments.reason)),)


RULES: Rules = {
    words.OpenChannel: Rule(decide=_open, targets=(OPEN,)),
    words.PostMessage: Rule(decide=_post, sources=frozenset({OPEN})),
    words.AckMessages: Rule(decide=_ack, sources=frozenset({OPEN, CLOSED})),
    words.CloseChannel: Rule(decide=_close, sources=frozenset({OPEN}), targets=(CLOSED,)),
}


def _opened(_: None, event: words.ChannelOpened, record: EventRecord) -> Channel:
    return Channel(record.aggregate_id, record.version, intern(event.session_id), event.scope, OPEN)


def _posted(channel: Channel, event: words.MessagePosted, record: EventRecord) -> Channel:
    awaited = channel.awaited
    if event.reply_to in awaited:
        awaited = _without(awaited, event.reply_to)
    if event.reply_by_ms is not None:
        awaited = {**awaited, event.message_seq: event.reply_by_ms}
    return replace(channel, version=record.version, messages=event.message_seq, awaited=awaited)


def _without(awaited: dict[int, int], message_seq: int | None) -> dict[int, int]:
    return {seq: due_ms for seq, due_ms in awaited.items() if seq != message_seq}


def _read(channel: Channel, event: words.CursorAdvanced, record: EventRecord) -> Channel:
    return replace(channel, version=record.version, cursors={**channel.cursors, intern(event.reader): event.cursor})


def _overdue(channel: Channel, event: words.ReplyOverdue, record: EventRecord) -> Channel:
    return replace(channel, version=record.version, awaited=_without(channel.awaited, event.message_seq))


def _closed(channel: Channel, _: words.ChannelClosed, record: EventRecord) -> Channel:
    return replace(channel, version=record.version, state=CLOSED, awaited={})


EVOLVE: Mapping[type[Event], Evolve] = {
    words.ChannelOpened: _opened,
    words.MessagePosted: _posted,
    words.CursorAdvanced: _read,
    words.ReplyOverdue: _overdue,
    words.ChannelClosed: _closed,
}

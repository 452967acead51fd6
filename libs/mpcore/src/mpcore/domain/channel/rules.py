"""The rules of a channel's commands."""

from collections.abc import Callable

from mpschema import channel as words
from mpschema.channel import Provenance, Scope
from mpschema.rejections import Code, Rejection

from mpcore.domain.channel.state import Channel, ChannelState
from mpcore.domain.naming import name_in
from mpcore.domain.session.agents import acting_session, anything, own_lineage, voice
from mpcore.domain.session.index import sessions
from mpcore.domain.session.liveness import ended
from mpcore.domain.session.state import Session
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import NOBODY, DecisionContext, Rule, Rules

OPEN, CLOSED = ChannelState.OPEN, ChannelState.CLOSED
AWAITED_MAX = 1_000
"""The most messages of a channel that may wait for an answer at once."""

_BELONGS: dict[Scope, Callable[[Session, Session], bool]] = {
    Scope.SELF: lambda _, __: False,
    Scope.PARENT: lambda anchor, other: other.id == anchor.parent_id,
    Scope.CHILDREN: lambda anchor, other: other.parent_id == anchor.id,
    Scope.SIBLINGS: lambda anchor, other: anchor.parent_id is not None and other.parent_id == anchor.parent_id,
    Scope.SUBTREE: lambda anchor, other: anchor.id in other.lineage,
    Scope.LINEAGE: lambda anchor, other: other.root_id == anchor.root_id,
    Scope.PROJECT: lambda anchor, other: anchor.project_id is not None and other.project_id == anchor.project_id,
}
"""Scope to the test of another session than the anchor: does it belong to such a channel."""


def is_member(scope: Scope, anchor: Session, other: Session) -> bool:
    """Tell whether the session belongs to a channel anchored so. The anchor always does."""
    return other.id == anchor.id or _BELONGS[scope](anchor, other)


def _outsider(channel: Channel, context: DecisionContext) -> Rejection | None:
    """Refuse a caller that is no member; None where it may speak.

    Agents must be members, people with a role need not.
    """
    session = acting_session(context)
    if session is None or is_member(channel.scope, sessions(context.draft.tenant).by_id[channel.session_id], session):
        return None
    return Rejection(Code.NOT_A_MEMBER, f"session {session.id} does not belong to channel {channel.id}")


def _open(_: None, arguments: words.OpenChannel, context: DecisionContext) -> Decision:
    anchor = sessions(context.draft.tenant).by_id.get(arguments.session_id)
    if anchor is None:
        return Rejection(Code.NOT_FOUND, f"session {arguments.session_id} does not exist")
    if refused := ended(context.draft.tenant, anchor):
        return refused
    event = words.ChannelOpened(arguments.session_id, arguments.scope, arguments.name)
    return (Fact("channel", context.target, event),)


def _post(channel: Channel, arguments: words.PostMessage, context: DecisionContext) -> Decision:
    session = acting_session(context)
    refused = _outsider(channel, context) if session else None
    if refused is not None:
        return refused
    if arguments.reply_to is not None and arguments.reply_to > channel.messages:
        return Rejection(Code.NOT_FOUND, f"channel {channel.id} has no message {arguments.reply_to}")
    reply_by_ms = None
    if arguments.reply_by_seconds is not None:
        if len(channel.awaited) >= AWAITED_MAX:
            return Rejection(Code.OVERLOADED, f"{AWAITED_MAX} messages of channel {channel.id} wait for an answer")
        reply_by_ms = context.inputs.now_ms + arguments.reply_by_seconds * 1_000
    event = words.MessagePosted(
        channel.messages + 1,
        arguments.kind,
        arguments.body,
        voice(context, session),
        Provenance.PEER if session else Provenance.OPERATOR,
        session.id if session else None,
        arguments.reply_to,
        reply_by_ms,
    )
    return (Fact("channel", channel.id, event),)


def _ack(channel: Channel, arguments: words.AckMessages, context: DecisionContext) -> Decision:
    if refused := _outsider(channel, context):
        return refused
    reader, cursor = voice(context, acting_session(context)), arguments.cursor
    if cursor > channel.messages:
        return Rejection(Code.NOT_FOUND, f"channel {channel.id} has no message {cursor}")
    read = channel.cursors.get(reader, 0)
    if cursor <= read:
        return Rejection(Code.INVALID_STATE, f"{reader} has acknowledged message {read} already")
    return (Fact("channel", channel.id, words.CursorAdvanced(reader, cursor)),)


def _close(channel: Channel, arguments: words.CloseChannel, _: DecisionContext) -> Decision:
    return (Fact("channel", channel.id, words.ChannelClosed(arguments.reason)),)


def _expire_reply(channel: Channel, arguments: words.ExpireReply, _: DecisionContext) -> Decision:
    return (Fact("channel", channel.id, words.ReplyOverdue(arguments.message_seq)),)


RULES: Rules = {
    words.OpenChannel: Rule(decide=_open, targets=(OPEN,), names=name_in("name"), agents=own_lineage),
    words.PostMessage: Rule(decide=_post, sources=frozenset({OPEN}), agents=anything),
    words.AckMessages: Rule(decide=_ack, sources=frozenset({OPEN, CLOSED}), agents=anything),
    words.ExpireReply: Rule(decide=_expire_reply, sources=frozenset({OPEN}), roles=NOBODY, by_kernel=True),
    words.CloseChannel: Rule(decide=_close, sources=frozenset({OPEN}), targets=(CLOSED,)),
}

"""The events of a channel, as they change its state."""

from sys import intern

from mpschema import channel as words
from mpschema.envelope import EventRecord
from msgspec.structs import replace

from mpcore.domain.channel.state import Channel, ChannelState
from mpcore.state.rules import Evolves

OPEN, CLOSED = ChannelState.OPEN, ChannelState.CLOSED


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


EVOLVE: Evolves = {
    words.ChannelOpened: _opened,
    words.MessagePosted: _posted,
    words.CursorAdvanced: _read,
    words.ReplyOverdue: _overdue,
    words.ChannelClosed: _closed,
}

"""Channels, the messages in them, and the position of each reader."""

from collections.abc import Sequence

from mpschema import channel
from mpschema.channel.rows import ChannelRow, CursorRow, MessageRow
from mpschema.envelope import EventRecord

from mpviews.changes import Cases, Change, Insert, Patch, Upsert, Values, View
from mpviews.tables import aggregate_table, created, key_of, patch, table

_CHANNELS = aggregate_table("channels", ChannelRow, 50)
_MESSAGES = table("messages", ("workspace_id", "channel_id", "message_seq"), MessageRow, "message_seq")
_CURSORS = table("cursors", ("workspace_id", "channel_id", "reader"), CursorRow, "reader", fill_percent=50)


def _opened(record: EventRecord, data: channel.ChannelOpened) -> Sequence[Change]:
    values: Values = {
        "session_id": data.session_id,
        "scope": data.scope,
        "name": data.name,
        "state": "open",
        "messages": 0,
    }
    return (Insert("channels", key_of(record), values | created(record)),)


def _posted(record: EventRecord, data: channel.MessagePosted) -> Sequence[Change]:
    values: Values = {
        "kind": data.kind,
        "body": data.body,
        "sender": data.sender,
        "provenance": data.provenance,
        "session_id": data.session_id,
        "reply_to": data.reply_to,
        "reply_by": data.reply_by_ms,
        "reply_overdue": False,
        "posted_at": record.time_ms,
        "last_seq": record.seq,
    }
    return (
        Insert("messages", (record.workspace_id, record.aggregate_id, data.message_seq), values),
        patch("channels", record, messages=data.message_seq),
    )


def _advanced(record: EventRecord, data: channel.CursorAdvanced) -> Sequence[Change]:
    key = (record.workspace_id, record.aggregate_id, data.reader)
    return (Upsert("cursors", key, {"cursor": data.cursor}), patch("channels", record))


def _overdue(record: EventRecord, data: channel.ReplyOverdue) -> Sequence[Change]:
    key = (record.workspace_id, record.aggregate_id, data.message_seq)
    return (Patch("messages", key, {"reply_overdue": True, "last_seq": record.seq}), patch("channels", record))


CASES = Cases(
    frozenset({"channel"}),
    {
        channel.ChannelOpened: _opened,
        channel.MessagePosted: _posted,
        channel.CursorAdvanced: _advanced,
        channel.ReplyOverdue: _overdue,
        channel.ChannelClosed: lambda record, _: (patch("channels", record, state="closed"),),
    },
)
VIEW = View("channels", 1, (_CHANNELS, _MESSAGES, _CURSORS), CASES)

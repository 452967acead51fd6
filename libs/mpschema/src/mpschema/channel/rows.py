"""The queries about a channel, and the rows that they answer with."""

import msgspec

from mpschema.channel import Provenance, Scope
from mpschema.rows import Moment, QuerySpec, Row, listed, pair


class ChannelRow(Row, kw_only=True, frozen=True):
    id: str
    session_id: str
    scope: Scope
    name: str
    state: str
    """`open` or `closed`."""
    messages: int


class MessageRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    channel_id: str
    message_seq: int
    kind: str
    body: str
    sender: str
    provenance: Provenance
    session_id: str | None
    reply_to: int | None
    reply_by: Moment | None
    reply_overdue: bool
    posted_at: Moment
    last_seq: int


class CursorRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    channel_id: str
    reader: str
    cursor: int


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "channel",
        ChannelRow,
        "session_id",
        "state",
        "scope",
        values={"state": frozenset({"open", "closed"})},
        shown=("id", "name", "scope", "state", "messages", "session_id"),
    ),
    listed(
        "channel.messages",
        MessageRow,
        "/channels/{id}/messages",
        "List a channel's messages in order.",
        "kind",
        "sender",
        shown=("message_seq", "posted_at", "sender", "provenance", "kind", "body"),
    ),
    listed(
        "channel.cursors",
        CursorRow,
        "/channels/{id}/cursors",
        "List how far each reader has read.",
        "reader",
        shown=("reader", "cursor"),
    ),
)

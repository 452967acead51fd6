"""Examples of the commands, events and rows about a channel: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.channel import (
    AckMessages,
    ChannelClosed,
    ChannelOpened,
    CloseChannel,
    CursorAdvanced,
    MessagePosted,
    OpenChannel,
    PostMessage,
    Provenance,
    ReplyOverdue,
)
from mpschema.channel.rows import ChannelRow, CursorRow, MessageRow

ID = story.CHANNEL
COMMANDS: tuple[Command, ...] = (
    OpenChannel(session_id=story.ROOT_SESSION, scope=story.SCOPE, name="Findings"),
    PostMessage(kind="finding", body="retries = range(1, 3)", reply_to=1, reply_by_seconds=600),
    AckMessages(cursor=2),
    CloseChannel(reason="the review is over"),
)
EVENTS: tuple[Event, ...] = (
    ChannelOpened(session_id=story.ROOT_SESSION, scope=story.SCOPE, name="Findings"),
    MessagePosted(
        message_seq=2,
        kind="finding",
        body="retries = range(1, 3)",
        sender=story.ACTOR,
        provenance=Provenance.PEER,
        session_id=story.SESSION,
        reply_to=1,
        reply_by_ms=story.EXPIRES_AT_MS,
    ),
    CursorAdvanced(reader=story.ACTOR, cursor=2),
    ReplyOverdue(message_seq=2),
    ChannelClosed(reason="the review is over"),
)
ROWS: tuple[msgspec.Struct, ...] = (
    ChannelRow(
        **story.CHANGED,
        id=story.CHANNEL,
        session_id=story.ROOT_SESSION,
        scope=story.SCOPE,
        name="Findings",
        state="open",
        messages=2,
    ),
    MessageRow(
        workspace_id=story.WORKSPACE,
        channel_id=story.CHANNEL,
        message_seq=2,
        kind="finding",
        body="retries = range(1, 3)",
        sender=story.ACTOR,
        provenance=Provenance.PEER,
        session_id=story.SESSION,
        reply_to=1,
        reply_by=story.LATER,
        reply_overdue=False,
        posted_at=story.AT,
        last_seq=1042,
    ),
    CursorRow(workspace_id=story.WORKSPACE, channel_id=story.CHANNEL, reader=story.ACTOR, cursor=2),
)

"""The state of a channel, without its messages."""

import enum

import msgspec
from mpschema.channel import Scope


class ChannelState(enum.StrEnum):
    """The states of a channel: it takes messages, or does no longer."""

    OPEN = "open"
    CLOSED = "closed"


class Channel(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An ordered conversation, without its words.

    `messages` counts them; `awaited` maps a message that asked for an answer to the time by which it wants one;
    `cursors` maps a reader to the last message it has acknowledged.
    """

    id: str
    version: int
    session_id: str
    scope: Scope
    state: ChannelState
    messages: int = 0
    awaited: dict[int, int] = {}
    cursors: dict[str, int] = {}

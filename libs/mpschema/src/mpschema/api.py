"""The bodies of the HTTP API that are neither a command's arguments nor a query's row."""

import typing
from typing import Annotated, Generic, Literal, TypeVar

import msgspec

from mpschema.base import Id, TimeMs
from mpschema.envelope import EnvelopeId, ExpectedVersion, IdempotencyKey, Outcome

T = TypeVar("T")

POSITION_HEADER = "Mp-Position"
"""Response header, `EPOCH:SEQ`: of a command, where its outcome stands; of an event stream, where it begins;
of a thing as it was, the last event that counted."""
BATCH_LINES_MAX = 10_000
PAGE_ITEMS_MAX = 500
PAGE_ITEMS_DEFAULT = 50
Order = Literal["asc", "desc"]
ORDERS: tuple[Order, ...] = typing.get_args(Order)
"""The orders of a list: oldest first, which is the default, or newest first."""
AFTER_SEQ_WAIT_SECONDS = 5


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `Prefer: respond-async`: the command is durable, its outcome will be at `Location`."""

    command_id: str


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next_cursor` asks for the next, null on the last."""

    items: list[T]
    next_cursor: str | None = None


class BatchLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One command of a batch: a line of the request."""

    type: Annotated[str, msgspec.Meta(max_length=200, description="the command's type, such as task.create")]
    target: Annotated[str, msgspec.Meta(max_length=128)] = ""
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    expected_version: ExpectedVersion = "any"
    idempotency_key: IdempotencyKey | None = None
    command_id: EnvelopeId | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Ask for an API key; what is left out is chosen by the server, and a key without expiry lasts until revoked."""

    key_id: Id | None = None
    expires_at_ms: TimeMs | None = None


class IssuedKey(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The outcome, and the key itself: shown this once, stored nowhere."""

    key_id: str = ""
    key: str = ""


class IssuedToken(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The outcome, and the agent token that speaks for the session: shown this once, stored nowhere."""

    token: str = ""


class IssuedSecret(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The outcome, and the secret that signs what the webhook is sent: shown this once, stored nowhere."""

    secret: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The health of a gateway. The reasons are for operators, who read them at its ops door."""

    status: str
    """`ok` or `failing`."""

"""The SDK for programs without an event loop: the same as `mpclient.client`, and it may be used by many threads."""

import copy
import datetime as dt
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Self, Unpack

import httpx
from mpschema.api import BatchLine, Enqueued, IssuedKey, NewKey, Page
from mpschema.cloudevents import CloudEvent
from mpschema.envelope import Outcome

from mpclient import calls
from mpclient.bounds import bounded
from mpclient.calls import After, Answer, Arguments, CommandOptions, From, R
from mpclient.generated import Nouns
from mpclient.streaming import Follower, follow_sync
from mpclient.transport import TIMEOUT_SECONDS, Retries, SyncTransport, Token, decoded

CONNECTIONS_MAX = 100


class Client(Nouns):
    """Commands, queries and events of one server, over one pool of connections.

    `workspace` is the one that is meant; `in_workspace` gives the same client for another. Every call raises the
    errors of `mpclient.errors`: a refused command raises `Rejected`.
    """

    def __init__(
        self,
        url: str,
        token: Token = None,
        workspace: str | None = None,
        *,
        retries: Retries | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        verify: Any = True,
    ) -> None:
        http = httpx.Client(
            base_url=url,
            timeout=timeout_seconds,
            verify=verify,
            **bounded(),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )
        self._transport = SyncTransport(http, token, retries or Retries())
        self.workspace = workspace
        super().__init__(self)

    def in_workspace(self, workspace: str) -> Self:
        """The same client, connections and all, for another workspace."""
        other = copy.copy(self)
        other.workspace = workspace
        Nouns.__init__(other, other)
        return other

    def close(self) -> None:
        """Close the connections, also of the clients made by `in_workspace`."""
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def command(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Give a command and wait for its recorded outcome. Raises `Rejected` where it is refused."""
        call = calls.command_call(self.workspace, command_type, target, arguments, options)
        return decoded(self._transport.send(call).content, calls.outcome_kind(command_type))

    def enqueue(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Enqueued:
        """Give a command and return as soon as it is durable; ask `commands` for its outcome."""
        call = calls.command_call(self.workspace, command_type, target, arguments, options, prefer="respond-async")
        return decoded(self._transport.send(call).content, Enqueued)

    def batch(self, lines: Iterable[BatchLine | Mapping[str, Any]]) -> list[Answer]:
        """Give many commands at once (see `order`). An answer each, in order: an `Outcome` or a `Problem`."""
        call = calls.batch_call(self.workspace, lines)
        return calls.batch_answers(self._transport.send(call).content)

    def row(
        self,
        kind: type[R],
        query_type: str,
        target: str = "",
        /,
        *,
        after: After = None,
        at_seq: int | None = None,
        at: dt.datetime | None = None,
    ) -> R:
        """The answer of a query about one thing: as it is, or as it was after event `at_seq` or at the moment `at`."""
        call = calls.query_call(self.workspace, query_type, target, calls.as_of(at_seq, at), after)
        return decoded(self._transport.send(call).content, kind)

    def page(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> Page[R]:
        """One page of a list: `order`, `limit`, `cursor` and the query's filters are parameters."""
        call = calls.query_call(self.workspace, query_type, target, params, after)
        return decoded(self._transport.send(call).content, calls.page_kind(kind))

    def pages(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> Generator[R, None, None]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.page(kind, query_type, target, after=after, cursor=cursor, **params)
            yield from page.items
            cursor, after = page.next_cursor, None
            if cursor is None:
                return

    def new_key(self, principal: str, *, key_id: str | None = None, expires_at_ms: int | None = None) -> IssuedKey:
        """Make an API key for a principal; the answer holds it, this once."""
        call = calls.key_call(self.workspace, principal, NewKey(key_id=key_id, expires_at_ms=expires_at_ms))
        return decoded(self._transport.send(call).content, IssuedKey)

    def events(
        self,
        after: From = None,
        *,
        type: str | Sequence[str] | None = None,  # noqa: A002 - the name of the API
        aggregate: str | Sequence[str] | None = None,
        aggregate_id: str | Sequence[str] | None = None,
        session: str | Sequence[str] | None = None,
    ) -> Generator[CloudEvent, None, None]:
        """Every event after a place (`0:0`: the start; None: from now on), for ever, each once and in order.

        Lost connections and restarts are bridged. Raises `ResyncRequired` where the server's log is another one.
        """
        filters = {"type": type, "aggregate": aggregate, "aggregate_id": aggregate_id, "session": session}
        call = calls.events_call(self.workspace, filters)
        return follow_sync(self._transport, Follower(call, calls.position_of(after), self._transport.retries))

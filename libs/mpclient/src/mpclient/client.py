"""The SDK for asyncio.

async with AsyncClient("http://127.0.0.1:8080", token, workspace="acme") as client:
    made = await client.tasks.create(project_id="core", title="Fix the login")
    task = await client.tasks.get(made.target, after=made)
    async for event in client.events(after=made):
        ...
"""

import copy
import datetime as dt
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, Self, Unpack

import httpx
from mpschema.api import BatchLine, Enqueued, IssuedKey, NewKey, Page
from mpschema.cloudevents import CloudEvent
from mpschema.envelope import Outcome

from mpclient import calls
from mpclient.bounds import bounded_async
from mpclient.calls import After, Answer, Arguments, CommandOptions, From, R
from mpclient.generated import AsyncNouns
from mpclient.streaming import Follower, follow
from mpclient.transport import TIMEOUT_SECONDS, AsyncTransport, Retries, Token, decoded

CONNECTIONS_MAX = 100


class AsyncClient(AsyncNouns):
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
        http = httpx.AsyncClient(
            base_url=url,
            timeout=timeout_seconds,
            verify=verify,
            **bounded_async(),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )
        self._transport = AsyncTransport(http, token, retries or Retries())
        self.workspace = workspace
        super().__init__(self)

    def in_workspace(self, workspace: str) -> Self:
        """The same client, connections and all, for another workspace."""
        other = copy.copy(self)
        other.workspace = workspace
        AsyncNouns.__init__(other, other)
        return other

    async def close(self) -> None:
        """Close the connections, also of the clients made by `in_workspace`."""
        await self._transport.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def command(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Outcome:
        """Give a command and wait for its recorded outcome. Raises `Rejected` where it is refused."""
        call = calls.command_call(self.workspace, command_type, target, arguments, options)
        return decoded((await self._transport.send(call)).content, calls.outcome_kind(command_type))

    async def enqueue(
        self, command_type: str, target: str, arguments: Arguments, **options: Unpack[CommandOptions]
    ) -> Enqueued:
        """Give a command and return as soon as it is durable; ask `commands` for its outcome."""
        call = calls.command_call(self.workspace, command_type, target, arguments, options, prefer="respond-async")
        return decoded((await self._transport.send(call)).content, Enqueued)

    async def batch(self, lines: Iterable[BatchLine | Mapping[str, Any]]) -> list[Answer]:
        """Give many commands at once (see `order`). An answer each, in order: an `Outcome` or a `Problem`."""
        call = calls.batch_call(self.workspace, lines)
        return calls.batch_answers((await self._transport.send(call)).content)

    async def row(
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
        return decoded((await self._transport.send(call)).content, kind)

    async def page(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> Page[R]:
        """One page of a list: `order`, `limit`, `cursor` and the query's filters are parameters."""
        call = calls.query_call(self.workspace, query_type, target, params, after)
        return decoded((await self._transport.send(call)).content, calls.page_kind(kind))

    async def pages(
        self, kind: type[R], query_type: str, target: str = "", /, *, after: After = None, **params: Any
    ) -> AsyncGenerator[R, None]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(kind, query_type, target, after=after, cursor=cursor, **params)
            for item in page.items:
                yield item
            cursor, after = page.next_cursor, None
            if cursor is None:
                return

    async def new_key(
        self, principal: str, *, key_id: str | None = None, expires_at_ms: int | None = None
    ) -> IssuedKey:
        """Make an API key for a principal; the answer holds it, this once."""
        call = calls.key_call(self.workspace, principal, NewKey(key_id=key_id, expires_at_ms=expires_at_ms))
        return decoded((await self._transport.send(call)).content, IssuedKey)

    def events(
        self,
        after: From = None,
        *,
        type: str | Sequence[str] | None = None,  # noqa: A002 - the name of the API
        aggregate: str | Sequence[str] | None = None,
        aggregate_id: str | Sequence[str] | None = None,
        session: str | Sequence[str] | None = None,
    ) -> AsyncGenerator[CloudEvent, None]:
        """Every event after a place (`0:0`: the start; None: from now on), for ever, each once and in order.

        Lost connections and restarts are bridged. Raises `ResyncRequired` where the server's log is another one.
        """
        filters = {"type": type, "aggregate": aggregate, "aggregate_id": aggregate_id, "session": session}
        call = calls.events_call(self.workspace, filters)
        return follow(self._transport, Follower(call, calls.position_of(after), self._transport.retries))

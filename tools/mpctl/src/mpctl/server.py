"""Requests of the command line to a server: the SDK's synchronous client, and answers made of several calls.

The HTTP client is imported when a server is really asked: help and completion answer without it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import itertools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import msgspec
from mpcli import output
from mpcli.context import Context, Misconfigured
from mpcli.invocation import open_client
from mpcli.projections import halts, listed
from mpclient.errors import OutcomeUnknown, ProblemError, Rejected, UnexpectedAnswer, Unreachable
from mpschema.api import POSITION_HEADER, BatchLine, Enqueued, Health, IssuedKey, IssuedToken, Page
from mpschema.cloudevents import CloudEvent
from mpschema.envelope import Outcome
from mpschema.problems import Problem
from mpschema.project.rows import ProjectRow
from mpschema.rows import QuerySpec
from mpschema.system.rows import EventRow, ProjectionRow

from mpctl.failures import note_next
from mpctl.slowness import slow

if TYPE_CHECKING:
    from mpclient.calls import Answer, CommandOptions
    from mpclient.sync import Client

PAGE_ITEMS = 500
_HEALTH_SECONDS = 5.0


@dataclass(frozen=True)
class Flags:
    """Options that may be given with every command."""

    idempotency_key: str | None = None
    expected_version: int | None = None
    enqueue: bool = False

    @property
    def options(self) -> CommandOptions:
        """In the words of the SDK."""
        options: CommandOptions = {}
        if self.idempotency_key is not None:
            options["idempotency_key"] = self.idempotency_key
        if self.expected_version is not None:
            options["expected_version"] = self.expected_version
        return options


@dataclass(frozen=True)
class ServerStatus:
    """The status of a server."""

    url: str
    ready: bool
    version: str
    epoch: int | None
    head: int
    complaints: list[str] = field(default_factory=list)
    projections: list[ProjectionRow] = field(default_factory=list)


class RemoteServer:
    """One server, and the workspace that is meant ("": none)."""

    def __init__(self, client: Client, context: Context) -> None:
        self.client = client
        self._url = context.url
        self._token = context.token

    @classmethod
    def of(cls, context: Context, workspace: str) -> RemoteServer:
        """The server of a context."""
        return cls(open_client(context, workspace), context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def command(self, command_type: str, target: str, arguments: Mapping[str, Any], flags: Flags) -> Outcome | Enqueued:
        """Give a command. Raises `Rejected` where it is refused."""
        from mpclient.calls import new_key

        give = self.client.enqueue if flags.enqueue else self.client.command
        key = flags.idempotency_key or new_key()
        options = flags.options
        options["idempotency_key"] = key
        try:
            with slow(self._url, command_type):
                answer = give(command_type, target, arguments, **options)
        except (OutcomeUnknown, Unreachable) as error:
            error.add_note(f"repeat it with --idempotency-key {key} to learn what became of it")
            raise
        except ProblemError as error:
            note_next(error, command_type, target)
            raise
        except ValueError as error:
            raise Misconfigured(str(error)) from error
        if isinstance(answer, Outcome) and flags.idempotency_key is None:
            # Nobody else has this key: a repeat is one of the client's own, and what it met is this very command.
            return msgspec.structs.replace(answer, duplicate=False)
        return answer

    def row(
        self,
        spec: QuerySpec,
        target: str,
        after_seq: int | None = None,
        at_seq: int | None = None,
        at: dt.datetime | None = None,
    ) -> msgspec.Struct:
        """The answer of a query about one thing."""
        with slow(self._url, spec.query_type):
            return self.client.row(spec.row, spec.query_type, target, after=after_seq, at_seq=at_seq, at=at)

    def page(self, spec: QuerySpec, target: str, params: Mapping[str, Any]) -> Page[msgspec.Struct]:
        """One page of a list."""
        with slow(self._url, spec.query_type):
            return self.client.page(spec.row, spec.query_type, target, **params)

    def rows(self, spec: QuerySpec, target: str, filters: Mapping[str, Any] | None = None) -> list[msgspec.Struct]:
        """Every item of a list."""
        with slow(self._url, spec.query_type):
            return list(self.client.pages(spec.row, spec.query_type, target, limit=PAGE_ITEMS, **(filters or {})))

    def project_id(self, named: str) -> str:
        """The id of a project by its name, of an open one before one that is archived; what is no name is an id."""
        if named.startswith("project_"):
            return named
        if not (found := self._called(named, None)):
            # It may have been created a moment ago: ask again of read models that have all there is now.
            _, head = self._position()
            found = self._called(named, head or None)
        if not found:
            self._suggest_project(named)
            return named
        if found[0].state != "open" and self._is_project(named):
            return named
        if len(found) > 1:
            ids = ", ".join(row.id for row in found)
            raise Misconfigured(f"{len(found)} archived projects are called {named!r}: name one by its id ({ids})")
        return found[0].id

    def _called(self, name: str, after_seq: int | None) -> list[ProjectRow]:
        """The open project of a name, else all archived ones: a name is free again once its project is archived."""
        rows = self.client.projects.list(name=name, after=after_seq, limit=PAGE_ITEMS).items
        return [row for row in rows if row.state == "open"] or rows

    def _is_project(self, named: str) -> bool:
        try:
            self.client.projects.get(named)
        except Rejected:
            return False
        return True

    def _suggest_project(self, named: str) -> None:
        """A name that is nearly another's is told; that there is none is for the server to say."""
        names = [row.name for row in self.client.projects.list(state="open", limit=PAGE_ITEMS).items]
        if close := difflib.get_close_matches(named, names, n=1):
            output.hint(f"no open project is called {named!r}: did you mean {close[0]!r}?")

    def fence(self, outcome: Outcome) -> int:
        """The fencing token of the claim that this outcome took."""
        return self.client.tasks.get(outcome.target, after=outcome).fence

    def issue_key(self, principal: str, key_id: str | None, expires_at_ms: int | None) -> IssuedKey:
        """Make an API key."""
        try:
            with slow(self._url, "principal.issue_key"):
                return self.client.new_key(principal, key_id=key_id, expires_at_ms=expires_at_ms)
        except ProblemError as error:
            note_next(error, "principal.issue_key", principal)
            raise

    def issue_token(self, session: str, ttl_seconds: int | None) -> IssuedToken:
        """Make an agent token."""
        if ttl_seconds is None:
            return self.client.sessions.issue_token(session)
        return self.client.sessions.issue_token(session, ttl_seconds=ttl_seconds)

    def batch(self, lines: Sequence[BatchLine]) -> list[Answer]:
        """Give many commands; an answer each, in order."""
        with slow(self._url, f"{len(lines)} commands"):
            return self.client.batch(lines)

    def events(self, after: str | None, filters: Mapping[str, Any]) -> Generator[CloudEvent, None, None]:
        """Every event after a position, for ever."""
        return self.client.events(after, **filters)

    def last_events(self, count: int, filters: Mapping[str, Any]) -> list[EventRow]:
        """The last events of the workspace, oldest first."""
        newest = self.client.history.iterate(order="desc", limit=min(count, PAGE_ITEMS), **filters)
        return [*itertools.islice(newest, count)][::-1]

    def refusal(self) -> str | None:
        """Return why the server refuses our credential; empty where it takes it, None where it does not say."""
        import httpx
        from mpclient.bounds import bounded
        from mpclient.transport import decoded
        from mpschema.queries import QUERIES

        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            with httpx.Client(base_url=self._url, timeout=_HEALTH_SECONDS, **bounded()) as http:
                answer = http.get(QUERIES["projection.list"].route, headers=headers)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                return decoded(answer.content, Problem).detail
        except (httpx.TransportError, UnexpectedAnswer):
            return None
        return "" if answer.is_success or answer.status_code == HTTPStatus.FORBIDDEN else None

    def status(self) -> ServerStatus:
        """Return the status of the server. Raises `Unreachable` where there is none."""
        import httpx
        from mpclient.bounds import bounded
        from mpclient.transport import decoded, unreachable

        with httpx.Client(base_url=self._url, timeout=_HEALTH_SECONDS, **bounded()) as http:
            try:
                health = decoded(http.get("/readyz").content, Health)
                about = decoded(http.get("/v1/openapi.json").content, _Document)
            except httpx.TransportError as error:
                raise unreachable(error) from error
            except UnexpectedAnswer as error:
                raise UnexpectedAnswer(f"{self._url} is no server of ours: {error}") from error
        complaints = [] if health.status == "ok" else ["the gateway is not ready: its operators see why (mpctl doctor)"]
        projections = self._projections(complaints)
        epoch, seq = self._position()
        head = max([seq, *(row.head for row in projections)])
        ready = not complaints
        return ServerStatus(self._url, ready, about.info.version, epoch, head, complaints, projections)

    def _projections(self, complaints: list[str]) -> list[ProjectionRow]:
        """Return the states of the read models. Those that halted are complaints, as is a refusal to tell."""
        try:
            rows = self.client.projections.list().items
        except ProblemError as refused:
            complaints.append(f"projections: {refused}")
            return []
        complaints += halts((row.name, row.error or "") for row in rows if row.state == "halted")
        unowned = [row for row in rows if row.state == "unowned" and row.phase == "serving"]
        if unowned:
            behind = max(row.lag_events for row in unowned)
            names = listed([row.name for row in unowned])
            complaints.append(f"unowned, no projector folds it ({behind:,} events behind): {names}")
        return rows

    def _position(self) -> tuple[int | None, int]:
        """Epoch and head of the log, as an event stream of the workspace begins; unknown without a workspace."""
        if self.client.workspace is None:
            return None, 0
        import httpx
        from mpclient.streaming import place_of
        from mpschema.openapi.doors import EVENT_STREAM

        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        path = EVENT_STREAM.format(workspace_id=self.client.workspace)
        with (
            httpx.Client(base_url=self._url, timeout=_HEALTH_SECONDS) as http,
            http.stream("GET", path, headers=headers) as response,
        ):
            position = response.headers.get(POSITION_HEADER, "")
        return place_of(position) if position else (None, 0)


class _Info(msgspec.Struct):
    version: str


class _Document(msgspec.Struct):
    info: _Info

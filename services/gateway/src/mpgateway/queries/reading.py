"""From a request for a query to its rows as JSON: access, freshness, filters, pages."""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

import asyncpg
import msgspec
from mpschema import codec
from mpschema.api import AFTER_SEQ_WAIT_SECONDS, ORDERS, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, POSITION_HEADER
from mpschema.base import INT_MAX
from mpschema.cloudevents import BATCH_MEDIA_TYPE, cloudevent_bytes
from mpschema.problems import EdgeCode
from mpschema.rejections import Code
from mpschema.rows import QuerySpec
from mpschema.system.rows import EventRow, ProjectionRow
from mpviews.standing import standing

from mpgateway.commanding import check_path_id
from mpgateway.database import ReadModels, told
from mpgateway.http import JSON, Headers, HttpRequest, Response, retry_after
from mpgateway.problems import RequestRefused
from mpgateway.queries import past
from mpgateway.queries.freshness import Freshness
from mpgateway.queries.past import Past
from mpgateway.queries.sql import COLLECTIONS, SORT, filter_type, json_columns, raw_columns, statement

_LIST_PARAMETERS = frozenset({"order", "limit", "cursor", "after_seq"})
_GET_PARAMETERS = frozenset({"after_seq"})
_ARCHIVE = "archive"
"""The projection that holds every event."""
_encode = msgspec.json.Encoder().encode


class Reader:
    """The parts all queries share: the read models, and how far they have come. The door has seen who may read."""

    def __init__(self, read_models: ReadModels, freshness: Freshness, head: Callable[[], int]) -> None:
        self._read_models = read_models
        self.head = head
        """The last event of the log that this process has read."""
        self._freshness = freshness

    async def rows(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a statement."""
        return await self._read_models.fetch(sql, *arguments)

    async def open(self, projection: str, request: HttpRequest, after_seq: int) -> str:
        """Wait for freshness, and return the setting that opens the rows."""
        workspace_id = request.params.get("workspace_id")
        if workspace_id is not None:
            check_path_id(workspace_id)
        if after_seq:
            await self._wait(projection, after_seq)
        return request.identity.principal if workspace_id is None else workspace_id

    async def _wait(self, projection: str, after_seq: int) -> None:
        projections = {projection} - {""}
        if not await self._freshness.reach(projections, after_seq, AFTER_SEQ_WAIT_SECONDS):
            detail = f"the read models have not come to event {after_seq} yet"
            raise RequestRefused(Code.UNAVAILABLE, detail, headers=retry_after(1))


class Query:
    """One query of the registry, ready to answer."""

    def __init__(self, spec: QuerySpec, reader: Reader) -> None:
        self.spec = spec
        self.projection = COLLECTIONS[spec.row].projection
        self._reader = reader
        self._statement = statement(spec)
        self._columns = spec.row.__struct_fields__
        self._json = json_columns(spec.row)
        self._raw = raw_columns(spec.row)
        self._filters = {name: filter_type(spec.row, name) for name in spec.filters}
        self._past = None if spec.many else Past(spec)
        single = _GET_PARAMETERS | past.PARAMETERS
        self._parameters = (_LIST_PARAMETERS | set(spec.filters)) if spec.many else single
        self._one = "" if spec.many else self._statement.one()

    async def answer(self, request: HttpRequest) -> Response:
        """Answer a request. Raises `RequestRefused`, `ReadModelsUnavailable`."""
        query = {name: values[0] for name, values in request.query(self._parameters).items()}
        after_seq = _integer(query, "after_seq", 0, 0, INT_MAX)
        if self._statement.has_id:
            check_path_id(request.params["id"])
        if self.spec.many:
            return await self._list(request, query, after_seq)
        moment = past.asked(query)
        return await (self._get(request, after_seq) if moment is None else self._as_of(request, after_seq, moment))

    async def _as_of(self, request: HttpRequest, after_seq: int, moment: past.AsOf) -> Response:
        assert self._past is not None, "only single things have a past here"
        opened = await self._reader.open(_ARCHIVE, request, max(after_seq, moment.seq))
        sql, more = self._past.statement(moment, self._one)
        found = await self._past.row(moment, await self._reader.rows(sql, opened, *self._named(request, more)))
        if found is None:
            raise RequestRefused(Code.NOT_FOUND, f"there was no such {self.spec.aggregate} then")
        row, position = found
        headers: Headers = ((b"etag", b'"%d"' % row["version"]),) if "version" in row else ()
        return Response(200, _encode(row), (*JSON, (POSITION_HEADER.lower().encode(), position.encode()), *headers))

    def _named(self, request: HttpRequest, more: tuple[object, ...]) -> tuple[object, ...]:
        """The parameters that name the thing: a workspace is named by the path as a whole."""
        return (*(self._path_id(request) or ((request.params["workspace_id"],) if more else ())), *more)

    async def _get(self, request: HttpRequest, after_seq: int) -> Response:
        opened = await self._reader.open(self.projection, request, after_seq)
        found = await self._reader.rows(self._one, opened, *self._path_id(request))
        if not found:
            raise RequestRefused(Code.NOT_FOUND, f"there is no such {self.spec.aggregate}")
        row = self._row(found[0])
        headers: Headers = ((b"etag", b'"%d"' % row["version"]),) if "version" in row else ()
        return Response(200, _encode(row), (*JSON, *headers))

    async def _list(self, request: HttpRequest, query: dict[str, str], after_seq: int) -> Response:
        limit = _integer(query, "limit", PAGE_ITEMS_DEFAULT, 1, PAGE_ITEMS_MAX)
        order = query.get("order", ORDERS[0])
        if order not in ORDERS:
            raise RequestRefused(Code.SCHEMA_INVALID, f"order is one of {', '.join(ORDERS)}")
        filters = tuple(name for name in self._filters if name in query)
        values = [self._filter(name, query[name]) for name in filters]
        bound = request.identity.workspace_id
        if bound is not None and self.spec.query_type == "workspace.list":
            # A credential made for one workspace shows no other, whatever roles its principal has elsewhere.
            filters, values = (*filters, "workspace_id"), [*values, bound]
        after = [self._read_cursor(query["cursor"], order)] if query.get("cursor") else []
        opened = await self._reader.open(self.projection, request, after_seq)
        sql = self._statement.page(filters, after=bool(after), descending=order == "desc")
        found = await self._reader.rows(sql, opened, *self._path_id(request), *values, *after, limit + 1)
        page = found[:limit]
        more = self._write_cursor(page[-1][SORT], order) if len(found) > limit else None
        if self.spec.row is EventRow and request.accepts(BATCH_MEDIA_TYPE.encode()):
            return _cloud_events(page, f"{request.path}?{urlencode({**query, 'cursor': more})}" if more else "")
        items = [self._row(record) for record in page]
        return Response(200, _encode({"items": items, "next_cursor": more}))

    def _row(self, record: asyncpg.Record) -> dict[str, Any]:
        row = {name: record[name] for name in self._columns}
        for name in self._json:
            row[name] = msgspec.Raw(row[name].encode())
        for name in self._raw:
            row[name] = msgspec.Raw(row[name])
        if self.spec.row is ProjectionRow:
            row |= asdict(standing(told(record), max(record["head"], self._reader.head())))
        return row

    def _path_id(self, request: HttpRequest) -> tuple[str, ...]:
        return (request.params["id"],) if self._statement.has_id else ()

    def _filter(self, name: str, value: str) -> object:
        known = self.spec.values.get(name)
        if known is not None and value not in known:
            raise RequestRefused(
                Code.SCHEMA_INVALID, f"{name}: {value[:200]!r} is none of {', '.join(sorted(known))}"[:1_000]
            )
        try:
            return str(msgspec.convert(value, self._filters[name]))
        except msgspec.ValidationError as error:
            raise RequestRefused(Code.SCHEMA_INVALID, f"{name}: {error}") from error

    def _write_cursor(self, key: object, order: str) -> str:
        text = f"{self._list_of(order)}\n{key}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _list_of(self, order: str) -> str:
        """Name the list and the order that a cursor belongs to."""
        return self.spec.query_type if order == ORDERS[0] else f"{self.spec.query_type} {order}"

    def _read_cursor(self, cursor: str, order: str) -> object:
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            list_of, _, key = text.partition("\n")
            value = self._statement.cursor_type(key)
        except (binascii.Error, ValueError) as error:
            raise RequestRefused(EdgeCode.MALFORMED, "the cursor is not one of ours") from error
        if list_of != self._list_of(order) or (isinstance(value, int) and abs(value) > INT_MAX) or "\x00" in key:
            raise RequestRefused(EdgeCode.MALFORMED, "the cursor is not one of this list in this order")
        return value


def _cloud_events(page: Iterable[asyncpg.Record], more: str) -> Response:
    """A page of history in CloudEvents' batched mode, and in its `Link` where the next one is."""
    events = (cloudevent_bytes(codec.decode_record(bytes(row["event"])), "", "") for row in page)
    link: Headers = ((b"link", f'<{more}>; rel="next"'.encode()),) if more else ()
    media_type = (b"content-type", BATCH_MEDIA_TYPE.encode())
    return Response(200, b"[" + b",".join(events) + b"]", (media_type, (b"vary", b"accept"), *link))


def _integer(query: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise RequestRefused(Code.SCHEMA_INVALID, f"{name} is a whole number from {least} to {most}")
    return int(text)

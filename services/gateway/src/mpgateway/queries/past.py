"""One thing as it was after an event, or at a moment: its own events out of the archive, folded by the views."""

import asyncio
import datetime as dt
import re
from typing import Any

import msgspec
from mpschema import codec
from mpschema.base import INT_MAX
from mpschema.envelope import EventRecord
from mpschema.rejections import Code
from mpschema.rows import QuerySpec
from mpviews.changes import CannotApply, Values
from mpviews.past import PLACES, row_after

from mpgateway.database import scoped
from mpgateway.problems import RequestRefused

PARAMETERS = frozenset({"at_seq", "at"})
_EVENTS_MAX = 50_000
_EVENTS_AT_ONCE = 200
"""More than these are folded in a thread: a fold takes some 20 µs an event."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST, _LAST = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)
_DIGITS_MAX = 16
_PLUS_LOST = re.compile(r" [0-9]{2}:?[0-9]{2}\Z")
_EVENTS = (
    "SELECT item.event FROM mp.log_events AS item WHERE item.workspace_id = scope.value AND item.aggregate = '{}'"
    " AND item.aggregate_id = $2 AND item.{} <= $3 ORDER BY item.seq LIMIT {}"
)
_OUTCOME_COLUMN = {"seq": "last_seq", "recorded_at": "decided_at"}


class AsOf(msgspec.Struct, frozen=True):
    """As of when: the column of an event it is about, and the last value that counts."""

    column: str
    last: int | dt.datetime

    @property
    def seq(self) -> int:
        """The event that must be known to answer; 0 where that is a matter of time."""
        return self.last if isinstance(self.last, int) else 0


def asked(query: dict[str, str]) -> AsOf | None:
    """Return the moment that the parameters `at_seq` and `at` name; None without them. Raises `RequestRefused`."""
    at_seq, at = query.get("at_seq"), query.get("at")
    if at_seq is not None and at is not None:
        raise RequestRefused(Code.SCHEMA_INVALID, "give one of at_seq and at")
    if at_seq is not None:
        if not at_seq.isascii() or not at_seq.isdigit() or len(at_seq) > _DIGITS_MAX or not 1 <= int(at_seq) <= INT_MAX:
            raise RequestRefused(Code.SCHEMA_INVALID, f"at_seq is a whole number from 1 to {INT_MAX}")
        return AsOf("seq", int(at_seq))
    return None if at is None else AsOf("recorded_at", _moment(at))


def _moment(text: str) -> dt.datetime:
    try:
        moment = msgspec.convert(text, dt.datetime)
    except msgspec.ValidationError as error:
        if _PLUS_LOST.search(text):
            detail = "a raw + in a query stands for a space: write the offset of at as %2B, or the time in UTC with Z"
            raise RequestRefused(Code.SCHEMA_INVALID, detail) from error
        raise RequestRefused(Code.SCHEMA_INVALID, f"at is a time in RFC 3339: {error}") from error
    if moment.tzinfo is None:
        raise RequestRefused(Code.SCHEMA_INVALID, "at names no time zone: end it with Z for UTC")
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:  # the first or the last hours of all years: before, or after, everything
        return _FIRST if moment.year == dt.MINYEAR else _LAST


class Past:
    """Time travel for one query about one thing."""

    def __init__(self, spec: QuerySpec) -> None:
        self._spec = spec
        self._fields = spec.row.__struct_fields__
        self._place = PLACES.get(spec.aggregate)
        self._defaults = {field.name: field.default for field in msgspec.structs.fields(spec.row)}

    def statement(self, moment: AsOf, current: str) -> tuple[str, tuple[object, ...]]:
        """The statement that reads what is to be folded, and its parameters after the setting and the id.

        `current` is the statement for the row as it is now: an outcome never changes, it only comes to be.
        """
        if self._place is None:
            return current, ()
        select = _EVENTS.format(self._spec.aggregate, moment.column, _EVENTS_MAX + 1)
        return scoped("mp.workspace", select), (moment.last,)

    async def row(self, moment: AsOf, found: list[Any]) -> tuple[dict[str, Any], str] | None:
        """The row, as the query answers it, and its position `EPOCH:SEQ`; None where there was none."""
        if not found:
            return None
        if self._place is None:
            row = {name: found[0][name] for name in self._fields}
            position = f"{row['epoch']}:{row['last_seq']}"
            return (row, position) if row[_OUTCOME_COLUMN[moment.column]] <= moment.last else None
        if len(found) > _EVENTS_MAX:
            raise RequestRefused(
                Code.TOO_LARGE, f"it had more than {_EVENTS_MAX} events by then: too many to fold for an answer"
            )
        lines = [record["event"] for record in found]
        if len(lines) > _EVENTS_AT_ONCE:
            return await asyncio.to_thread(self._folded, lines)
        return self._folded(lines)

    def _folded(self, lines: list[bytes]) -> tuple[dict[str, Any], str] | None:
        records: list[EventRecord] = [codec.decode_record(line) for line in lines]
        try:
            values = row_after(self._spec.aggregate, records)
        except CannotApply as error:
            raise RequestRefused(Code.UNAVAILABLE, f"its events do not fit each other: {error}") from error
        if values is None:
            return None
        return self._shown(values), f"{records[-1].epoch}:{records[-1].seq}"

    def _shown(self, values: Values) -> dict[str, Any]:
        assert self._place is not None, "only what is folded comes here"
        table = self._place.table
        shown = {name: _plain(table.columns[name], values[name]) for name in self._fields if name not in table.asked}
        # What a thing's own events do not say is not known of the past: `ending`, for one, is of now alone.
        return shown | {name: self._defaults[name] for name in table.asked}


def _plain(kind: str, value: Any) -> Any:
    """A value of a view as an answer shows it."""
    if value is None:
        return None
    if kind == "timestamptz":
        return _EPOCH + dt.timedelta(milliseconds=value)
    return msgspec.Raw(value.encode()) if kind == "jsonb" else value

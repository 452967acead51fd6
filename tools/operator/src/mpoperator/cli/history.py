"""`mpctl history` and `mpctl diff`: what happened to one thing, field by field, by whom, because of which command."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from mpcli import output
from mpcli.exits import Exit
from mpcli.invocation import ExampleCommand, Invocation, common_options, open_client
from mpschema import codec
from mpschema.envelope import EventRecord
from mpviews.past import PLACES, EventChange, differing, row_after, steps

from mpoperator.copies.places import time_of
from mpoperator.errors import ToolRefused

_AGGREGATE = click.Argument(["aggregate"], type=click.Choice(list(PLACES)), metavar="AGGREGATE")
_ID = click.Argument(["named"], metavar="ID")
_LONG = 60


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a thing's history."""

    seq: int
    event_type: str
    recorded_at: dt.datetime
    actor: str
    command_id: str
    version: int
    changed: dict[str, list[Any]]
    """Field to its values before and after."""


class AggregateDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A thing at two places of the log."""

    aggregate: str
    id: str
    between: list[int]
    """The last of its events that counts on each side; 0: it was not there."""
    changed: dict[str, list[Any]]
    events: list[HistoryEvent]
    """The events in between."""


def _history(aggregate: str, named: str, **given: Any) -> None:
    """Show every event of a thing: what it changed, by whom, because of which command."""
    invocation = Invocation.of(given)
    told = [_told(aggregate, step) for step in steps(aggregate, _events(invocation, aggregate, named))]
    if not told:
        _nothing(aggregate, named)
    if invocation.as_json:
        output.print_json(told)
        return
    for each in told:
        _print_event(each)


def _diff(aggregate: str, named: str, first: str, second: str, **given: Any) -> None:
    """Show how a thing differs between two places of the log, and the events in between.

    Each place is an event's number or a time (RFC 3339).
    """
    invocation = Invocation.of(given)
    try:
        before, after = _Until(first), _Until(second)
    except ToolRefused as error:
        raise click.UsageError(str(error)) from error
    records = _events(invocation, aggregate, named)
    if not records:
        _nothing(aggregate, named)
    old, new = before.of(records), after.of(records)
    pairs = differing(row_after(aggregate, old) or {}, row_after(aggregate, new) or {})
    between = [_told(aggregate, step) for step in steps(aggregate, records) if step.record in new[len(old) :]]
    found = AggregateDifference(
        aggregate=aggregate,
        id=named,
        between=[old[-1].seq if old else 0, new[-1].seq if new else 0],
        changed=_shown(aggregate, pairs),
        events=between,
    )
    if invocation.as_json:
        output.print_json(found)
        return
    output.done(f"{aggregate} {named}, event {found.between[0]} to event {found.between[1]}")
    _print_changes(found.changed)
    for each in between:
        _print_event(each)


class _Until:
    """A place of the log, as it was typed."""

    def __init__(self, text: str) -> None:
        self._seq = int(text) if text.isascii() and text.isdigit() else None
        self._time_ms = None if self._seq is not None else time_of(text)

    def of(self, records: Sequence[EventRecord]) -> list[EventRecord]:
        """Those events that had happened by then."""
        if self._seq is not None:
            return [record for record in records if record.seq <= self._seq]
        return [record for record in records if record.time_ms <= (self._time_ms or 0)]


def _events(invocation: Invocation, aggregate: str, named: str) -> list[EventRecord]:
    """Every event of one thing, as the server tells them."""
    with open_client(invocation.context, invocation.workspace) as client:
        rows = client.history.iterate(limit=500, aggregate=aggregate, aggregate_id=named)
        return [codec.decode_record(bytes(row.event)) for row in rows]


def _told(aggregate: str, step: EventChange) -> HistoryEvent:
    record = step.record
    return HistoryEvent(
        seq=record.seq,
        event_type=record.event_type,
        recorded_at=_time(record.time_ms),
        actor=record.actor,
        command_id=record.command_id,
        version=record.version,
        changed=_shown(aggregate, step.changed),
    )


def _shown(aggregate: str, changed: dict[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    columns = PLACES[aggregate].table.columns
    return {name: [_plain(columns[name], value) for value in pair] for name, pair in changed.items()}


def _plain(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "timestamptz":
        return _time(value)
    return msgspec.json.decode(value) if kind == "jsonb" else value


def _time(time_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time_ms / 1_000, dt.UTC)


def _print_event(told: HistoryEvent) -> None:
    when = told.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    output.done(f"{told.seq}  {when}  {told.event_type}  by {told.actor}, command {told.command_id}")
    _print_changes(told.changed)


def _print_changes(changed: dict[str, list[Any]]) -> None:
    output.print_aligned([["", name, _short(before), "->", _short(after)] for name, (before, after) in changed.items()])


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text or '""'
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def _nothing(aggregate: str, named: str) -> None:
    output.complain(f"there is no {aggregate} {named} in this workspace")
    click.get_current_context().exit(Exit.NOT_FOUND)


history = ExampleCommand(
    "history",
    params=[_AGGREGATE, _ID, *common_options()],
    callback=_history,
    help=_history.__doc__,
    examples=["mpctl history task fix-login", "mpctl history session lead-1 --json"],
)
diff = ExampleCommand(
    "diff",
    params=[
        _AGGREGATE,
        _ID,
        click.Argument(["first"], metavar="A"),
        click.Argument(["second"], metavar="B"),
        *common_options(),
    ],
    callback=_diff,
    help=_diff.__doc__,
    examples=["mpctl diff task fix-login 118 240", "mpctl diff task fix-login 2026-07-30T12:00:00Z 240 --json"],
)

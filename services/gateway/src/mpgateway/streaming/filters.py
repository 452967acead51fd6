"""The filters of a client's events: from query parameters to a yes or no for each event."""

from mpschema.envelope import EventRecord
from mpschema.ids import is_id
from mpschema.registry import EVENTS
from mpschema.rejections import Code

from mpgateway.problems import RequestRefused
from mpgateway.streaming.feed import Wanted

FILTERS = frozenset({"type", "aggregate", "aggregate_id", "session"})
_TYPES = frozenset(EVENTS) | {spec.name for spec in EVENTS.values()}
_AGGREGATES = {spec.aggregate for spec in EVENTS.values()}


def wanted(query: dict[str, list[str]]) -> Wanted | None:
    """The filter of a query; several values of a parameter mean any of them. None: all. Raises `RequestRefused`."""
    types, aggregates = set(query.get("type", ())), set(query.get("aggregate", ()))
    ids, sessions = set(query.get("aggregate_id", ())), set(query.get("session", ()))
    for unknown in types - _TYPES | aggregates - _AGGREGATES | {value for value in ids | sessions if not is_id(value)}:
        raise RequestRefused(Code.SCHEMA_INVALID, f"{unknown[:200]!r} is no event type, aggregate or id known here")
    if not (types or aggregates or ids or sessions):
        return None

    def want(record: EventRecord) -> bool:
        return (
            (not types or record.event_type in types or record.name in types)
            and (not aggregates or record.aggregate in aggregates)
            and (not ids or record.aggregate_id in ids)
            and (not sessions or _of_session(record, sessions))
        )

    return want


def _of_session(record: EventRecord, sessions: set[str]) -> bool:
    """Caused by the session, or about it."""
    return record.session_id in sessions or (record.aggregate == "session" and record.aggregate_id in sessions)

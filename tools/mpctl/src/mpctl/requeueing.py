"""`webhook requeue`: deliver what is parked, of one key or of all, or show first which events that would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import msgspec
from mpcli import output
from mpschema.queries import QUERIES
from mpschema.registry import EVENTS
from mpschema.system.rows import EventRow
from mpschema.webhook.rows import ParkedKeyRow, WebhookRow

from mpctl.server import RemoteServer


class Resend(msgspec.Struct, frozen=True, kw_only=True):
    """One event that would be sent again."""

    key: str
    seq: int
    event_type: str
    recorded_at: str


def options() -> list[click.Parameter]:
    """Return the options of the command beside its arguments."""
    return [
        click.Option(["--all", "everything"], is_flag=True, help="Every key that is parked."),
        click.Option(["--dry-run"], is_flag=True, help="Show which events would be sent again, and send nothing."),
    ]


def is_rehearsal(given: Mapping[str, Any]) -> bool:
    """Tell whether nothing shall be sent. A key, or `--all`, must be named either way."""
    if (given["key"] is None) is not given["everything"]:
        raise click.UsageError("give one of --key and --all")
    return bool(given["dry_run"])


def rehearse(server: RemoteServer, webhook_id: str, key: str | None, as_json: bool) -> None:
    """Show which events would be sent again."""
    events = list(_events(server, webhook_id, key))
    if as_json:
        output.print_json({"webhook": webhook_id, "dry_run": True, "events": events})
        return
    output.print_rows(events, Resend.__struct_fields__)
    count = f"{len(events)} events of {len({event.key for event in events})} keys"
    output.hint(f"{count} would be sent again; nothing was sent")


def _events(server: RemoteServer, webhook_id: str, key: str | None) -> Iterator[Resend]:
    """Yield the events that would be sent again: of each parked key, the webhook's events since the one that failed."""
    webhook = server.row(QUERIES["webhook.get"], webhook_id)
    assert isinstance(webhook, WebhookRow)
    for parked in server.rows(QUERIES["webhook.parked"], webhook_id, {"state": "parked"}):
        assert isinstance(parked, ParkedKeyRow)
        if key not in (None, parked.key):
            continue
        aggregate, _, aggregate_id = parked.key.partition("/")
        rows = server.rows(QUERIES["event.list"], "", {"aggregate": aggregate, "aggregate_id": aggregate_id})
        for row in rows:
            assert isinstance(row, EventRow)
            if row.seq >= parked.seq and _is_told(webhook, row):
                yield Resend(
                    key=parked.key, seq=row.seq, event_type=row.event_type, recorded_at=row.recorded_at.isoformat()
                )


def _is_told(webhook: WebhookRow, row: EventRow) -> bool:
    spec = EVENTS.get(row.event_type)
    names = {row.event_type, spec.name if spec else ""}
    fits = not webhook.event_types or not names.isdisjoint(webhook.event_types)
    return fits and (not webhook.aggregates or row.aggregate in webhook.aggregates)

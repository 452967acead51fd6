"""`events watch` and `events tail`: the live stream of a workspace, and what happened last."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import click
import msgspec
from mpcli import output
from mpcli.invocation import Invocation, command
from mpclient.errors import ResyncRequired
from mpschema.cloudevents import CloudEvent
from mpschema.registry import EVENTS
from rich.text import Text

from mpctl.server import RemoteServer

BEGINNING = "0:0"
_TYPES = sorted({spec.name for spec in EVENTS.values()} | set(EVENTS))


def add_events(group: click.Group) -> None:
    """Adds `events watch` and `events tail`."""

    @command(
        group,
        "watch",
        click.Option(["--after"], metavar="EPOCH:SEQ", help="Go on after this position."),
        click.Option(["--from-start", "from_start"], is_flag=True, help="From the first event on."),
        click.Option(
            ["--type", "types"],
            multiple=True,
            metavar="TYPE",
            help="Only this type (TaskClaimed, or mp.task.TaskClaimed.v1); may be repeated.",
            callback=_known_types,
            shell_complete=_complete_type,
        ),
        click.Option(["--aggregate"], metavar="NAME", help="Only of this aggregate, such as task."),
        click.Option(["--aggregate-id"], metavar="ID", help="Only of this one."),
        click.Option(["--session"], metavar="ID", help="Only what this session did."),
        click.Option(["--count", "-n"], type=click.IntRange(1), help="Stop after so many events."),
        examples=[
            "mpctl events watch",
            "mpctl events watch --workspace ./my-workspace --json",
            "mpctl events watch --type TaskClaimed --type TaskSubmitted --from-start",
        ],
    )
    def watch(invocation: Invocation, count: int | None, after: str | None, **given: object) -> None:
        """Show events as they happen, for ever; Ctrl-C ends it.

        It goes on by itself, without a gap or a repeat, when the connection or the server is lost. With --json every
        event is one line of CloudEvents 1.0 JSON.
        """
        filters = _filters(given)
        after = BEGINNING if given["from_start"] else after
        with suppress(KeyboardInterrupt), RemoteServer.of(invocation.context, invocation.workspace) as server:
            show(itertools.islice(forever(server, after, filters), count), invocation.as_json)

    @command(
        group,
        "tail",
        click.Option(["--count", "-n"], type=click.IntRange(1, 500), default=20, show_default=True, help="How many."),
        click.Option(["--aggregate"], metavar="NAME", help="Only of this aggregate, such as task."),
        click.Option(["--aggregate-id"], metavar="ID", help="Only of this one."),
        examples=["mpctl events tail -n 20", "mpctl events tail --aggregate task --aggregate-id fix-login"],
    )
    def tail(invocation: Invocation, count: int, **given: object) -> None:
        """Show the last events, oldest first."""
        with RemoteServer.of(invocation.context, invocation.workspace) as server:
            rows = server.last_events(count, {name: value for name, value in given.items() if value})
        if invocation.as_json:
            for row in rows:
                output.print_json(row)
        else:
            output.print_rows(rows, ("seq", "recorded_at", "event_type", "aggregate_id", "actor"))


def forever(server: RemoteServer, after: str | None, filters: Mapping[str, object]) -> Iterator[CloudEvent]:
    """Every event after a position; goes on at the head, and says so, where the server's log has become another one."""
    while True:
        try:
            yield from server.events(after, filters)
        except ResyncRequired as resync:
            output.complain(f"{resync}; going on from there")
            after = resync.head


def show(events: Iterable[CloudEvent], as_json: bool) -> None:
    """Each event on a line, as it comes."""
    for event in events:
        if as_json:
            output.print_json(event)
        else:
            output.out().print(line(event), soft_wrap=True)


def line(event: CloudEvent) -> Text:
    """An event in a line: position, time, what happened to what, by whom, and its data."""
    name = event.spec.name if event.spec else event.type
    data = " ".join(f"{key}={_short(value)}" for key, value in event.data.items())
    return Text.assemble(
        (f"{event.position:>8} {event.time[11:19]} ", "dim"),
        (f"{name} ", "bold"),
        (output.safe(event.aggregate_id), output.ID_STYLE),
        (f" by {output.safe(event.actor)} ", "dim"),
        output.safe(data),
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"


def _filters(given: dict[str, object]) -> dict[str, object]:
    names = ("aggregate", "aggregate_id", "session")
    found = {name: given[name] for name in names if given[name]}
    if given["types"]:
        found["type"] = given["types"]
    return found


def _known_types(ctx: click.Context, option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name not in _TYPES:
            near = difflib.get_close_matches(name, _TYPES, 3)
            raise click.BadParameter(
                f"{name!r} is no event type" + (f"; {', '.join(near)}?" if near else ""), ctx, option
            )
    return value


def _complete_type(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _TYPES if name.startswith(incomplete)]

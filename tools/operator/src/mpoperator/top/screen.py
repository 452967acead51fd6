"""One screen: what it holds, and how it is drawn. What is not known is a dash, and said below."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from mpcli import output
from mpcli.exits import Exit
from mpcli.output import STATE_STYLES, safe
from mpcli.projections import halts
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mpoperator.run import ToolResult

_BARS = "▁▂▃▄▅▆▇█"
_SERVICE_STYLES = {"ready": "green", "not ready": "yellow", "away": "bold red", "unowned": "bold red"}


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """One projection, serving or being built."""

    name: str
    version: int
    state: str
    position: int
    lag_events: int | None
    lag_seconds: float
    rate: float
    owner: str
    error: str = ""


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One service by its own word."""

    name: str
    state: str
    """`ready`, `not ready` or `away`."""


class Screen(ToolResult, frozen=True, kw_only=True):
    """Everything that moves, with rates between two samples. What is None is not known; `unknown` says why."""

    shard: str
    leader: str | None
    epoch: int | None
    seq: int | None
    stream_seq: int | None
    events_per_second: float | None
    commits_per_second: float | None
    commands_per_second: float | None
    commands_in_flight: int | None
    intake_pending: int | None
    intake_taken: int | None
    feed_seq: int | None
    feed_lag: int | None
    streams: int | None
    """Clients of event streams."""
    stream_events_per_second: float | None
    slow_drops: int | None
    """Clients that fell behind and were sent away, since the gateways started."""
    rate_limited: int | None
    parked: int | None
    """Keys whose events wait until somebody requeues them, of all webhooks."""
    webhooks_behind: int | None
    """Events that the webhook furthest behind has not come to."""
    redis: bool | None
    projections: list[Projection] | None
    halted: list[str]
    services: list[ServiceStatus]
    unknown: list[str]

    @property
    def ending(self) -> Exit:
        """See the base class: not 0 where neither NATS nor any service answers."""
        away = self.seq is None and self.epoch is None and self.leader is None and self.intake_pending is None
        return Exit.UNREACHABLE if away and not any(each.state != "away" for each in self.services) else Exit.OK

    def show(self) -> None:
        """See the base class: the same frame that is drawn again and again."""
        output.out().print(draw(self, []))


def draw(screen: Screen, history: Sequence[float]) -> RenderableType:
    """One frame. `history` are the latest rates of events, oldest first."""
    parts: list[RenderableType] = [_title(screen), Text(), _flow(screen, history), Text(), _projections(screen)]
    if screen.services or screen.redis is not None:
        parts += [Text(), _services(screen)]
    errors = [each.error for each in screen.projections or ()]
    untold = [why for why in screen.unknown if not any(why.partition(": ")[2] in error for error in errors if error)]
    parts += [Text(f"not known: {safe(why)}", style="magenta") for why in untold]
    return Group(*parts)


def sparkline(history: Sequence[float]) -> str:
    """Rates as bars, the highest as high as can be."""
    top = max(history, default=0.0)
    if not top:
        return _BARS[0] * len(history)
    return "".join(_BARS[min(len(_BARS) - 1, int(rate / top * (len(_BARS) - 1) + 0.5))] for rate in history)


def _title(screen: Screen) -> Text:
    if screen.leader:
        who = Text.assemble((safe(screen.leader), "bold green"), f" leads in epoch {_number(screen.epoch)}")
    else:
        who = Text("nobody leads" if not screen.unknown else "no leader known", style="bold red")
    at = f" · event {_number(screen.seq)}, commit {_number(screen.stream_seq)}"
    return Text.assemble((f"shard {screen.shard} · ", "dim"), who, at)


def _flow(screen: Screen, history: Sequence[float]) -> Table:
    table = _table("", "commands", "commits", "events", "waiting", "in flight", "feed", "streams")
    table.add_row(
        "rate /s",
        _number(screen.commands_per_second),
        _number(screen.commits_per_second),
        _number(screen.events_per_second),
        "",
        "",
        "",
        _number(screen.stream_events_per_second),
    )
    waiting = f"{_number(screen.intake_pending)} + {_number(screen.intake_taken)} taken"
    drops = _count("slow", screen.slow_drops)
    table.add_row(
        "now",
        _count("limited", screen.rate_limited),
        "",
        Text(sparkline(history), style="cyan"),
        waiting,
        _number(screen.commands_in_flight),
        f"{_number(screen.feed_lag)} behind",
        f"{_number(screen.streams)} open{', ' + drops if drops else ''}",
    )
    return table


def _projections(screen: Screen) -> RenderableType:
    if screen.projections is None:
        return Text("projections are not known", style="magenta")
    table = _table("projection", "state", "position", "behind", "seconds", "rate /s", "owner")
    for each in screen.projections:
        table.add_row(
            each.name,
            Text(each.state, style=STATE_STYLES.get(each.state, _SERVICE_STYLES.get(each.state, ""))),
            _number(each.position),
            _number(each.lag_events),
            f"{each.lag_seconds:.1f}",
            _number(each.rate),
            safe(each.owner),
        )
    told = halts((each.name, each.error) for each in screen.projections if each.error)
    return Group(table, *(Text(safe(each), style="red") for each in told))


def _services(screen: Screen) -> Columns:
    listed = [(each.name, each.state) for each in screen.services]
    if screen.redis is not None:
        listed.append(("redis", "ready" if screen.redis else "away"))
    shown = [Text.assemble(safe(name), " ", (state, _SERVICE_STYLES[state])) for name, state in listed]
    if screen.parked:
        shown.append(Text(f"{screen.parked:,} keys of webhooks parked", style="bold red"))
    if screen.webhooks_behind:
        shown.append(Text(f"webhooks {screen.webhooks_behind:,} behind", style="yellow"))
    return Columns(shown, padding=(0, 3))


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        left = heading in ("", "projection", "state", "owner")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def _count(what: str, value: int | None) -> str:
    return f"{value:,} {what}" if value else ""

"""One command line command for every query of the registry: lists as tables, single rows as panels."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import click
import msgspec
from mpcli import output
from mpcli.invocation import ExampleCommand, Invocation, common_options
from mpschema.api import ORDERS, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, Page
from mpschema.queries import QUERIES
from mpschema.rows import QuerySpec
from msgspec import inspect as shapes

from mpctl.examples import query_examples
from mpctl.fields import FieldOption, field_options
from mpctl.moments import MOMENT
from mpctl.server import RemoteServer


def add_queries(groups: Mapping[str, click.Group]) -> None:
    """Every query of the registry, in the group of what it is about."""
    for spec in QUERIES.values():
        groups[spec.aggregate].add_command(_query(spec))


def filter_options(spec: QuerySpec) -> list[FieldOption]:
    """The query's filters as options: an exact match of one column each."""
    by_name = {option.name: option for option in field_options(spec.row)}
    return [by_name[name] for name in spec.filters]


def _query(spec: QuerySpec) -> click.Command:
    scoped = spec.scoped and spec.query_type != "workspace.get"
    params: list[click.Parameter] = []
    if "{id}" in spec.route:
        params.append(click.Argument(["named"], metavar="ID"))
    if spec.query_type == "workspace.get":
        params.append(click.Argument(["workspace"], metavar="[ID|FOLDER]", required=False))
    params += [_filter(option) for option in filter_options(spec)]
    params += _paging_options() if spec.many else _as_of_options()
    params.append(_after_seq_option())
    return ExampleCommand(
        spec.action.replace("_", "-"),
        params=[*params, *common_options(scoped=scoped)],
        callback=functools.partial(_run, spec),
        help=spec.summary,
        examples=query_examples(spec),
    )


def _filter(option: FieldOption) -> click.Option:
    """A filter is never required, whatever the column."""
    found = option.parameters()[0]
    assert isinstance(found, click.Option)
    found.required = False
    found.help = f"Only those with this {option.name.removesuffix('_id').replace('_', ' ')}."
    if isinstance(option.shape, shapes.StrType):
        found.metavar = "NAME|ID" if option.name == "project_id" else option.name.rpartition("_")[2].upper()
    return found


def _paging_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--limit"],
            type=click.IntRange(1, PAGE_ITEMS_MAX),
            default=PAGE_ITEMS_DEFAULT,
            show_default=True,
            help="Items on a page.",
        ),
        click.Option(
            ["--order"], type=click.Choice(ORDERS), default=ORDERS[0], help="Oldest first, or newest first (desc)."
        ),
        click.Option(["--cursor"], metavar="CURSOR", help="Go on where the page before ended."),
        click.Option(["--all", "every"], is_flag=True, help="All pages."),
    ]


def _as_of_options() -> list[click.Parameter]:
    return [
        click.Option(["--at-seq"], type=click.IntRange(1), metavar="SEQ", help="As it was after this event."),
        click.Option(["--at"], type=MOMENT, help="As it was at this moment, such as 2026-07-30T12:00:00Z."),
    ]


def _after_seq_option() -> click.Option:
    return click.Option(
        ["--after-seq"],
        type=click.IntRange(1),
        metavar="SEQ",
        help="Wait until the answer has this event in it: read your own write.",
    )


def _run(spec: QuerySpec, **given: Any) -> None:
    invocation = Invocation.of(given)
    workspace = invocation.workspace if spec.scoped else ""
    with RemoteServer.of(invocation.context, workspace) as server:
        filters = {name: given[name] for name in spec.filters if given.get(name) is not None}
        if "project_id" in filters:
            filters["project_id"] = server.project_id(filters["project_id"])
        target, after_seq = given.get("named", ""), given["after_seq"]
        if spec.query_type == "project.get":
            target = server.project_id(target)
        if not spec.many:
            if given["at_seq"] is not None and given["at"] is not None:
                raise click.UsageError("give one of --at-seq and --at")
            row = server.row(spec, target, after_seq, given["at_seq"], given["at"])
            return _show_row(row, invocation.as_json)
        asked = filters | {name: given[name] for name in ("order", "limit", "cursor")} | {"after": after_seq}
        page = server.page(spec, target, asked)
        rows = list(page.items)
        while given["every"] and page.next_cursor:
            page = server.page(spec, target, asked | {"cursor": page.next_cursor, "after": None})
            rows += page.items
    return _show_rows(spec, Page(items=rows, next_cursor=page.next_cursor), invocation.as_json)


def _show_row(row: msgspec.Struct, as_json: bool) -> None:
    output.print_json(row) if as_json else output.print_panel(row)


def _show_rows(spec: QuerySpec, page: Page[msgspec.Struct], as_json: bool) -> None:
    if as_json:
        return output.print_json(page)
    output.print_rows(page.items, spec.shown)
    if page.next_cursor and output.out().is_terminal:
        output.hint(f"there is more: --all, or --cursor {page.next_cursor}")
    return None

"""The shape of a row that a query answers with, and of the query.

A row is what a view stores, as a client sees it. Times are RFC 3339 in UTC.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from mpschema.vocabulary import WORKSPACE_ROUTE

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """The columns of every row: its tenant, and the version and position of its last change."""

    workspace_id: str
    version: int
    last_seq: int
    created_at: Moment
    updated_at: Moment


@dataclass(frozen=True)
class QuerySpec:
    """One query: its name, its path, its filters, and its row. A list answers pages, newest last."""

    query_type: str
    row: type[msgspec.Struct]
    route: str
    summary: str
    many: bool = False
    filters: tuple[str, ...] = ()
    """Columns that may be given as query parameters, each an exact match."""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The values of a filter whose column's type does not name them: any other is refused."""
    shown: tuple[str, ...] = ()
    """The columns that a table on a screen shows. Documents have all."""
    scoped: bool = True
    """True for a query about one workspace, named in the path."""

    @property
    def aggregate(self) -> str:
        """`task` of `task.list`: the command line group it belongs to."""
        return self.query_type.partition(".")[0]

    @property
    def action(self) -> str:
        """`list` of `task.list`."""
        return self.query_type.partition(".")[2]


Values = Mapping[str, frozenset[str]]
Shown = tuple[str, ...]


def pair(
    aggregate: str, row: type[msgspec.Struct], *filters: str, shown: Shown, values: Values | None = None
) -> tuple[QuerySpec, QuerySpec]:
    """The two queries that most aggregates have: all of them, and one by its id."""
    route = f"{WORKSPACE_ROUTE}/{aggregate}s"
    article = "an" if aggregate[0] in "aeiou" else "a"
    return (
        QuerySpec(f"{aggregate}.list", row, route, f"List {aggregate}s.", True, filters, values or {}, shown),
        QuerySpec(f"{aggregate}.get", row, route + "/{id}", f"Show {article} {aggregate}.", shown=shown),
    )


def listed(
    name: str,
    row: type[msgspec.Struct],
    path: str,
    summary: str,
    *filters: str,
    shown: Shown,
    values: Values | None = None,
) -> QuerySpec:
    """A query for many rows, below the workspace."""
    return QuerySpec(name, row, WORKSPACE_ROUTE + path, summary, True, filters, values or {}, shown)

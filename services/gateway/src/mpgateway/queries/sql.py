"""One SQL statement for each query, made from its spec and the fields of its row.

Only names from the registry and from this file enter the text of a statement; every value is a parameter.
`$1` is always the value of the setting that row-level security reads (see `mpgateway.database`).
"""

import types
import typing
from dataclasses import dataclass

import msgspec
from mpschema.rows import QuerySpec
from mpschema.session.rows import SessionRow
from mpschema.system.rows import ProjectionRow
from mpschema.webhook.rows import DeliveryRow, WaitingKeyRow
from mpviews import VIEWS

from mpgateway.database import OWNERSHIP, scoped


@dataclass(frozen=True)
class Collection:
    """The source of rows: their table, the column that orders them, and the projection that writes them, if any."""

    table: str
    order: str
    projection: str
    schema: str = "mp"


COLLECTIONS: dict[type[msgspec.Struct], Collection] = {
    table.row: Collection(table.name, table.order, view.name)
    for view in VIEWS.values()
    for table in view.tables
    if table.row is not None
} | {
    DeliveryRow: Collection("positions", "position", "", "mp_webhooks"),
    WaitingKeyRow: Collection("waiting", "key", "", "mp_webhooks"),
    ProjectionRow: Collection("projections", "name || '@' || build", ""),
}
_LINEAGE = {
    "session.ancestors": ("line.descendant_id = $2 AND item.id = line.ancestor_id", "-line.distance"),
    "session.descendants": ("line.ancestor_id = $2 AND item.id = line.descendant_id", "item.created_seq"),
}
"""Lists along a lineage: how they join it, and their order (ancestors: root first)."""
_SWEPT = """item.state IN ('requested', 'active', 'paused') AND EXISTS (
    SELECT FROM mp.sweeps AS sweep WHERE sweep.workspace_id = item.workspace_id AND sweep.state = 'running' AND (
    sweep.kind = 'workspace' OR (sweep.kind = 'project' AND sweep.scope = item.project_id)
    OR (sweep.kind = 'descendants' AND sweep.scope = ANY (item.lineage))))"""
DERIVED: dict[type[msgspec.Struct], dict[str, str]] = {SessionRow: {"ending": f"({_SWEPT})"}}
"""Fields that no column holds, by how they are found."""
_COMPARED: dict[type[msgspec.Struct], dict[str, str]] = {
    SessionRow: {"state": f"CASE WHEN {_SWEPT} THEN 'canceled' ELSE item.state END"}
}
"""Filters that compare something else than the column of their name: what is ending counts as ended."""
SETTINGS = {"workspace.list": "mp.principal", "projection.list": "mp.principal"}
"""The setting that opens the rows of a query not about one workspace; all other queries have `mp.workspace`."""
SORT = "_sort"


@dataclass(frozen=True)
class Statement:
    """A query as SQL. Parameters: the setting, the path's id (if it has one), then for lists filters, cursor, limit."""

    spec: QuerySpec
    head: str
    conditions: tuple[str, ...]
    order: str
    has_id: bool
    cursor_type: type

    def one(self) -> str:
        """The statement that shows one."""
        return scoped(self._setting, f"{self.head} WHERE {' AND '.join(self.conditions)}")

    def page(self, filters: tuple[str, ...], *, after: bool, descending: bool = False) -> str:
        """The statement that lists a page, with these filters, after a cursor or from the start (or the end)."""
        count = 1 + self.has_id
        conditions, compared = list(self.conditions), _COMPARED.get(self.spec.row, {})
        for name in filters:
            count += 1
            conditions.append(f"{compared.get(name, f'item.{name}')} = ${count}")
        if after:
            count += 1
            conditions.append(f"{self.order} {'<' if descending else '>'} ${count}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return scoped(
            self._setting,
            f"{self.head}{where} ORDER BY {self.order} {'DESC' if descending else 'ASC'} LIMIT ${count + 1}",
        )

    @property
    def _setting(self) -> str:
        return SETTINGS.get(self.spec.query_type, "mp.workspace")


def statement(spec: QuerySpec) -> Statement:
    """The statement of a query."""
    place = COLLECTIONS[spec.row]
    # Without a workspace in the path the value of the setting is a principal, so row-level security alone selects.
    conditions = ["item.workspace_id = scope.value"] if spec.scoped else []
    source, order = f"{place.schema}.{place.table} AS item", f"item.{place.order}"
    has_id = "{id}" in spec.route
    if spec.query_type in _LINEAGE:
        join, order = _LINEAGE[spec.query_type]
        source += ", mp.session_lineage AS line"
        conditions += ["line.workspace_id = scope.value", join]
    elif has_id:
        conditions.append(f"item.{f'{spec.aggregate}_id' if spec.many else 'id'} = $2")
    if spec.row is ProjectionRow:
        order = "(item.name || '@' || item.build)"
    derived = DERIVED.get(spec.row, {})
    columns = ", ".join(
        f"{derived[name]} AS {name}" if name in derived else f"item.{name}" for name in spec.row.__struct_fields__
    )
    if spec.row is ProjectionRow:
        columns += f", {OWNERSHIP}"
    head = f"SELECT {columns}, {order} AS {SORT} FROM {source}"  # noqa: S608 - names of the registry
    # Rows that are ordered by something that they do not show are ordered by an event.
    cursor_type = str if spec.row is ProjectionRow or field_types(spec.row).get(place.order) is str else int
    return Statement(spec, head, tuple(conditions), order, has_id, cursor_type)


def field_types(row: type[msgspec.Struct]) -> dict[str, typing.Any]:
    """The types of a row's columns, as declared."""
    return typing.get_type_hints(row)


def json_columns(row: type[msgspec.Struct]) -> frozenset[str]:
    """The columns that hold JSON as text: lists of structures."""
    return frozenset(name for name, kind in field_types(row).items() if _is_list_of_structs(kind))


def raw_columns(row: type[msgspec.Struct]) -> frozenset[str]:
    """The columns that hold JSON as stored bytes."""
    return frozenset(name for name, kind in field_types(row).items() if kind is msgspec.Raw)


def filter_type(row: type[msgspec.Struct], name: str) -> typing.Any:
    """Return the type of a filter's value: the column's type, without null."""
    kind = field_types(row)[name]
    if isinstance(kind, types.UnionType):
        return next(option for option in typing.get_args(kind) if option is not types.NoneType)
    return kind


def _is_list_of_structs(kind: typing.Any) -> bool:
    if typing.get_origin(kind) is not list:
        return False
    (item,) = typing.get_args(kind)
    return isinstance(item, type) and issubclass(item, msgspec.Struct)

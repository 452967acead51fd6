"""The SQL that makes a table: its columns before it is filled, what is quicker made afterwards."""

from mpviews.changes import Table

_AGGREGATES = ("workspace_id", "id")
"""The key of a table with a row for each aggregate."""


def create(table: Table, schema: str) -> str:
    """The statement that makes the empty table."""
    lines = [f"    {name} {kind}{_null(table, name)}" for name, kind in table.columns.items()]
    if not table.appended:
        lines.append(f"    PRIMARY KEY ({', '.join(table.key)})")
    options = f" WITH (fillfactor = {table.fill_percent})" if table.fill_percent < 100 else ""
    body = ",\n".join(lines)
    return f"CREATE TABLE {schema}.{table.name} (\n{body}\n){options};\n"


def complete(table: Table, schema: str) -> str:
    """The statements for after the fill: the key of what is only added to, the index in order of aggregates."""
    made = []
    if table.appended:
        made.append(f"ALTER TABLE {schema}.{table.name} ADD PRIMARY KEY ({', '.join(table.key)});\n")
    if table.key == _AGGREGATES and table.order == "created_seq" and "version" in table.columns:
        made.append(f"CREATE INDEX {table.name}_in_order ON {schema}.{table.name} (workspace_id, created_seq);\n")
    return "".join(made)


def _null(table: Table, column: str) -> str:
    return "" if column in table.nullable else " NOT NULL"

"""Every query there is, joined from those of each aggregate. Routes, command line, SDK and documents derive from it."""

from importlib import import_module

from mpschema.aggregates import NAMES
from mpschema.rows import QuerySpec


def _queries(noun: str) -> tuple[QuerySpec, ...]:
    found: tuple[QuerySpec, ...] = import_module(f"mpschema.{noun}.rows").QUERIES
    return found


QUERIES: dict[str, QuerySpec] = {spec.query_type: spec for noun in (*NAMES, "system") for spec in _queries(noun)}
"""Every query by its name."""

"""Counts and sets by key that hold nothing empty: what an index derives must not depend on the way it came about."""

from typing import Any


def count(counts: dict[Any, int], key: Any, by: int) -> None:
    """Count up or down; a count of nothing is not kept."""
    number = counts.get(key, 0) + by
    if number:
        counts[key] = number
    else:
        del counts[key]


def add(sets: dict[str, set[str]], key: str, member: str) -> None:
    """Put a member in."""
    members = sets.get(key)
    if members is None:
        sets[key] = {member}
    else:
        members.add(member)


def remove(sets: dict[str, set[str]], key: str, member: str) -> None:
    """Take a member out; an empty set is not kept."""
    members = sets[key]
    members.remove(member)
    if not members:
        del sets[key]


def put(rows: dict[str, dict[str, None]], key: str, member: str) -> None:
    """Put a member at the end of a row. A row keeps its order, as a set would not."""
    rows.setdefault(key, {})[member] = None


def take(rows: dict[str, dict[str, None]], key: str, member: str) -> None:
    """Take a member out; an empty row is not kept."""
    row = rows[key]
    del row[member]
    if not row:
        del rows[key]

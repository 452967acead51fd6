"""Projections in words: those that halted, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def halts(halted: Iterable[tuple[str, str]]) -> list[str]:
    """Return each cause once, with the names of all projections that it halted."""
    names: dict[str, list[str]] = {}
    for name, error in halted:
        names.setdefault(error, []).append(name)
    return [f"{listed(each)} halted: {error}" for error, each in names.items()]


def listed(names: Sequence[str]) -> str:
    """Return projections by their names, as a part of a sentence."""
    return f"projection{'s' if len(names) > 1 else ''} {', '.join(names)}"

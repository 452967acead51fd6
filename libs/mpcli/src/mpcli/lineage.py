"""A lineage of sessions as a tree in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from mpschema.session.rows import SessionRow
from rich.text import Text
from rich.tree import Tree

from mpcli.output import ID_STYLE, STATE_STYLES, safe


def tree(top: SessionRow, descendants: Sequence[SessionRow]) -> Tree:
    """The session with everything below it."""
    children: dict[str | None, list[SessionRow]] = {}
    for session in sorted(descendants, key=lambda session: session.created_at):
        children.setdefault(session.parent_id, []).append(session)
    found = Tree(label(top))
    waiting = [(found, top.id)]
    while waiting:
        branch, parent = waiting.pop()
        waiting += [(branch.add(label(child)), child.id) for child in children.get(parent, [])]
    return found


def label(session: SessionRow) -> Text:
    """One session on one line."""
    return Text.assemble(
        (session.id, ID_STYLE),
        " ",
        (session.state.value, STATE_STYLES.get(session.state, "")),
        " ",
        f"{safe(session.blueprint_name)}@{safe(session.blueprint_version)}",
        (f" {safe(session.purpose)}" if session.purpose else "", "dim"),
    )

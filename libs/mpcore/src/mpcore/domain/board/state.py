"""The state of a board."""

import enum

import msgspec
from mpschema.board import Column

from mpcore.state.tenant import Tenant


class BoardState(enum.StrEnum):
    """The states of a board: it limits its tasks, or does no longer."""

    OPEN = "open"
    ARCHIVED = "archived"


class Board(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Columns over task states."""

    id: str
    version: int
    project_id: str
    state: BoardState
    columns: tuple[Column, ...]


def boards(tenant: Tenant) -> dict[str, Board]:
    """The boards of a workspace, by their ids."""
    by_id: dict[str, Board] = tenant.indexes["board"].by_id
    return by_id

"""The state of a workspace."""

import enum

import msgspec


class WorkspaceState(enum.StrEnum):
    """The states of a workspace."""

    ACTIVE = "active"
    FROZEN = "frozen"
    ARCHIVED = "archived"


class Workspace(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The tenant."""

    id: str
    version: int
    state: WorkspaceState

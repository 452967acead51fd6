"""The state of a project."""

import enum

import msgspec


class ProjectState(enum.StrEnum):
    """The states of a project: it takes new work, or does no longer."""

    OPEN = "open"
    ARCHIVED = "archived"


class Project(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A body of work."""

    id: str
    version: int
    name: str
    state: ProjectState

"""What is remembered of a project."""

import enum

import msgspec


class ProjectState(enum.StrEnum):
    """Whether a project takes new work."""

    OPEN = "open"
    ARCHIVED = "archived"


class Project(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A body of work."""

    id: str
    version: int
    name: str
    state: ProjectState

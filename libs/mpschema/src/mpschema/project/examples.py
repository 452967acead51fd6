"""Examples of the commands, events and rows about a project: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.project import (
    ArchiveProject,
    ConfigureProject,
    CreateProject,
    ProjectArchived,
    ProjectConfigured,
    ProjectCreated,
)
from mpschema.project.rows import ProjectRow

ID = story.PROJECT
COMMANDS: tuple[Command, ...] = (
    CreateProject(name="core", repo="https://git.example/acme/core.git", default_branch="main", labels=("python",)),
    ConfigureProject(repo="https://git.example/acme/app.git", default_branch="trunk", labels=("python", "core")),
    ArchiveProject(),
)
EVENTS: tuple[Event, ...] = (
    ProjectCreated(name="core", repo="https://git.example/acme/core.git", default_branch="main", labels=("python",)),
    ProjectConfigured(repo="https://git.example/acme/app.git", default_branch="trunk", labels=("python", "core")),
    ProjectArchived(),
)
ROWS: tuple[msgspec.Struct, ...] = (
    ProjectRow(
        **story.CHANGED,
        id=story.PROJECT,
        name="core",
        state="open",
        repo=None,
        default_branch="main",
        labels=["python"],
    ),
)

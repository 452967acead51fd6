"""The words about a project: a body of work, usually around one repository."""

from typing import Annotated

import msgspec

from mpschema.base import Command, Event, Labels, Name
from mpschema.ending import Cancel, CancelSessions
from mpschema.vocabulary import Vocabulary, command

Repo = Annotated[str, msgspec.Meta(max_length=2_000, description="URL or path of the repository")]
Branch = Annotated[str, msgspec.Meta(min_length=1, max_length=250)]


class CreateProject(Command, frozen=True):
    """Create a project; its name is unique among the workspace's open projects."""

    name: Name
    repo: Repo | None = None
    default_branch: Branch | None = None
    labels: Labels = ()


class ConfigureProject(Command, frozen=True):
    """Change a project's repository, default branch or labels; what is left out stays."""

    repo: Repo | None = None
    default_branch: Branch | None = None
    labels: Labels | None = None


class ArchiveProject(Command, frozen=True):
    """Close a project; refused while a session in it runs, unless those are to be canceled."""

    cancel: Cancel = CancelSessions.NONE


class ProjectCreated(Event, frozen=True):
    name: Name
    repo: Repo | None = None
    default_branch: Branch | None = None
    labels: Labels = ()


class ProjectConfigured(Event, frozen=True):
    repo: Repo | None = None
    default_branch: Branch | None = None
    labels: Labels | None = None


class ProjectArchived(Event, frozen=True):
    pass


VOCABULARY = Vocabulary(
    name="project",
    plural="projects",
    projection="directory",
    about="Projects: bodies of work, each around a repository.",
    commands=(
        command("project.create", CreateProject, ProjectCreated, creates=True),
        command("project.configure", ConfigureProject, ProjectConfigured),
        command("project.archive", ArchiveProject, ProjectArchived),
    ),
    events=(
        ProjectCreated,
        ProjectConfigured,
        ProjectArchived,
    ),
)

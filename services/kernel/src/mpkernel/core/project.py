"""A body of work: open to new work, or archived.

In an archived project nothing begins: no task, session or board is made in it, none of its tasks is offered, claimed or
reopened, and its boards keep their shape. What was begun may be finished: started, handed in, judged, completed,
released or canceled.
"""

from collections.abc import Mapping

from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.levels import CHILDREN_LEVEL
from mpschema.names import folded
from mpschema.project import (
    ArchiveProject,
    ConfigureProject,
    CreateProject,
    ProjectArchived,
    ProjectConfigured,
    ProjectCreated,
)
from mpschema.rejections import Code, Rejection
from msgspec.structs import replace

from mpkernel.core.naming import same
from mpkernel.core.rules import AccessRequest, Evolve, Rule, Rules
from mpkernel.core.states import Project, ProjectState
from mpkernel.core.world import Decision, Fact, Space

OPEN, ARCHIVED = ProjectState.OPEN, ProjectState.ARCHIVED


def closed_project(space: Space, project_id: str) -> Rejection | None:
    """Why nothing new may begin in this project, or None where it may."""
    project = space.projects.get(project_id)
    if project is None:
        return Rejection(Code.NOT_FOUND, f"project {project_id} does not exist")
    if project.state is not OPEN:
        return Rejection(Code.ARCHIVED, f"project {project_id} is archived")
    return None


def closed_around(request: AccessRequest, project_id: str) -> Rejection | None:
    """Why something in this project may not begin anew, or None where it may. Below the level it always may."""
    return closed_project(request.space, project_id) if request.world.feature_level >= CHILDREN_LEVEL else None


def _create(_: None, arguments: CreateProject, request: AccessRequest) -> Decision:
    if _name_taken(request, arguments.name):
        return Rejection(Code.NAME_TAKEN, f"an open project is called {arguments.name!r} already")
    event = ProjectCreated(arguments.name, arguments.repo, arguments.default_branch, arguments.labels)
    return (Fact("project", request.target, event),)


def _name_taken(request: AccessRequest, name: str) -> bool:
    space = request.space
    alike = space.index.project_names.get(folded(name), ())
    return any(same(request.world, space.projects[project_id].name, name) for project_id in alike)


def _configure(project: Project, arguments: ConfigureProject, _: AccessRequest) -> Decision:
    event = ProjectConfigured(arguments.repo, arguments.default_branch, arguments.labels)
    return (Fact("project", project.id, event),)


def _archive(project: Project, _: ArchiveProject, request: AccessRequest) -> Decision:
    live = request.space.index.live_in_project.get(project.id, 0)
    if live:
        return Rejection(Code.INVALID_STATE, f"project {project.name!r} has {live} live sessions: end them first")
    return (Fact("project", project.id, ProjectArchived()),)


RULES: Rules = {
    CreateProject: Rule(decide=_create, targets=(OPEN,)),
    ConfigureProject: Rule(decide=_configure, sources=frozenset({OPEN})),
    ArchiveProject: Rule(decide=_archive, sources=frozenset({OPEN}), targets=(ARCHIVED,)),
}


def _created(_: None, event: ProjectCreated, record: EventRecord) -> Project:
    return Project(record.aggregate_id, record.version, event.name, OPEN)


def _configured(project: Project, _: ProjectConfigured, record: EventRecord) -> Project:
    return replace(project, version=record.version)


def _archived(project: Project, _: ProjectArchived, record: EventRecord) -> Project:
    return replace(project, version=record.version, state=ARCHIVED)


EVOLVE: Mapping[type[Event], Evolve] = {
    ProjectCreated: _created,
    ProjectConfigured: _configured,
    ProjectArchived: _archived,
}

"""How the commands of a project are decided."""

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

from mpcore.domain.naming import name_in, same
from mpcore.domain.project.index import projects
from mpcore.domain.project.state import Project, ProjectState
from mpcore.domain.session.index import sessions
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import AccessRequest, Rule, Rules
from mpcore.state.tenant import Tenant

OPEN, ARCHIVED = ProjectState.OPEN, ProjectState.ARCHIVED


def closed_project(tenant: Tenant, project_id: str) -> Rejection | None:
    """Why nothing new may begin in this project, or None where it may."""
    project = projects(tenant).by_id.get(project_id)
    if project is None:
        return Rejection(Code.NOT_FOUND, f"project {project_id} does not exist")
    if project.state is not OPEN:
        return Rejection(Code.ARCHIVED, f"project {project_id} is archived")
    return None


def closed_around(request: AccessRequest, project_id: str) -> Rejection | None:
    """Why something in this project may not begin anew, or None where it may. Below the level it always may."""
    return closed_project(request.tenant, project_id) if request.world.feature_level >= CHILDREN_LEVEL else None


def _create(_: None, arguments: CreateProject, request: AccessRequest) -> Decision:
    if _name_taken(request, arguments.name):
        return Rejection(Code.NAME_TAKEN, f"an open project is called {arguments.name!r} already")
    event = ProjectCreated(arguments.name, arguments.repo, arguments.default_branch, arguments.labels)
    return (Fact("project", request.target, event),)


def _name_taken(request: AccessRequest, name: str) -> bool:
    known = projects(request.tenant)
    alike = known.names.get(folded(name), ())
    return any(same(request.world, known.by_id[project_id].name, name) for project_id in alike)


def _configure(project: Project, arguments: ConfigureProject, _: AccessRequest) -> Decision:
    event = ProjectConfigured(arguments.repo, arguments.default_branch, arguments.labels)
    return (Fact("project", project.id, event),)


def _archive(project: Project, _: ArchiveProject, request: AccessRequest) -> Decision:
    live = sessions(request.tenant).live_in_project.get(project.id, 0)
    if live:
        return Rejection(Code.INVALID_STATE, f"project {project.name!r} has {live} live sessions: end them first")
    return (Fact("project", project.id, ProjectArchived()),)


RULES: Rules = {
    CreateProject: Rule(decide=_create, targets=(OPEN,), names=name_in("name")),
    ConfigureProject: Rule(decide=_configure, sources=frozenset({OPEN})),
    ArchiveProject: Rule(decide=_archive, sources=frozenset({OPEN}), targets=(ARCHIVED,)),
}

"""The rules of a project's commands."""

from mpschema.ending import CancelSessions
from mpschema.levels import CHILDREN_LEVEL, HOUSE_LEVEL
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
from mpcore.state.rules import DecisionContext, Rule, Rules, older
from mpcore.state.tenant import Tenant

RUNNING = CancelSessions.RUNNING
OPEN, ARCHIVED = ProjectState.OPEN, ProjectState.ARCHIVED


def closed_project(tenant: Tenant, project_id: str) -> Rejection | None:
    """Refuse what is new in a project that takes none; None where it may begin."""
    project = projects(tenant).by_id.get(project_id)
    if project is None:
        return Rejection(Code.NOT_FOUND, f"project {project_id} does not exist")
    if project.state is not OPEN:
        return Rejection(Code.ARCHIVED, f"project {project_id} is archived")
    return None


def closed_around(context: DecisionContext, project_id: str) -> Rejection | None:
    """Refuse what begins anew in a project that takes nothing new; None where it may. Below the level it always may."""
    return (
        closed_project(context.draft.tenant, project_id)
        if context.draft.world.feature_level >= CHILDREN_LEVEL
        else None
    )


def _create(_: None, arguments: CreateProject, context: DecisionContext) -> Decision:
    if _name_taken(context, arguments.name):
        return Rejection(Code.NAME_TAKEN, f"an open project is called {arguments.name!r} already")
    event = ProjectCreated(arguments.name, arguments.repo, arguments.default_branch, arguments.labels)
    return (Fact("project", context.target, event),)


def _name_taken(context: DecisionContext, name: str) -> bool:
    known = projects(context.draft.tenant)
    alike = known.names.get(folded(name), ())
    return any(same(context.draft.world, known.by_id[project_id].name, name) for project_id in alike)


def _configure(project: Project, arguments: ConfigureProject, _: DecisionContext) -> Decision:
    event = ProjectConfigured(arguments.repo, arguments.default_branch, arguments.labels)
    return (Fact("project", project.id, event),)


def _archive(project: Project, arguments: ArchiveProject, context: DecisionContext) -> Decision:
    draft = context.draft
    live = len(sessions(draft.tenant).live_in_project.get(project.id, ()))
    if arguments.cancel is RUNNING:
        if draft.world.feature_level < HOUSE_LEVEL:
            return older(draft.world, "cancel: running", HOUSE_LEVEL)
    elif live:
        detail = f"project {project.name!r} has {live} live sessions: end them first, or archive with cancel: running"
        return Rejection(Code.INVALID_STATE, detail)
    return (Fact("project", project.id, ProjectArchived()),)


RULES: Rules = {
    CreateProject: Rule(decide=_create, targets=(OPEN,), names=name_in("name")),
    ConfigureProject: Rule(decide=_configure, sources=frozenset({OPEN})),
    ArchiveProject: Rule(decide=_archive, sources=frozenset({OPEN}), targets=(ARCHIVED,)),
}

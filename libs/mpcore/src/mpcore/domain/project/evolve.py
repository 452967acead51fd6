"""The events of a project, as they change its state."""

from mpschema.envelope import EventRecord
from mpschema.project import (
    ProjectArchived,
    ProjectConfigured,
    ProjectCreated,
)
from msgspec.structs import replace

from mpcore.domain.project.state import Project, ProjectState
from mpcore.state.rules import Evolves

OPEN, ARCHIVED = ProjectState.OPEN, ProjectState.ARCHIVED


def _created(_: None, event: ProjectCreated, record: EventRecord) -> Project:
    return Project(record.aggregate_id, record.version, event.name, OPEN)


def _configured(project: Project, _: ProjectConfigured, record: EventRecord) -> Project:
    return replace(project, version=record.version)


def _archived(project: Project, _: ProjectArchived, record: EventRecord) -> Project:
    return replace(project, version=record.version, state=ARCHIVED)


EVOLVE: Evolves = {
    ProjectCreated: _created,
    ProjectConfigured: _configured,
    ProjectArchived: _archived,
}

"""The index of the projects of a workspace: which open one has which name."""

import msgspec
from mpschema.names import folded

from mpcore.domain.project.state import Project, ProjectState
from mpcore.state.counts import add, remove
from mpcore.state.tenant import Index, Tenant

_OPEN = ProjectState.OPEN


class ProjectIndex(Index):
    """Projects by their ids."""

    by_id: dict[str, Project] = msgspec.field(default_factory=dict)
    names: dict[str, set[str]] = msgspec.field(default_factory=dict)
    """Folded name to the open projects that have it: several, where they were named before names were folded."""


def projects(tenant: Tenant) -> ProjectIndex:
    """The projects of a workspace."""
    index: ProjectIndex = tenant.indexes["project"]
    return index


def reindex(tenant: Tenant, old: Project | None, new: Project | None) -> None:
    """See `state.descriptor.Reindex`."""
    if new is not None and new.state is _OPEN:
        add(projects(tenant).names, folded(new.name), new.id)
    elif old is not None and old.state is _OPEN:
        remove(projects(tenant).names, folded(old.name), old.id)

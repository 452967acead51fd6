"""The directory: workspaces, who may act in them, with which keys, and their projects."""

from collections.abc import Sequence

from mpschema import principal, project, workspace
from mpschema.envelope import EventRecord
from mpschema.principal.rows import KeyRow, PrincipalRow
from mpschema.project.rows import ProjectRow
from mpschema.workspace.rows import WorkspaceRow

from mpviews.changes import Cases, Change, ColumnUpdate, Insert, Patch, Values, View
from mpviews.tables import aggregate_table, amend, created, key_of, patch, table

_PRINCIPALS = aggregate_table("principals", PrincipalRow)
_KEYS = table(
    "keys",
    ("workspace_id", "id"),
    KeyRow,
    "created_seq",
    hidden={"key_hash": "text", "created_seq": "bigint", "last_seq": "bigint"},
)
_PROJECTS = aggregate_table("projects", ProjectRow)
_WORKSPACES = aggregate_table("workspaces", WorkspaceRow)


class AddRole(ColumnUpdate, frozen=True):
    """One more role, in alphabetic order."""

    role: str

    def apply(self, current: list[str]) -> list[str]:
        return sorted({*current, self.role})


class RemoveRole(ColumnUpdate, frozen=True):
    """One role less."""

    role: str

    def apply(self, current: list[str]) -> list[str]:
        return [role for role in current if role != self.role]


def _workspace_created(record: EventRecord, data: workspace.WorkspaceCreated) -> Sequence[Change]:
    values: Values = {"name": data.name, "state": "active", "owner": data.owner}
    return (Insert("workspaces", (record.workspace_id,), values | created(record)),)


def _workspace(record: EventRecord, **values: object) -> Sequence[Change]:
    change = patch("workspaces", record, **values)
    return (Patch("workspaces", (record.workspace_id,), change.values),)


def _principal(record: EventRecord) -> Change:
    """A principal has no event of creation: the first event about it makes its row."""
    if record.version == 1:
        return Insert("principals", key_of(record), {"roles": []} | created(record))
    return patch("principals", record)


def _role(record: EventRecord, step: ColumnUpdate) -> Sequence[Change]:
    if record.version == 1:
        return (Insert("principals", key_of(record), {"roles": step.apply([])} | created(record)),)
    return (amend("principals", record, "roles", step),)


def _key_issued(record: EventRecord, data: principal.KeyIssued) -> Sequence[Change]:
    values: Values = {
        "principal_id": record.aggregate_id,
        "key_hash": data.key_hash,
        "created_seq": record.seq,
        "last_seq": record.seq,
        "created_at": record.time_ms,
        "expires_at": data.expires_at_ms,
        "revoked_at": None,
    }
    return (Insert("keys", (record.workspace_id, data.key_id), values), _principal(record))


def _key_revoked(record: EventRecord, data: principal.KeyRevoked) -> Sequence[Change]:
    values: Values = {"revoked_at": record.time_ms, "last_seq": record.seq}
    return (Patch("keys", (record.workspace_id, data.key_id), values), _principal(record))


def _project_created(record: EventRecord, data: project.ProjectCreated) -> Sequence[Change]:
    values: Values = {
        "name": data.name,
        "state": "open",
        "repo": data.repo,
        "default_branch": data.default_branch,
        "labels": list(data.labels),
    }
    return (Insert("projects", key_of(record), values | created(record)),)


def _project_configured(record: EventRecord, data: project.ProjectConfigured) -> Sequence[Change]:
    labels = None if data.labels is None else list(data.labels)
    given = {"repo": data.repo, "default_branch": data.default_branch, "labels": labels}
    return (patch("projects", record, **{name: value for name, value in given.items() if value is not None}),)


CASES = Cases(
    frozenset({"workspace", "principal", "project"}),
    {
        workspace.WorkspaceCreated: _workspace_created,
        workspace.WorkspaceRenamed: lambda record, data: _workspace(record, name=data.name),
        workspace.WorkspaceFrozen: lambda record, _: _workspace(record, state="frozen"),
        workspace.WorkspaceThawed: lambda record, _: _workspace(record, state="active"),
        workspace.WorkspaceArchived: lambda record, _: _workspace(record, state="archived"),
        principal.RoleBound: lambda record, data: _role(record, AddRole(data.role)),
        principal.RoleUnbound: lambda record, data: _role(record, RemoveRole(data.role)),
        principal.KeyIssued: _key_issued,
        principal.KeyRevoked: _key_revoked,
        project.ProjectCreated: _project_created,
        project.ProjectConfigured: _project_configured,
        project.ProjectArchived: lambda record, _: (patch("projects", record, state="archived"),),
    },
)
VIEW = View("directory", 1, (_WORKSPACES, _PRINCIPALS, _KEYS, _PROJECTS), CASES)

"""The index of a workspace: is it closed to almost every command."""

from mpschema.rejections import Code, Rejection

from mpcore.domain.workspace.state import Workspace, WorkspaceState
from mpcore.state.tenant import Tenant


def closed(workspace: Workspace) -> Rejection | None:
    """Return the refusal of every other command while the workspace is not active."""
    if workspace.state is WorkspaceState.FROZEN:
        return Rejection(Code.FROZEN, f"workspace {workspace.id} is frozen")
    if workspace.state is WorkspaceState.ARCHIVED:
        return Rejection(Code.ARCHIVED, f"workspace {workspace.id} is archived")
    return None


def reindex(tenant: Tenant, _: Workspace | None, new: Workspace | None) -> None:
    """See `state.descriptor.Reindex`."""
    tenant.closed = None if new is None else closed(new)

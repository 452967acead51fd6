"""The ends that follow from that of a session, a project or a workspace: of every session below, and of its claims."""

from collections.abc import Sequence

from mpschema.envelope import EventRecord
from mpschema.project import ProjectArchived
from mpschema.session import SessionCanceled, SessionCompleted, SessionFailed
from mpschema.sweep import SweepKind
from mpschema.workspace import WorkspaceArchived

from mpcore.domain.sweep.steps import swept
from mpcore.state.reactions import FollowUp, Reactions
from mpcore.state.rules import Draft


def _completed(record: EventRecord, draft: Draft) -> Sequence[FollowUp]:
    """End its claims: none lives below it."""
    return swept(draft, SweepKind.CLAIMS, record.aggregate_id)


def _ended(record: EventRecord, draft: Draft) -> Sequence[FollowUp]:
    """End its claims, then what lives below it. Whatever ended with another leaves both to that one's sweep."""
    session_id, event = record.aggregate_id, record.data
    if type(event) is SessionCanceled and event.origin_id != session_id:
        return ()
    return (*swept(draft, SweepKind.CLAIMS, session_id), *swept(draft, SweepKind.DESCENDANTS, session_id))


def _project_archived(record: EventRecord, draft: Draft) -> Sequence[FollowUp]:
    return swept(draft, SweepKind.PROJECT, record.aggregate_id)


def _workspace_archived(record: EventRecord, draft: Draft) -> Sequence[FollowUp]:
    return swept(draft, SweepKind.WORKSPACE, record.aggregate_id)


REACTIONS: Reactions = {
    SessionCompleted: _completed,
    SessionFailed: _ended,
    SessionCanceled: _ended,
    ProjectArchived: _project_archived,
    WorkspaceArchived: _workspace_archived,
}

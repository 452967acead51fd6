"""The end of sessions because of something else: the commands that end each of them, and their claims before."""

from collections.abc import Iterable, Iterator
from itertools import chain

from mpschema.session import EndSession
from mpschema.task import ReturnTask

from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import LIVE
from mpcore.domain.task.index import tasks
from mpcore.state.reactions import FollowUp
from mpcore.state.tenant import Tenant


def of_claims(tenant: Tenant, session_id: str) -> Iterator[FollowUp]:
    """Yield the end of each claim of a session, in the order of the tasks' ids."""
    known = tasks(tenant)
    for task_id in sorted(known.claims.get(session_id, ())):
        yield FollowUp(ReturnTask(known.by_id[task_id].fence), task_id)


def of_descendants(tenant: Tenant, session_id: str) -> Iterator[FollowUp]:
    """Yield the end of each live session below one. Children end before their parents, so all stay within reach."""
    return _each(tenant, _below(tenant, session_id), session_id)


def of_project(tenant: Tenant, project_id: str) -> Iterator[FollowUp]:
    """Yield the end of each live session of a project."""
    return _each(tenant, sessions(tenant).live_in_project.get(project_id, ()), project_id)


def of_workspace(tenant: Tenant, workspace_id: str) -> Iterator[FollowUp]:
    """Yield the end of each live session of the workspace, lineage by lineage, children before their parents."""
    trees = (_tree(tenant, root_id) for root_id in sessions(tenant).live_in_lineage)
    return _each(tenant, chain.from_iterable(trees), workspace_id)


def _each(tenant: Tenant, session_ids: Iterable[str], origin_id: str) -> Iterator[FollowUp]:
    for session_id in session_ids:
        yield from of_claims(tenant, session_id)
        yield FollowUp(EndSession(origin_id), session_id)


def _tree(tenant: Tenant, root_id: str) -> Iterator[str]:
    yield from _below(tenant, root_id)
    if sessions(tenant).by_id[root_id].state in LIVE:
        yield root_id


def _below(tenant: Tenant, session_id: str) -> Iterator[str]:
    """Yield the live descendants, each after those below it, and siblings in the order of their ids."""
    for child_id in sorted(sessions(tenant).live_children.get(session_id, ())):
        yield from _below(tenant, child_id)
        yield child_id

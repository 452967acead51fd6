"""For what an agent may command a task: it works for its own session, and judges what sessions below it hand in."""

from typing import Any

from mpschema.rejections import Rejection

from mpcore.domain.session.agents import refusal
from mpcore.domain.session.index import sessions
from mpcore.domain.session.state import Session
from mpcore.domain.task.index import tasks
from mpcore.state.rules import DecisionContext


def as_itself(context: DecisionContext, session: Session, arguments: Any) -> Rejection | None:
    """It claims for its own session."""
    if arguments.session_id in (None, session.id):
        return None
    return refusal(context, "an agent claims for its own session")


def holder(context: DecisionContext, session: Session, arguments: Any) -> Rejection | None:
    """It holds the claim. With a fence that is not current the decision itself says so, which tells the caller more."""
    task = tasks(context.draft.tenant).by_id.get(context.target)
    if task is None or task.fence != arguments.fence or not task.holder or task.session_id == session.id:
        return None
    return refusal(context, "another holds the claim")


def reviewer(context: DecisionContext, session: Session, _: Any) -> Rejection | None:
    """A lead judges the work of its descendants, never its own."""
    task = tasks(context.draft.tenant).by_id.get(context.target)
    if task is None:
        return None
    held_by = None if task.session_id is None else sessions(context.draft.tenant).by_id[task.session_id]
    if held_by is not None and session.id in held_by.lineage:
        return None
    return refusal(context, "the task is not held by a session below its own")

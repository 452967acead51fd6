"""The events of a session, as they change its state."""

from sys import intern

from mpschema import session as words
from mpschema.envelope import EventRecord
from mpschema.session import SessionState
from msgspec.structs import replace

from mpcore.domain.session.state import Session
from mpcore.state.rules import Evolves

REQUESTED, ACTIVE, PAUSED = SessionState.REQUESTED, SessionState.ACTIVE, SessionState.PAUSED
COMPLETED, FAILED, CANCELED = SessionState.COMPLETED, SessionState.FAILED, SessionState.CANCELED


def _spawned(_: None, event: words.SessionSpawned, record: EventRecord) -> Session:
    return Session(
        id=record.aggregate_id,
        version=record.version,
        state=REQUESTED,
        lineage=tuple(map(intern, event.lineage)),
        project_id=None if event.project_id is None else intern(event.project_id),
        max_depth=event.limits.max_depth,
        max_children=event.limits.max_children,
    )


def _started(session: Session, _: words.SessionStarted | words.SessionResumed, record: EventRecord) -> Session:
    return replace(session, version=record.version, state=ACTIVE)


def _paused(session: Session, _: words.SessionPaused, record: EventRecord) -> Session:
    return replace(session, version=record.version, state=PAUSED)


def _completed(session: Session, _: words.SessionCompleted, record: EventRecord) -> Session:
    return replace(session, version=record.version, state=COMPLETED)


def _failed(session: Session, _: words.SessionFailed, record: EventRecord) -> Session:
    return replace(session, version=record.version, state=FAILED)


def _canceled(session: Session, _: words.SessionCanceled, record: EventRecord) -> Session:
    return replace(session, version=record.version, state=CANCELED)


def _of_tokens(
    session: Session, _: words.SessionTokenIssued | words.SessionTokensRevoked, record: EventRecord
) -> Session:
    return replace(session, version=record.version)


EVOLVE: Evolves = {
    words.SessionSpawned: _spawned,
    words.SessionStarted: _started,
    words.SessionPaused: _paused,
    words.SessionResumed: _started,
    words.SessionCompleted: _completed,
    words.SessionFailed: _failed,
    words.SessionCanceled: _canceled,
    words.SessionTokenIssued: _of_tokens,
    words.SessionTokensRevoked: _of_tokens,
}

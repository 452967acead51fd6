"""The bindings and credentials that the gateway's authentication needs, folded from the log.

Every gateway holds one such slice in memory. The leading kernel stores its own beside each snapshot, so that a gateway
that starts reads only the events after it. Both fold the same facts the same way, wherever they begin.

Keys are looked up by the hash of the whole key: a key's id is only a name, which anybody may have given before.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from itertools import islice
from sys import intern
from typing import Any

import msgspec
from mpschema import codec
from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.positions import LogPosition
from mpschema.principal import KeyIssued, KeyRevoked, RoleBound, RoleUnbound
from mpschema.registry import RECORDS
from mpschema.session import (
    SessionCanceled,
    SessionCompleted,
    SessionFailed,
    SessionSpawned,
    SessionTokenIssued,
    SessionTokensRevoked,
)
from mpschema.sweep import SweepBegun, SweepEnded, SweepKind
from mpschema.system import LeaderElected
from msgspec.structs import replace

CODE = hashlib.sha256((resources.files("mpviews") / "access.py").read_bytes()).hexdigest()
"""The digest of this module: a slice that other code folded or wrote is not trusted, and the log is read instead."""
PIECE = 2_000
"""The number of entries encoded in one go: about a millisecond."""
_LENGTH_BYTES = 4
_DESCENDANTS, _PROJECT, _WORKSPACE = SweepKind.DESCENDANTS, SweepKind.PROJECT, SweepKind.WORKSPACE
Tokens = tuple[tuple[str, int], ...]
"""The ids of a session's valid tokens, each with its expiry in milliseconds."""
Pieces = list[tuple[str, dict[Any, Any]]]


class HeldKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An API key. `expires_at_ms` is 0 for one that does not expire by itself."""

    workspace_id: str
    principal: str
    key_id: str
    expires_at_ms: int = 0
    revoked: bool = False


class HeldSession(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A session that has not ended by itself: what is above it, and its valid tokens."""

    lineage: tuple[str, ...] = ()
    project_id: str = ""
    tokens: Tokens = ()


class AccessSlice:
    """The bindings and credentials at one position of the log. Fold the records of a commit, then set `seq`."""

    __slots__ = ("keys", "names", "operators", "roles", "seq", "sessions", "sweeps")

    def __init__(self) -> None:
        self.seq = 0
        """The position of the last event that is folded or ignored here."""
        self.operators: frozenset[str] = frozenset()
        """The operators by the last election: they may enter everywhere and make workspaces."""
        self.roles: dict[str, tuple[str, ...]] = {}
        """`workspace principal` to the roles; a principal without any is not here."""
        self.keys: dict[bytes, HeldKey] = {}
        """The keys by the hash of the whole key."""
        self.names: dict[str, bytes] = {}
        """`workspace principal key-id` to the hash."""
        self.sessions: dict[str, HeldSession] = {}
        """`workspace session` to what is held of it; one with an end of its own is not here."""
        self.sweeps: dict[str, str] = {}
        """`workspace sweep` to `workspace kind scope`, of each sweep that runs: what it is about has ended."""

    def fold(self, record: EventRecord) -> None:
        """Take in one event. Never refuses a fact."""
        if record.seq > self.seq and (step := _STEPS.get(type(record.data))) is not None:
            step(self, record, record.data)

    def fold_all(self, records: Iterable[EventRecord]) -> None:
        """Take in all events of a commit."""
        for record in records:
            self.fold(record)
            self.seq = record.seq

    def roles_of(self, workspace_id: str, principal: str) -> tuple[str, ...]:
        """The roles of a principal in a workspace."""
        return self.roles.get(f"{workspace_id} {principal}", ())

    def lives(self, workspace_id: str, session_id: str) -> bool:
        """Tell whether a session has begun and not ended, nor anything above it."""
        held = self.sessions.get(f"{workspace_id} {session_id}")
        return held is not None and not (self.sweeps and self._swept(workspace_id, held))

    def has_token(self, workspace_id: str, session_id: str, token_id: str) -> bool:
        """Tell whether a session lives and this token of it is valid: issued, not revoked. It states its own expiry."""
        if not self.lives(workspace_id, session_id):
            return False
        return any(known == token_id for known, _ in self.sessions[f"{workspace_id} {session_id}"].tokens)

    def _swept(self, workspace_id: str, held: HeldSession) -> bool:
        """Tell whether something above a session has ended, and a sweep is on its way to it."""
        running = set(self.sweeps.values())
        above = {f"{workspace_id} {_DESCENDANTS} {session_id}" for session_id in held.lineage}
        above |= {f"{workspace_id} {_PROJECT} {held.project_id}", f"{workspace_id} {_WORKSPACE} {workspace_id}"}
        return not running.isdisjoint(above)

    def pieces(self) -> Pieces:
        """Everything as it is at this moment, cheaply: entries are copied by reference, and none ever changes."""
        return [
            ("operators", dict.fromkeys(sorted(self.operators))),
            ("roles", dict(self.roles)),
            ("keys", dict(self.keys)),
            ("sessions", dict(self.sessions)),
            ("sweeps", dict(self.sweeps)),
        ]


def _bound(access: AccessSlice, record: EventRecord, event: RoleBound) -> None:
    name = f"{record.workspace_id} {record.aggregate_id}"
    access.roles[name] = tuple(sorted({*access.roles.get(name, ()), event.role.value}))


def _unbound(access: AccessSlice, record: EventRecord, event: RoleUnbound) -> None:
    name = f"{record.workspace_id} {record.aggregate_id}"
    left = tuple(role for role in access.roles.pop(name, ()) if role != event.role)
    if left:
        access.roles[name] = left


def _issued(access: AccessSlice, record: EventRecord, event: KeyIssued) -> None:
    # Whoever can read a workspace's history knows its hashes. Registered once more, a hash stays whose it was.
    digest = bytes.fromhex(event.key_hash)
    if digest not in access.keys:
        held = HeldKey(record.workspace_id, record.aggregate_id, event.key_id, event.expires_at_ms or 0)
        access.keys[digest] = held
        access.names[_name(held)] = digest


def _revoked(access: AccessSlice, record: EventRecord, event: KeyRevoked) -> None:
    digest = access.names.get(f"{record.workspace_id} {record.aggregate_id} {event.key_id}")
    if digest is not None:
        access.keys[digest] = replace(access.keys[digest], revoked=True)


def _spawned(access: AccessSlice, record: EventRecord, event: SessionSpawned) -> None:
    held = HeldSession(tuple(map(intern, event.lineage)), intern(event.project_id or ""))
    access.sessions[f"{record.workspace_id} {record.aggregate_id}"] = held


def _ended(access: AccessSlice, record: EventRecord, _: Event) -> None:
    access.sessions.pop(f"{record.workspace_id} {record.aggregate_id}", None)


def _token_issued(access: AccessSlice, record: EventRecord, event: SessionTokenIssued) -> None:
    name = f"{record.workspace_id} {record.aggregate_id}"
    held = access.sessions.get(name, HeldSession())
    running = tuple(token for token in held.tokens if token[1] > record.time_ms)
    access.sessions[name] = replace(held, tokens=(*running, (event.token_id, event.expires_at_ms)))


def _tokens_revoked(access: AccessSlice, record: EventRecord, _: Event) -> None:
    name = f"{record.workspace_id} {record.aggregate_id}"
    access.sessions[name] = replace(access.sessions.get(name, HeldSession()), tokens=())


def _sweep_begun(access: AccessSlice, record: EventRecord, event: SweepBegun) -> None:
    access.sweeps[f"{record.workspace_id} {record.aggregate_id}"] = f"{record.workspace_id} {event.kind} {event.scope}"


def _sweep_ended(access: AccessSlice, record: EventRecord, _: SweepEnded) -> None:
    access.sweeps.pop(f"{record.workspace_id} {record.aggregate_id}", None)


def _elected(access: AccessSlice, _: EventRecord, event: LeaderElected) -> None:
    access.operators = frozenset(event.operators)


_STEPS: Mapping[type[Event], Callable[[AccessSlice, EventRecord, Any], None]] = {
    RoleBound: _bound,
    RoleUnbound: _unbound,
    KeyIssued: _issued,
    KeyRevoked: _revoked,
    SessionSpawned: _spawned,
    SessionCompleted: _ended,
    SessionFailed: _ended,
    SessionCanceled: _ended,
    SessionTokenIssued: _token_issued,
    SessionTokensRevoked: _tokens_revoked,
    SweepBegun: _sweep_begun,
    SweepEnded: _sweep_ended,
    LeaderElected: _elected,
}
EVENTS = frozenset(_STEPS)
"""The events that are of concern here."""
_BEGINNINGS = tuple(f'{{"type":"{RECORDS[event].event_type.rpartition(".v")[0]}.v'.encode() for event in EVENTS)
"""The prefixes of their lines. One look at each line: a pattern over a whole commit costs thirty times as much."""


def concerning(body: bytes) -> list[EventRecord]:
    """The events of a commit's body that are of concern here, without reading the others.

    Raises as `codec.decode_records` does.
    """
    return [codec.decode_record(line) for line in body.split(b"\n") if line.startswith(_BEGINNINGS)]


def _name(held: HeldKey) -> str:
    return f"{held.workspace_id} {held.principal} {held.key_id}"


class PartHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a slice as bytes: which place of which log it is of."""

    code: str
    """The digest of the module that made it."""
    stream_seq: int
    seq: int
    hash: str
    digest: str
    """SHA-256 of what follows."""


_encoder = msgspec.msgpack.Encoder()
_keys = msgspec.msgpack.Decoder(list[tuple[bytes, HeldKey]])
_roles = msgspec.msgpack.Decoder(list[tuple[str, tuple[str, ...]]])
_sessions = msgspec.msgpack.Decoder(list[tuple[str, HeldSession]])
_sweeps = msgspec.msgpack.Decoder(list[tuple[str, str]])
_operators = msgspec.msgpack.Decoder(list[tuple[str, None]])


def chunks(pieces: Pieces) -> Iterator[bytes]:
    """A slice's pieces as bytes, a bounded bit at a time, so that the caller can do other work in between."""
    for kind, entries in pieces:
        remaining = iter(entries.items())
        while piece := list(islice(remaining, PIECE)):
            data = _encoder.encode((kind, msgspec.Raw(_encoder.encode(piece))))
            yield len(data).to_bytes(_LENGTH_BYTES, "big") + data


def part(body: bytes, position: LogPosition) -> bytes:
    """A slice's chunks, joined, with the position that they are of."""
    digest = hashlib.sha256(body).hexdigest()
    header = PartHeader(code=CODE, stream_seq=position.stream_seq, seq=position.seq, hash=position.hash, digest=digest)
    return msgspec.json.encode(header) + b"\n" + body


def open_part(data: bytes) -> tuple[AccessSlice, LogPosition] | None:
    """The slice and its position; None if the bytes are damaged or made by other code."""
    line, _, body = data.partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=PartHeader)
        if header.code != CODE or hashlib.sha256(body).hexdigest() != header.digest:
            return None
        access = _read(body)
    except msgspec.DecodeError:
        return None
    access.seq = header.seq
    return access, LogPosition(header.stream_seq, header.seq, header.hash)


def _read(body: bytes) -> AccessSlice:
    access, offset = AccessSlice(), 0
    while offset < len(body):
        end = offset + _LENGTH_BYTES + int.from_bytes(body[offset : offset + _LENGTH_BYTES], "big")
        kind, entries = msgspec.msgpack.decode(body[offset + _LENGTH_BYTES : end], type=tuple[str, msgspec.Raw])
        match kind:
            case "operators":
                access.operators = frozenset(name for name, _ in _operators.decode(entries))
            case "roles":
                access.roles.update(_roles.decode(entries))
            case "keys":
                access.keys.update(_keys.decode(entries))
            case "sessions":
                access.sessions.update(_sessions.decode(entries))
            case "sweeps":
                access.sweeps.update(_sweeps.decode(entries))
        offset = end
    access.names = {_name(held): digest for digest, held in access.keys.items()}
    return access

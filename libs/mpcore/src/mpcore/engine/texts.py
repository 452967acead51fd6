"""Outcomes by the text of a key or an id. Up to the level below `HOUSE_LEVEL`: all of them, two entries a command.

Keys belong to a principal in a workspace: nobody can spend another's. So does a command's id, though events are named
by it: an id that another principal has used already is replaced by a new one, and stands as the key instead. What was
recorded below feature level `OWNED_LEVEL` belongs to the workspace as a whole.
"""

import enum
import hashlib

from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.levels import OWNED_LEVEL

from mpcore.engine.places import first_seq, owned, owner, place_of

_SHARED, _OWNED = "/", " "
"""The signs after the workspace: ids hold neither, and keys no space."""
_PLAIN_BYTES, _OWNED_BYTES = 15, 23


class Use(enum.Enum):
    """The use of a command's id so far: none, one that its sender may learn of, or another principal's."""

    NONE = enum.auto()
    OWN = enum.auto()
    ANOTHERS = enum.auto()


class OutcomesByText:
    """A request's key to its outcome's place.

    `workspace/key` and `workspace/id` below `OWNED_LEVEL`; from there on `workspace principal key`, and `workspace id`,
    whose place says the owner, too.
    """

    __slots__ = ("_shared", "keyed", "places")

    def __init__(self, places: dict[str, int] | None = None) -> None:
        self.places = places if places is not None else {}
        # What is nowhere need not be looked for. Levels only rise, so what is shared comes first.
        self._shared = _OWNED not in next(iter(self.places), _OWNED)
        """True where something was recorded below `OWNED_LEVEL`."""
        self.keyed = any(request.count(_OWNED) > 1 for request in self.places)
        """True where a key was recorded since."""

    def __len__(self) -> int:
        return len(self.places)

    def add(self, first: EventRecord, level: int) -> None:
        """Remember an outcome by its first event. The first one recorded under a key stays (G4)."""
        assert first.digest is not None, "the first event of an outcome carries the digest of its request"
        places, workspace_id = self.places, first.workspace_id
        command_id, key = first.id[:-2], first.idempotency_key  # The id of an outcome's first event ends with ":0".
        place = place_of(first.digest, first.seq)
        if level < OWNED_LEVEL:
            self._shared = True
            places.setdefault(f"{workspace_id}/{command_id}", place)
            if key is not None:
                places.setdefault(f"{workspace_id}/{key}", place)
            return
        places.setdefault(f"{workspace_id} {command_id}", owner(first.actor) | place)
        if key is not None:
            self.keyed = True
            places.setdefault(f"{workspace_id} {first.actor} {key}", place)

    def empty(self) -> None:
        """Give up what memory an empty index holds on to."""
        self.places = {}

    def forget(self, first: EventRecord) -> list[str]:
        """Forget again what an outcome's first event added, under whichever level. Returns under which texts."""
        places, workspace_id, key = self.places, first.workspace_id, first.idempotency_key
        command_id = first.id[:-2]
        texts = (
            f"{workspace_id}/{command_id}",
            f"{workspace_id}/{key}",
            f"{workspace_id} {command_id}",
            f"{workspace_id} {first.actor} {key}",
        )
        found = [text for text in texts if text in places and first_seq(places[text]) == first.seq]
        for text in found:
            del places[text]
        return found

    def unused(self, envelope: CommandEnvelope) -> bool:
        """Tell fast that nothing at all goes by a request's id or key. So it is with almost all."""
        places, workspace_id, command_id = self.places, envelope.workspace_id, envelope.command_id
        key = envelope.idempotency_key
        if f"{workspace_id} {command_id}" in places or (key and f"{workspace_id} {key}" in places):
            return False
        if self.keyed and f"{workspace_id} {envelope.principal} {key or command_id}" in places:
            return False
        if not self._shared:
            return True
        return f"{workspace_id}/{command_id}" not in places and not (key and f"{workspace_id}/{key}" in places)

    def find(self, envelope: CommandEnvelope, level: int) -> int | None:
        """The place recorded for a request's key, for `first_seq` and `same_request`; None if there is none."""
        places, workspace_id = self.places, envelope.workspace_id
        key = envelope.idempotency_key or envelope.command_id
        place = places.get(f"{workspace_id}/{key}")
        if place is None and level >= OWNED_LEVEL:
            principal = envelope.principal
            place = places.get(f"{workspace_id} {principal} {key}")
            if place is None and (named := places.get(f"{workspace_id} {key}")) is not None:
                place = named if owned(named, principal) else None
        return place

    def use_of_id(self, envelope: CommandEnvelope) -> Use:
        """Find what the id of a command has stood for until now. Asked for a command whose key has no outcome."""
        workspace_id, command_id = envelope.workspace_id, envelope.command_id
        place = self.places.get(f"{workspace_id} {command_id}")
        if place is not None:
            return Use.OWN if owned(place, envelope.principal) else Use.ANOTHERS
        return Use.OWN if f"{workspace_id}/{command_id}" in self.places else Use.NONE

    def new_id(self, envelope: CommandEnvelope, seq: int) -> str:
        """An id for a command whose own is taken. It rests on `seq`, so that nobody can take it before."""
        prefix = f"{envelope.workspace_id} "
        while True:
            given = f"{envelope.principal}\n{envelope.command_id}\n{seq}"
            found = "command_" + hashlib.sha256(given.encode()).hexdigest()[:32]
            if prefix + found not in self.places:
                return found
            seq += 1


def place_bytes(place: int) -> bytes:
    """A place in a snapshot; those below `OWNED_LEVEL` are as they always were."""
    return place.to_bytes(_PLAIN_BYTES if place.bit_length() <= _PLAIN_BYTES * 8 else _OWNED_BYTES, "big")


def parted(request: str) -> tuple[str, str]:
    """The workspace of a key of the index, and the rest: a key, a principal and its key, or a command's id."""
    workspace_id, separator, rest = request.partition(_SHARED)
    return request.partition(_OWNED)[::2] if _OWNED in workspace_id or not separator else (workspace_id, rest)

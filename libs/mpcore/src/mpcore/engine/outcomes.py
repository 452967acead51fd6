"""The requests that have an outcome, and where it stands in the log.

Kept small: one entry a command, which points to the first event of its outcome and to half of its request's digest. The
answer itself is read from the log when somebody asks again. Keys belong to a principal in a workspace: nobody can spend
another's. A command without a key stands under its id, with its owner: its events are named by it, so another principal
who sends the same id gets an id that is made here. Decision 19 tells how long an outcome is remembered.
"""

from collections.abc import Iterator
from itertools import chain

from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.levels import HOUSE_LEVEL

from mpcore.engine.former import FormerOutcomes, Use, parted
from mpcore.engine.marks import Mark, Marks
from mpcore.engine.places import KEPT, PLACE_BYTES, SHARED, first_seq, owned, owner, place_of
from mpcore.engine.requests import KEY_BYTES, hashed, is_dated, is_reserved, made_by, made_id, veil
from mpcore.state.packed import Item, Packed

RECENT = 1_024
"""Entries that are packed in one go, in about a millisecond."""
CONVERTED = 64
"""Entries of the former form that are packed in one go."""
SWEPT = 8
"""Buckets from which forgotten entries are removed in one go."""


class Outcomes:
    """The idempotency index of one shard. Part of the kernel's state."""

    __slots__ = (
        "_covered",
        "_hash",
        "_hashed",
        "_packed",
        "_recent",
        "_sweep_at",
        "_swept",
        "former",
        "marks",
        "since_ms",
    )

    def __init__(self, places: dict[str, int] | None = None) -> None:
        self.former = FormerOutcomes(places)
        """Recorded below `HOUSE_LEVEL`, and not packed yet."""
        self.since_ms = 0
        """When the log came to `HOUSE_LEVEL`, in recorded time."""
        self.marks = Marks()
        self._recent: dict[int, int] = {}
        self._covered: dict[int, int] = {}
        """Forgotten places that a new outcome stands over, by its event: for the way back."""
        self._packed = Packed(KEY_BYTES)
        self._hashed, self._hash = ("", ""), 0
        """The name that was hashed last: what is looked for is often recorded next."""
        self._swept, self._sweep_at = 0, 0

    def __len__(self) -> int:
        return len(self.former.places) + len(self._recent) + self._packed.count

    def begin(self, time_ms: int) -> None:
        """Take note that the log has come to `HOUSE_LEVEL`; 0 takes it back."""
        self.since_ms = time_ms

    def add(self, first: EventRecord, level: int, days: int) -> None:
        """Remember an outcome by its first event, for so many days (G4)."""
        if level < HOUSE_LEVEL:
            self.former.add(first, level)
            return
        assert first.digest is not None, "the first event of an outcome carries the digest of its request"
        place, key = place_of(first.digest, first.seq), self._key(first)
        if first.idempotency_key is None:
            place |= owner(first.actor) if is_dated(first.id[:-2]) else owner(first.actor) | KEPT
        if key in self._recent:
            self._covered[first.seq] = self._recent[key]
        self._recent[key] = place
        if first.time_ms >= self.marks.next_ms:
            self.marks.add(Mark(first.time_ms, first.seq), days)

    def forget(self, first: EventRecord) -> None:
        """Forget again what an outcome's first event added, under whichever level."""
        key = self._key(first)
        if key in self._recent and first_seq(self._recent[key]) == first.seq:
            covered = self._covered.pop(first.seq, None)
            if covered is None:
                del self._recent[key]
            else:
                self._recent[key] = covered
            self.marks.remove(first.seq)
        else:
            self.former.forget(first)

    def settle(self) -> None:
        """Pack a bounded part of what is not packed. Nothing that was recorded so far will be rolled back."""
        self.marks.settle()
        self._covered.clear()
        if len(self._recent) > RECENT:
            self._pack_recent()
        if self.since_ms and self.former.places:
            self._pack_former()
        if self._swept != self.marks.forgotten.seq:
            self._sweep()

    def unused(self, envelope: CommandEnvelope) -> bool:
        """Tell fast that nothing at all goes by a request's id or key. So it is with almost all."""
        recent, packed = self._recent, self._packed
        if recent or packed.count:
            shared = self._named(envelope.workspace_id, envelope.idempotency_key or envelope.command_id)
            own = shared ^ veil(envelope.principal)
            if shared in recent or own in recent:
                return False
            if packed.count and (packed.find(shared) or packed.find(own)):
                return False
        return not self.former.places or self.former.unused(envelope)

    def find(self, envelope: CommandEnvelope, level: int) -> int | None:
        """The place recorded for a request's key, for `first_seq` and `same_request`; None if there is none."""
        if level < HOUSE_LEVEL:
            return self.former.find(envelope, level)
        shared, own = self._of_name(envelope), self._of_key(envelope)
        found = own + [each for each in shared if each & SHARED or owned(each, envelope.principal)]
        return min(found, key=first_seq, default=None)

    def use_of_id(self, envelope: CommandEnvelope, level: int) -> Use:
        """Find what the id of a command has stood for until now. Asked for a command whose key has no outcome."""
        if level < HOUSE_LEVEL:
            return self.former.use_of_id(envelope)
        return Use.ANOTHERS if not envelope.idempotency_key and self._of_name(envelope) else Use.NONE

    def recorded_as_sent(self, envelope: CommandEnvelope, level: int, now_ms: int) -> bool:
        """Tell whether a command's events may go by the id that was sent: it can name no two commands."""
        if level < HOUSE_LEVEL:
            return True
        command_id = envelope.command_id
        if envelope.idempotency_key or is_reserved(command_id):
            return False
        if not is_dated(command_id):
            return True  # It is remembered for ever.
        forgotten_ms = self.marks.forgotten.time_ms
        return made_by(command_id, now_ms) and not (forgotten_ms and made_by(command_id, forgotten_ms))

    def new_id(self, envelope: CommandEnvelope, seq: int, level: int) -> str:
        """An id for a command that is not recorded under the one that was sent. It rests on `seq`."""
        if level < HOUSE_LEVEL:
            return self.former.new_id(envelope, seq)
        return made_id(envelope, envelope.idempotency_key or envelope.command_id, seq)

    def frozen(self) -> "Outcomes":
        """Copy this cheaply: references alone."""
        found = Outcomes(self.former.places.copy())
        found.since_ms, found.marks = self.since_ms, self.marks.copy()
        found._recent, found._packed = self._recent.copy(), self._packed.copy()
        return found

    def in_order(self) -> Iterator[list[Item]]:
        """What is remembered in pieces, in an order that follows from it alone: key, body, place."""

        def item(key: int, body: bytes) -> Item | None:
            place = int.from_bytes(body, "big")
            return (key, body, place) if self._remembered(place) else None

        former = (self._converted(*each) for each in self.former.places.items())
        loose = chain(self._recent.items(), former)
        yield from self._packed.in_order((item(key, _body(place)) for key, place in loose), item)

    def load(self, key: int, body: bytes) -> None:
        """Put in one entry of a snapshot."""
        self._packed.add(key, body)

    def listed(self) -> Iterator[tuple[str, str, int]]:
        """All entries: the workspace and the name while they are known, later a hash; and the place."""
        if self.since_ms:
            for piece in self.in_order():
                yield from (("", f"{key:032x}", place) for key, _, place in piece)
        else:
            yield from ((*parted(request), place) for request, place in self.former.places.items())

    def _named(self, workspace_id: str, name: str) -> int:
        if self._hashed != (workspace_id, name):
            self._hashed, self._hash = (workspace_id, name), hashed(workspace_id, name)
        return self._hash

    def _key(self, first: EventRecord) -> int:
        """The key of an outcome's entry, by its first event."""
        name = first.idempotency_key
        if name is None:
            return self._named(first.workspace_id, first.id[:-2])  # The id of an outcome's first event ends with ":0".
        return self._named(first.workspace_id, name) ^ veil(first.actor)

    def _of_name(self, envelope: CommandEnvelope) -> list[int]:
        """What is remembered under a request's name, whosever it is."""
        workspace_id, name = envelope.workspace_id, envelope.idempotency_key or envelope.command_id
        return self._at(self._named(workspace_id, name), f"{workspace_id}/{name}", f"{workspace_id} {name}")

    def _of_key(self, envelope: CommandEnvelope) -> list[int]:
        """What is remembered under a request's name as a key of its principal's."""
        workspace_id, name = envelope.workspace_id, envelope.idempotency_key or envelope.command_id
        own = self._named(workspace_id, name) ^ veil(envelope.principal)
        return self._at(own, f"{workspace_id} {envelope.principal} {name}")

    def _at(self, key: int, *former: str) -> list[int]:
        """The places under a key that are remembered, and those under what it was before."""
        found = [int.from_bytes(body, "big") for body in self._packed.find(key)]
        if key in self._recent:
            found.append(self._recent[key])
        if self.former.places:
            of_former = ((request, self.former.places.get(request)) for request in former)
            found += [self._converted(request, place)[1] for request, place in of_former if place is not None]
        return [place for place in found if self._remembered(place)]

    def _remembered(self, place: int) -> bool:
        return first_seq(place) >= self.marks.forgotten.seq or bool(place & KEPT)

    def _converted(self, request: str, place: int) -> tuple[int, int]:
        """The key and place of an entry of the former form."""
        workspace_id, name = parted(request)
        principal, owned_by, key = name.partition(" ")
        if owned_by:
            return hashed(workspace_id, key) ^ veil(principal), place
        if not is_dated(name) or not made_by(name, self.since_ms):
            place |= KEPT
        if f"{workspace_id}/" == request[: len(workspace_id) + 1]:
            place |= SHARED
        return hashed(workspace_id, name), place

    def _pack_recent(self) -> None:
        """Pack the newest entries, but for what is forgotten already."""
        recent, self._recent = self._recent, {}
        for key, place in recent.items():
            if self._remembered(place):
                self._packed.add(key, _body(place))

    def _pack_former(self) -> None:
        places = self.former.places
        for _ in range(min(CONVERTED, len(places))):
            key, place = self._converted(*places.popitem())
            self._packed.add(key, _body(place))

    def _sweep(self) -> None:
        """Remove what is forgotten from the next buckets; from all of them, in the time between two marks."""
        for _ in range(SWEPT):
            if not self._packed.sweep(self._sweep_at, lambda body: self._remembered(int.from_bytes(body, "big"))):
                self._swept, self._sweep_at = self.marks.forgotten.seq, 0
                return
            self._sweep_at += 1


def _body(place: int) -> bytes:
    return place.to_bytes(PLACE_BYTES, "big")

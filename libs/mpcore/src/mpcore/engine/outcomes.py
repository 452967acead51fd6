"""The requests that have an outcome, and where it stands in the log.

Kept small: one entry a command, which points to the first event of its outcome and to half of its request's digest. The
answer itself is read from the log when somebody asks again. Keys belong to a principal in a workspace: nobody can spend
another's. A command without a key stands under its id, with its owner: its events are named by it, so another principal
who sends the same id gets an id that is made here. Decision 19 tells how long an outcome is remembered.
"""

from collections.abc import Iterator

from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.ids import DATED, RESERVED, uuid_version
from mpschema.levels import HOUSE_LEVEL

from mpcore.engine.marks import BEGINNING, HourMark, HourMarks
from mpcore.engine.places import KEPT, PLACE_BYTES, SHARED, first_seq, owned, owner, place_of
from mpcore.engine.requests import KEY_BYTES, hashed, made_by, made_id, veil
from mpcore.engine.sightings import Sightings, mark_of
from mpcore.engine.texts import OutcomesByText, Use, parted
from mpcore.state.packed import Item, PackedRecords

UNPACKED_MAX = 131_072
"""Entries that stand under their texts at most, where no more are left from a former level: about 25 MB."""
PACKED = 2
"""Entries that are packed in one go beyond that, besides as many as were added. Below it none are: it costs time."""
SWEPT = 4
"""Buckets that are swept in one go."""
_MARK_BYTES = 4
BODY_BYTES = PLACE_BYTES + _MARK_BYTES


class Outcomes:
    """The idempotency index of one shard. Part of the kernel's state.

    An entry stands under its text at first, which costs least time, and is packed later, which takes least memory.
    """

    __slots__ = (
        "_added",
        "_covered",
        "_packed",
        "_seen",
        "_seen_next",
        "_sweep_at",
        "_swept",
        "marks",
        "since",
        "texts",
    )

    def __init__(self, places: dict[str, int] | None = None) -> None:
        self.texts = OutcomesByText(places)
        """The entries that are not packed yet, and all that were recorded below `HOUSE_LEVEL`."""
        self.since = BEGINNING
        """The event that raised the log to `HOUSE_LEVEL`."""
        self.marks = HourMarks()
        self._added = 0
        """Since something was packed last."""
        self._covered: dict[tuple[int, str], int] = {}
        """Forgotten places that a new outcome stands over, by its event and text: for a rollback."""
        self._packed = PackedRecords(KEY_BYTES)
        self._seen = Sightings(0)
        self._seen_next: Sightings | None = None
        """The filter that takes its place when all buckets are swept."""
        self._swept, self._sweep_at = 0, 0

    def __len__(self) -> int:
        return len(self.texts) + self._packed.count

    def begin(self, since: HourMark) -> None:
        """Take note of the event that raised the log to `HOUSE_LEVEL`; `BEGINNING` takes it back."""
        self.since = since

    def add(self, first: EventRecord, level: int, days: int) -> None:
        """Remember an outcome by its first event, for so many days (G4)."""
        if level < HOUSE_LEVEL:
            self.texts.add(first, level)
            return
        assert first.digest is not None, "the first event of an outcome carries the digest of its request"
        places, workspace_id, name = self.texts.places, first.workspace_id, first.idempotency_key
        place = place_of(first.digest, first.seq)
        if name is None:
            name = first.id[:-2]  # The id of an outcome's first event ends with ":0".
            text, place = f"{workspace_id} {name}", place | owner(first.actor)
        else:
            text = f"{workspace_id} {first.actor} {name}"
            self.texts.keyed = True
            command_id = first.id[:-2]
            if uuid_version(command_id) not in (DATED, RESERVED):
                places.setdefault(f"{workspace_id} {command_id}", place | owner(first.actor))  # It may name no other.
        if text in places:
            self._covered[first.seq, text] = places[text]
        places[text] = place
        self._added += 1
        if first.time_ms >= self.marks.next_ms:
            self.marks.add(HourMark(first.time_ms, first.seq), days)

    def forget(self, first: EventRecord) -> None:
        """Forget again what an outcome's first event added, under whichever level."""
        for text in self.texts.forget(first):
            if (first.seq, text) in self._covered:
                self.texts.places[text] = self._covered.pop((first.seq, text))
        self.marks.remove(first.seq)

    def settle(self) -> None:
        """Pack a bounded part of what is not packed. Nothing that was recorded so far will be rolled back."""
        places = self.texts.places
        self.marks.settle()
        self._covered.clear()
        if len(places) > UNPACKED_MAX:
            self._pack(PACKED + self._added)
        self._added = 0
        if not places:
            self.texts.empty()
        if self._seen_next is None and (self._swept != self.marks.forgotten.seq or self._seen.count > self._seen.room):
            self._begin_sweep()
        if self._seen_next is not None:
            self._sweep(self._seen_next)

    def unused(self, envelope: CommandEnvelope) -> bool:
        """Tell fast that nothing at all goes by a request's id or key. Says so of almost all of which it is true."""
        if not self.texts.unused(envelope):
            return False
        if not self._packed.count:
            return True
        return not self._seen.has(mark_of(envelope.workspace_id, envelope.idempotency_key or envelope.command_id))

    def find(self, envelope: CommandEnvelope, level: int) -> int | None:
        """The place recorded for a request's key, for `first_seq` and `same_request`; None if there is none."""
        if level < HOUSE_LEVEL:
            return self.texts.find(envelope, level)
        workspace_id, name = envelope.workspace_id, envelope.idempotency_key or envelope.command_id
        own = hashed(workspace_id, name) ^ veil(envelope.principal)
        found = self._at(own, f"{workspace_id} {envelope.principal} {name}")
        found += [each for each in self._of_name(envelope) if each & SHARED or owned(each, envelope.principal)]
        return min(found, key=first_seq, default=None)

    def use_of_id(self, envelope: CommandEnvelope, level: int) -> Use:
        """Find what the id of a command has stood for until now. Asked for a command whose key has no outcome."""
        if level < HOUSE_LEVEL:
            return self.texts.use_of_id(envelope)
        return Use.ANOTHERS if self._of_id(envelope) else Use.NONE

    def recorded_as_sent(self, envelope: CommandEnvelope, level: int, now_ms: int, sender: str) -> bool:
        """Tell whether a command's events may go by the id that was sent: it can name no two commands.

        A dated one is made by a gateway, which gives it once and takes none from a caller. A service's is not believed.
        """
        if level < HOUSE_LEVEL:
            return True
        command_id, found = envelope.command_id, uuid_version(envelope.command_id)
        if found == RESERVED or sender:
            return False
        if found != DATED:
            return not (envelope.idempotency_key and self._of_id(envelope))  # It is remembered for ever.
        forgotten_ms = self.marks.forgotten.time_ms
        return made_by(command_id, now_ms) and not (forgotten_ms and made_by(command_id, forgotten_ms))

    def new_id(self, envelope: CommandEnvelope, seq: int, level: int) -> str:
        """An id for a command that is not recorded under the one that was sent. It rests on `seq`."""
        if level < HOUSE_LEVEL:
            return self.texts.new_id(envelope, seq)
        return made_id(envelope, envelope.idempotency_key or envelope.command_id, seq)

    def frozen(self) -> "FrozenOutcomes":
        """Copy this cheaply: references alone."""
        return FrozenOutcomes(self.since, self.marks.copy(), self.texts.places.copy(), self._packed.copy())

    def load(self, since: HourMark, marks: HourMarks, count: int) -> None:
        """Take over what a snapshot says of so many entries. They are put in by `put`."""
        self.since, self.marks, self._seen = since, marks, Sightings(count)
        self._swept = marks.forgotten.seq

    def put(self, key: int, body: bytes) -> None:
        """Put one packed entry in."""
        mark = _mark_in(body)
        self._packed.add(key, body)
        self._seen.add(mark)
        if self._seen_next is not None:
            self._seen_next.add(mark)

    def _of_name(self, envelope: CommandEnvelope) -> list[int]:
        """Return the places under a request's name, whosever it is."""
        workspace_id, name = envelope.workspace_id, envelope.idempotency_key or envelope.command_id
        return self._at(hashed(workspace_id, name), f"{workspace_id}/{name}", f"{workspace_id} {name}")

    def _of_id(self, envelope: CommandEnvelope) -> list[int]:
        """Return the places under a command's id, whosever they are."""
        workspace_id, name = envelope.workspace_id, envelope.command_id
        return self._at(hashed(workspace_id, name), f"{workspace_id}/{name}", f"{workspace_id} {name}")

    def _at(self, key: int, *texts: str) -> list[int]:
        """The places under a key that are remembered, and those under its texts."""
        bodies = list(self._packed.find(key))
        places = self.texts.places
        bodies += [converted(text, places[text], self.since)[1] for text in texts if text in places]
        return [place for body in bodies if is_remembered(place := place_in(body), self.marks.forgotten)]

    def _pack(self, count: int) -> None:
        places = self.texts.places
        for _ in range(min(count, len(places))):
            self.put(*converted(*places.popitem(), self.since))

    def _begin_sweep(self) -> None:
        """Begin to drop what is forgotten from all buckets, and to make the filter anew from the rest."""
        self._swept, self._sweep_at = self.marks.forgotten.seq, 0
        self._seen_next = Sightings(self._packed.count)

    def _sweep(self, seen: Sightings) -> None:
        """Sweep the next buckets; all of them, in the time between two marks."""
        forgotten = self.marks.forgotten
        for _ in range(SWEPT):
            kept = self._packed.sweep(self._sweep_at, lambda body: is_remembered(place_in(body), forgotten))
            if kept is None:
                self._seen, self._seen_next = seen, None
                return
            for body in kept:
                seen.add(_mark_in(body))
            self._sweep_at += 1


class FrozenOutcomes:
    """All entries as they were at one moment."""

    def __init__(self, since: HourMark, marks: HourMarks, places: dict[str, int], packed: PackedRecords) -> None:
        self.since = since
        self.marks = marks
        self.places = places
        """By text: below `HOUSE_LEVEL` all of them, in the order in which they came to be."""
        self._packed = packed

    def in_order(self) -> Iterator[list[Item]]:
        """Yield all entries in pieces, in an order that follows from them alone: key, body, nothing."""

        def item(key: int, body: bytes) -> Item | None:
            return (key, body, None) if is_remembered(place_in(body), self.marks.forgotten) else None

        loose = (item(*converted(text, place, self.since)) for text, place in self.places.items())
        yield from self._packed.in_order(loose, item)

    def listed(self) -> Iterator[tuple[str, str, int]]:
        """All entries: the workspace and the name below `HOUSE_LEVEL`, else a hash; and the place."""
        if self.since == BEGINNING:
            yield from ((*parted(text), place) for text, place in self.places.items())
        else:
            for piece in self.in_order():
                yield from (("", f"{key:032x}", place_in(body)) for key, body, _ in piece)


def is_remembered(place: int, forgotten: HourMark) -> bool:
    """Tell whether an outcome counts, where those before a mark are forgotten."""
    return first_seq(place) >= forgotten.seq or bool(place & KEPT)


def place_in(body: bytes) -> int:
    """The place in the body of a packed entry."""
    return int.from_bytes(body[:PLACE_BYTES], "big")


def converted(text: str, place: int, since: HourMark) -> tuple[int, bytes]:
    """The key and body of an entry that stands under its text."""
    workspace_id, name = parted(text)
    if " " in name:
        principal, _, key = name.partition(" ")
        return hashed(workspace_id, key) ^ veil(principal), _body(place, mark_of(workspace_id, key))
    if uuid_version(name) != DATED or (first_seq(place) < since.seq and not made_by(name, since.time_ms)):
        place |= KEPT  # Its events are named by it, and it could come again.
    if text[len(workspace_id)] == "/":
        place |= SHARED
    return hashed(workspace_id, name), _body(place, mark_of(workspace_id, name))


def _mark_in(body: bytes) -> int:
    return int.from_bytes(body[PLACE_BYTES:], "big")


def _body(place: int, mark: int) -> bytes:
    return place.to_bytes(PLACE_BYTES, "big") + mark.to_bytes(_MARK_BYTES, "big")

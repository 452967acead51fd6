"""Small records in few objects: immutable bytes that are found by a hash and that a copy shares."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

FILL = 32
"""Records in a bucket, on average: it is searched and copied in about a microsecond."""
BODY_BYTES_MAX = 0xFFFF
PIECE = 2_000
"""Items handled in one go where all are gone through: a few milliseconds."""
_PARTS = 4_096
_LENGTH_BYTES = 2
_NONE: tuple[bytes, ...] = ()

Item = tuple[int, Any, Any]
"""A key, what orders items of the same key, and the item."""


class PackedRecords:
    """Records by a key, a hash as a number. Several may have one key: they are found in the order they were added.

    Linear hashing: buckets are split one at a time, so no addition takes long. A bucket is replaced, never changed.
    """

    __slots__ = ("_key_bytes", "buckets", "count", "half")

    def __init__(self, key_bytes: int) -> None:
        self._key_bytes = key_bytes
        self.buckets = [b""]
        """Each as its records one behind the other."""
        self.half = 1
        """The number of buckets at the last doubling: those from there on are split off."""
        self.count = 0

    def copy(self) -> "PackedRecords":
        """Copy the references to all records."""
        found = PackedRecords(self._key_bytes)
        found.share(self)
        return found

    def share(self, other: "PackedRecords") -> None:
        """Hold the records of another, in place of any of its own."""
        self.buckets, self.half, self.count = other.buckets.copy(), other.half, other.count

    def find(self, key: int) -> Iterable[bytes]:
        """Find the bodies under a key."""
        at = key & (2 * self.half - 1)
        bucket = self.buckets[at if at < len(self.buckets) else at - self.half]
        wanted = key.to_bytes(self._key_bytes, "big")
        if wanted not in bucket:
            return _NONE
        return [body for each, body in self._records(bucket) if each == key]

    def add(self, key: int, body: bytes) -> None:
        """Add a record."""
        self.buckets[self._at(key)] += self._record(key, body)
        self.count += 1
        if self.count > FILL * len(self.buckets):
            self._split()

    def remove(self, key: int, body: bytes) -> None:
        """Remove a record that is there."""
        at, gone = self._at(key), (key, body)
        self._replace(at, [each for each in self._records(self.buckets[at]) if each != gone])

    def sweep(self, at: int, keep: Callable[[bytes], bool]) -> list[bytes] | None:
        """Remove what is not to be kept from one bucket. Returns the rest; None if there is no such bucket."""
        if at >= len(self.buckets):
            return None
        kept = [each for each in self._records(self.buckets[at]) if keep(each[1])]
        self._replace(at, kept)
        return [body for _, body in kept]

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """All records, in no order that means anything."""
        return chain.from_iterable(map(self._records, self.buckets))

    def in_order(self, loose: Iterable[Item | None], item: Callable[[int, bytes], Item | None]) -> Iterator[list[Item]]:
        """All records and loose items, in an order that follows from them alone: that of the last bits of their keys.

        Comes in pieces that take a few milliseconds; some are empty. `None` stands for what is left out. Of items that
        are in the same place, the loose ones come first.
        """
        few = len(self.buckets) < _PARTS
        parts: dict[int, list[Item]] = {}
        for number, each in enumerate(chain(loose, (item(*record) for record in self)) if few else loose, 1):
            if each is not None:
                parts.setdefault(each[0] % _PARTS, []).append(each)
            if number % PIECE == 0:
                yield []
        for part in sorted(parts) if few else range(_PARTS):
            items = parts.pop(part, [])
            if not few:
                records = chain.from_iterable(map(self._records, self.buckets[part::_PARTS]))
                items += [each for record in records if (each := item(*record)) is not None]
            items.sort(key=_in_place)
            yield items

    def _at(self, key: int) -> int:
        at = key & (2 * self.half - 1)
        return at if at < len(self.buckets) else at - self.half

    def _split(self) -> None:
        """Split the oldest bucket that is not split yet."""
        at, half = len(self.buckets) - self.half, self.half
        bucket, stay, go = self.buckets[at], bytearray(), bytearray()
        begin, key_bytes = 0, self._key_bytes
        while begin < len(bucket):
            body = begin + key_bytes + _LENGTH_BYTES
            end = body + int.from_bytes(bucket[body - _LENGTH_BYTES : body], "big")
            goes = int.from_bytes(bucket[begin : begin + key_bytes], "big") & half
            (go if goes else stay).extend(bucket[begin:end])
            begin = end
        self.buckets[at] = bytes(stay)
        self.buckets.append(bytes(go))
        if len(self.buckets) == 2 * half:
            self.half = 2 * half

    def _replace(self, at: int, records: list[tuple[int, bytes]]) -> None:
        before = self.buckets[at]
        self.buckets[at] = self._joined(records)
        self.count += len(records) - sum(1 for _ in self._records(before))

    def _joined(self, records: list[tuple[int, bytes]]) -> bytes:
        return b"".join(self._record(*each) for each in records)

    def _record(self, key: int, body: bytes) -> bytes:
        return key.to_bytes(self._key_bytes, "big") + len(body).to_bytes(_LENGTH_BYTES, "big") + body

    def _records(self, bucket: bytes) -> Iterator[tuple[int, bytes]]:
        at, key_bytes = 0, self._key_bytes
        while at < len(bucket):
            begin = at + key_bytes + _LENGTH_BYTES
            end = begin + int.from_bytes(bucket[begin - _LENGTH_BYTES : begin], "big")
            yield int.from_bytes(bucket[at : at + key_bytes], "big"), bucket[begin:end]
            at = end


_in_place = itemgetter(0, 1)

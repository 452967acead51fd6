"""Sightings: a filter that tells fast of almost every name that it was never seen."""

from zlib import crc32

BITS_EACH = 32
"""Bits a name, at least, when it is made: one in thirty new names is looked up for nothing, or fewer."""
_BITS_MIN = 1 << 24


class Sightings:
    """A Bloom filter with one hash. Who makes names that meet others in it only slows its own requests down."""

    __slots__ = ("_bits", "_mask", "count", "room")

    def __init__(self, names: int) -> None:
        bits = max(_BITS_MIN, 1 << (names * BITS_EACH - 1).bit_length()) if names else _BITS_MIN
        self._bits = bytearray(bits // 8)
        self._mask = bits // 8 - 1
        self.count = 0
        """The number of additions."""
        self.room = 2 * bits // BITS_EACH
        """With so many it is to be made anew."""

    def add(self, mark: int) -> None:
        """Add a name by its mark."""
        self._bits[mark >> 3 & self._mask] |= 1 << (mark & 7)
        self.count += 1

    def has(self, mark: int) -> int:
        """Tell whether a name may have been added: 0 for certainly not."""
        return self._bits[mark >> 3 & self._mask] >> (mark & 7) & 1


def mark_of(workspace_id: str, name: str) -> int:
    """The mark of a command's id or an idempotency key, in 32 bits."""
    return crc32(f"{workspace_id} {name}".encode())

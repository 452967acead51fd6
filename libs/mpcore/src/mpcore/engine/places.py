"""Places: where an outcome stands in the log, of which request and by whom, as one number."""

import functools
import hashlib

SEQ_BITS, DIGEST_BITS, OWNER_BITS = 53, 64, 64
_OWNER_AT = SEQ_BITS + DIGEST_BITS
_SEQ_MASK, _DIGEST_MASK = (1 << SEQ_BITS) - 1, (1 << DIGEST_BITS) - 1
KEPT = 1 << _OWNER_AT + OWNER_BITS
"""HourMarks a place that is never forgotten."""
SHARED = KEPT << 1
"""HourMarks a place that belongs to the workspace as a whole."""
PLACE_BYTES = 23


@functools.lru_cache(65_536)
def owner(principal: str) -> int:
    """A principal in 64 bits, where they stand in a place."""
    return int.from_bytes(hashlib.sha256(principal.encode()).digest()[:8]) << _OWNER_AT


def place_of(digest: str, seq: int) -> int:
    """A place without an owner: of a request's digest, and of the first event of its outcome."""
    return int(digest[:16], 16) << SEQ_BITS | seq


def owned(place: int, principal: str) -> bool:
    """Tell whether an outcome is a principal's own."""
    return (place ^ owner(principal)) >> _OWNER_AT & _DIGEST_MASK == 0


def first_seq(place: int) -> int:
    """The first event of the outcome."""
    return place & _SEQ_MASK


def digest_of(place: int) -> int:
    """Half of the digest of the request that was answered, as a number."""
    return place >> SEQ_BITS & _DIGEST_MASK


def same_request(place: int, digest: str) -> bool:
    """Tell whether the outcome answers a request of this digest, and not another one under the same key."""
    return digest_of(place) == int(digest[:16], 16)

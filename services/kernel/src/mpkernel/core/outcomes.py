"""Which requests have an outcome, and where it stands in the log.

Kept small: a request's key points to the first event of its outcome and to half of its digest, in one integer. The
answer itself is read from the log when somebody asks again.
"""

_SEQ_BITS = 53
_SEQ_MASK = (1 << _SEQ_BITS) - 1


class Outcomes:
    """The idempotency index of one shard: (workspace, key) to the outcome's place. Part of the kernel's state."""

    __slots__ = ("_places",)

    def __init__(self, places: dict[str, int] | None = None) -> None:
        self._places = places if places is not None else {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, workspace_id: str, key: str, digest: str, first_seq: int) -> None:
        """Remember an outcome. The first one recorded under a key stays for ever (G4)."""
        self._places.setdefault(f"{workspace_id}/{key}", int(digest[:16], 16) << _SEQ_BITS | first_seq)

    def forget_newest(self, kept: int) -> None:
        """Forget again what was remembered last, until `kept` keys are left."""
        while len(self._places) > kept:
            self._places.popitem()

    def find(self, workspace_id: str, key: str) -> int | None:
        """The place recorded under a key, for `first_seq` and `same_request`; None if there is none."""
        return self._places.get(f"{workspace_id}/{key}")

    def copy(self) -> dict[str, int]:
        """The whole index as plain data, for a snapshot."""
        return dict(self._places)


def first_seq(place: int) -> int:
    """The first event of the outcome."""
    return place & _SEQ_MASK


def same_request(place: int, digest: str) -> bool:
    """Whether the outcome answers a request of this digest, and not another one under the same key."""
    return place >> _SEQ_BITS == int(digest[:16], 16)

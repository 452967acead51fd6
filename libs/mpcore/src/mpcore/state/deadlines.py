"""The moments that are waited for, soonest first: a heap whose outdated entries are dropped when they surface."""

import heapq
from collections.abc import Iterator

SWEEP = "sweep"
"""The kind of deadline at which a sweep takes its next step. A commit holds one of them at most."""
_SLACK = 64


Key = tuple[str, str, str, int]
"""The thing that waits: workspace, kind of timer, aggregate, and which of its things (a message's number; else 0)."""


class Deadlines:
    """One deadline at most per key. The order of equal deadlines is the order of their keys."""

    __slots__ = ("_heap", "due_of")

    def __init__(self) -> None:
        self.due_of: dict[Key, int] = {}
        """The deadlines by their keys, in milliseconds. The heap derives from it."""
        self._heap: list[tuple[int, Key]] = []

    def __len__(self) -> int:
        """Return the number of entries, outdated ones included."""
        return len(self._heap)

    def set(self, key: Key, due_ms: int) -> None:
        """Wait for `due_ms`, in place of what the key waited for before."""
        self.due_of[key] = due_ms
        heap = self._heap
        heapq.heappush(heap, (due_ms, key))
        if len(heap) > 2 * len(self.due_of) + _SLACK:
            self._compact()

    def clear(self, key: Key) -> None:
        """Wait no longer."""
        self.due_of.pop(key, None)

    def forget(self, workspace_id: str) -> None:
        """Wait for nothing of a workspace any longer."""
        for key in [key for key in self.due_of if key[0] == workspace_id]:
            del self.due_of[key]

    def soonest(self) -> int | None:
        """The next deadline in milliseconds, or None where nothing is waited for."""
        heap, due_of = self._heap, self.due_of
        while heap:
            due_ms, key = heap[0]
            if due_of.get(key) == due_ms:
                return due_ms
            heapq.heappop(heap)
        return None

    def until(self, now_ms: int, limit: int) -> list[tuple[int, Key]]:
        """At most `limit` deadlines that are not after `now_ms`, soonest first. They stay until they are cleared."""
        found = list(self._taken(now_ms, limit))
        for entry in found:
            heapq.heappush(self._heap, entry)
        return found

    def _taken(self, now_ms: int, limit: int) -> Iterator[tuple[int, Key]]:
        previous = None
        while limit > 0 and (due_ms := self.soonest()) is not None and due_ms <= now_ms:
            entry = heapq.heappop(self._heap)
            if entry != previous:
                yield entry
                previous, limit = entry, limit - 1

    def _compact(self) -> None:
        self._heap = [(due_ms, key) for key, due_ms in self.due_of.items()]
        heapq.heapify(self._heap)

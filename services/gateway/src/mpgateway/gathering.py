"""Bodies that are being gathered, and those that are worked on: what all of them hold together, and those of one."""

from collections import Counter


class TooMuchAtOnce(Exception):
    """More is being sent at once than is taken in together: its text may be shown to the sender."""

    def __init__(self, principal: str) -> None:
        super().__init__(f"{principal} sends too many large bodies at once: send them one after the other")


class Gathering:
    """Bytes held for principals. Nobody holds more than is still free, so that others always find room."""

    def __init__(self, total_max: int, principal_max: int) -> None:
        self._total_max = total_max
        self._principal_max = principal_max
        self._held: Counter[str] = Counter()
        self.total = 0

    def take(self, principal: str, size: int) -> None:
        """Hold so many bytes more. Raises `TooMuchAtOnce`, and then holds none of them."""
        wanted = self._held[principal] + size
        if wanted > min(self._principal_max, self._total_max - self.total):
            raise TooMuchAtOnce(principal)
        self._held[principal] = wanted
        self.total += size

    def give_back(self, principal: str, size: int) -> None:
        """Hold so many bytes less."""
        self.total -= size
        self._held[principal] -= size
        if not self._held[principal]:
            del self._held[principal]

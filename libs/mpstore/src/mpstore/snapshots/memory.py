"""Snapshots in memory."""


class MemorySnapshots:
    """The `Snapshots` of a process that remembers one."""

    def __init__(self) -> None:
        self._data: bytes | None = None
        self.access: bytes | None = None

    async def load(self) -> bytes | None:
        """See the port."""
        return self._data

    async def store(self, data: bytes) -> None:
        """See the port."""
        self._data = data

    async def store_access(self, data: bytes) -> None:
        """See the port."""
        self.access = data

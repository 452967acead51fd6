"""Snapshots: their port and error."""

from typing import Protocol


class SnapshotsUnavailable(Exception):
    """Snapshots can be neither read nor written now. The log is enough."""


class Snapshots(Protocol):
    """The store of disposable copies of the state."""

    async def load(self) -> bytes | None:
        """The newest snapshot, or None. Raises `SnapshotsUnavailable`."""
        ...

    async def store(self, data: bytes) -> None:
        """Keep this one as the newest. Raises `SnapshotsUnavailable`."""
        ...

    async def store_access(self, data: bytes) -> None:
        """Keep this access slice as the newest, where gateways find it. Raises `SnapshotsUnavailable`."""
        ...

"""The leader's lease: its port and error."""

from typing import Protocol


class LeadershipLease(Protocol):
    """The right to try to lead. For liveness only: safety rests on the log."""

    @property
    def holder(self) -> str:
        """The holder that was seen last. Empty: nobody."""
        ...

    async def free(self) -> bool:
        """Return whether `acquire` would give it: nobody holds it, or we do. Raises `LeaseUnavailable`."""
        ...

    async def acquire(self) -> bool:
        """Take the lease if it is free, or ours still. False when another holds it. Raises `LeaseUnavailable`."""
        ...

    async def renew(self) -> bool:
        """Hold it longer; take it again if it ran out. False when another holds it. Raises `LeaseUnavailable`."""
        ...

    async def release(self) -> None:
        """Give it up at once, if it is ours."""
        ...


class LeaseUnavailable(Exception):
    """The lease keeper does not answer. A leader goes on (the log fences it), a standby waits."""

"""The parts of deliveries, and their ports. Times are seconds since the Unix epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mpschema.envelope import Outcome
from mpservice.sharing import LeaseLedger


class DeliveriesUnavailable(Exception):
    """The database does not answer now: what was under way is done again later."""


class NotAnswerable(DeliveriesUnavailable):
    """The database refuses a statement of ours: somebody has to see to it first."""


class LeaseLost(Exception):
    """Another worker delivers this webhook now."""


@dataclass(frozen=True)
class Policy:
    """The patience and concurrency of one webhook's delivery."""

    attempts_max: int = 8
    backoff_seconds: float = 2.0
    backoff_max_seconds: float = 600.0
    concurrency: int = 16

    def pause_after(self, attempts: int, dice: float, retry_after: float | None = None) -> float:
        """The wait after so many failures: doubled each time, less up to half of it by chance (0 to 1).

        An endpoint that says when it wants to be asked again is believed, up to the longest wait.
        """
        doubled = self.backoff_seconds * 2.0 ** min(attempts - 1, 32)
        waited = min(doubled, self.backoff_max_seconds) * (1 - dice / 2)
        return max(waited, min(retry_after or 0.0, self.backoff_max_seconds))


@dataclass(frozen=True)
class WebhookSubscription:
    """A webhook as its row says."""

    workspace_id: str
    id: str
    endpoint: str
    event_types: tuple[str, ...]
    aggregates: tuple[str, ...]
    state: str
    generation: int
    previous_until: float | None
    after_seq: int
    started_seq: int
    last_seq: int

    @property
    def name(self) -> tuple[str, str]:
        """The name that no other webhook has."""
        return self.workspace_id, self.id


@dataclass(frozen=True)
class Parked:
    """A key that is parked, or requeued, by the record of the kernel."""

    key: str
    state: str
    seq: int
    last_seq: int


@dataclass(frozen=True)
class ArchiveHead:
    """The end of what is archived."""

    seq: int = 0
    epoch: int = 0


@dataclass(frozen=True)
class Restoration:
    """The log was put back from a copy that ended at an event. An epoch begins with it."""

    epoch: int
    at_seq: int


@dataclass(frozen=True)
class WebhookLease:
    """The right to deliver one webhook, as its `epoch` proves."""

    workspace_id: str
    webhook_id: str
    epoch: int

    @property
    def name(self) -> tuple[str, str]:
        """Of its webhook."""
        return self.workspace_id, self.webhook_id


@dataclass(frozen=True)
class DeliveryPosition:
    """The last event that a webhook was told, and the beginning it counts from."""

    position: int = 0
    epoch: int = 0
    started_seq: int = 0


@dataclass
class Waiting:
    """A key whose events wait: everything of it up to `after_seq` is delivered."""

    key: str
    after_seq: int
    attempts: int
    due_at: float
    reason: str
    parked_seq: int | None = None
    """The event that recorded that it is parked; None while it is tried again by itself."""


@dataclass(frozen=True)
class Message:
    """One event, ready to be sent."""

    seq: int
    epoch: int
    key: str
    body: bytes

    @property
    def id(self) -> str:
        """`EPOCH:SEQ`: the same however often it is sent."""
        return f"{self.epoch}:{self.seq}"


@dataclass(frozen=True)
class DeliveryResult:
    """An endpoint's answer to a message."""

    delivered: bool
    reason: str = ""
    retry_after: float | None = None
    """The seconds that it wants to be left alone."""
    final: bool = False
    """True where asking again is pointless: nothing may be sent there, or it is gone for good."""


HeldPosition = tuple[WebhookLease, DeliveryPosition]
"""A lease with how far its webhook has come."""


class WebhookLedger(LeaseLedger[tuple[str, str], WebhookLease, HeldPosition], Protocol):
    """The webhooks there are, and the leases on them. Every method raises `DeliveriesUnavailable`."""

    async def head(self) -> ArchiveHead:
        """The last event that is archived."""
        ...

    async def busy(self, after: int, upto: int) -> set[str]:
        """The workspaces that something happened in after one event and up to another."""
        ...

    async def restorations(self) -> list[Restoration]:
        """Every time the log was put back from a copy, oldest first."""
        ...

    async def go_back(self, restorations: Sequence[Restoration]) -> int:
        """Every place returns to the lowest end of those copies that are newer than itself. Returns how many moved.

        So do its beginning and what waits. Leases on such places end, also where nothing moves: whoever held one may
        still count by the log of before.
        """
        ...

    async def changed(self, after_seq: int) -> list[tuple[WebhookSubscription, list[Parked]]]:
        """Webhooks that an event after this one changed, oldest change first, with all that is parked of each."""
        ...


class Store(Protocol):
    """Positions, and what waits, fenced by leases. Methods raise `DeliveriesUnavailable`, fenced ones `LeaseLost`."""

    async def place(self, lease: WebhookLease) -> DeliveryPosition:
        """Its position."""
        ...

    async def waiting(self, lease: WebhookLease) -> list[Waiting]:
        """The keys that wait."""
        ...

    async def begin(self, lease: WebhookLease, place: DeliveryPosition) -> None:
        """Begin at another place: nothing waits any more."""
        ...

    async def advance(
        self, lease: WebhookLease, place: DeliveryPosition, delivered: int, failed: Sequence[Waiting]
    ) -> None:
        """Everything up to the place is delivered, so many now, but for the keys that failed. In one transaction."""
        ...

    async def save(self, lease: WebhookLease, waiting: Waiting, delivered: int) -> None:
        """Save a waiting key, after so many more of its events were delivered."""
        ...

    async def forget(self, lease: WebhookLease, key: str) -> None:
        """The key waits no more."""
        ...

    async def messages(self, webhook: WebhookSubscription, after: int, limit: int) -> list[Message]:
        """The messages of the webhook after an event, in order."""
        ...

    async def next_of(self, webhook: WebhookSubscription, key: str, after: int, upto: int) -> Message | None:
        """The first thing it is told about one key after one event and up to another."""
        ...


class Sender(Protocol):
    """Sends to one webhook's endpoint."""

    async def send(self, webhook: WebhookSubscription, message: Message) -> DeliveryResult:
        """One attempt. Raises nothing for what an endpoint or the way to it does."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class Recorder(Protocol):
    """Has the kernel record what people must know. Each returns None where the outcome is not known."""

    async def park(self, webhook: WebhookSubscription, waiting: Waiting, seq: int) -> Outcome | None:
        """The key waits until somebody requeues it."""
        ...

    async def clear(self, webhook: WebhookSubscription, key: str) -> Outcome | None:
        """A key that was requeued has caught up."""
        ...

    async def pause(self, webhook: WebhookSubscription, reason: str) -> Outcome | None:
        """Deliver nothing more until somebody resumes the webhook."""
        ...

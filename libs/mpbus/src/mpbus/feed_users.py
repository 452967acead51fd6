"""The NATS permissions of a workspace's read-only user of the feed.

A user of one workspace can make exactly one consumer, under a name of its own, and only with a filter that stays inside
its workspace; it may publish nothing else than the requests for that, and is in an account of its own. See
`context/operations/feed-users.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mpschema import subjects
from mpschema.ids import is_id

from mpbus.accounts import Entry


@dataclass(frozen=True)
class FeedUser:
    """One workspace's reader of one shard's feed, known by its public nkey."""

    workspace_id: str
    shard: str
    public_key: str

    @property
    def consumer(self) -> str:
        """The only consumer it may make."""
        return f"feed_{self.workspace_id}"

    @property
    def inbox_prefix(self) -> str:
        """The prefix that its client must use for its inboxes."""
        return f"_INBOX_feed_{self.workspace_id}"

    @property
    def filter_subject(self) -> str:
        """The filter that its consumer must have."""
        return subjects.feed_subjects(self.shard, self.workspace_id)

    def publish_permissions(self) -> list[str]:
        """Subjects it may publish to: requests about its one consumer, and acknowledgements to it."""
        stream = subjects.feed_stream(self.shard)
        return [
            f"$JS.API.CONSUMER.CREATE.{stream}.{self.consumer}.{self.filter_subject}",
            f"$JS.API.CONSUMER.INFO.{stream}.{self.consumer}",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{self.consumer}",
            f"$JS.API.CONSUMER.DELETE.{stream}.{self.consumer}",
            f"$JS.ACK.{stream}.{self.consumer}.>",
        ]

    def subscribe_permissions(self) -> list[str]:
        """Subjects it may subscribe to: its own inboxes, and its workspace's events as they are stored."""
        return [f"{self.inbox_prefix}.>", self.filter_subject]

    def entry(self) -> Entry:
        """The user's entry in nats-server's configuration."""
        return feed_entry(self.workspace_id, [self.shard], self.public_key)


def feed_account(workspace_id: str) -> str:
    """The account of a workspace's readers, and of nobody else."""
    return f"MP_FEED_{workspace_id}"


def feed_entry(workspace_id: str, shards: Sequence[str], public_key: str) -> Entry:
    """A workspace's reader of the feeds of several shards: nats-server knows a key but once. Raises `ValueError`."""
    if not is_id(workspace_id):
        raise ValueError(f"{workspace_id!r} is no workspace: 1 to 128 of letters, digits, _ : @ -")
    users = [FeedUser(workspace_id, shard, public_key) for shard in shards]
    publish = dict.fromkeys(subject for user in users for subject in user.publish_permissions())
    subscribe = dict.fromkeys(subject for user in users for subject in user.subscribe_permissions())
    return Entry(feed_account(workspace_id), public_key, tuple(publish), tuple(subscribe))

"""Snapshots in a JetStream object store: every replica finds the newest one, whichever machine it starts on."""

from mpbus.streams import SNAPSHOT_BUCKET
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError

from mpkernel.ports import SnapshotsUnavailable


class ObjectSnapshots:
    """The `Snapshots` of a cluster: one object a shard, replaced as a whole."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._js = nc.jetstream(timeout=10)
        self._name = f"shard-{shard}"

    async def load(self) -> bytes | None:
        """See the port."""
        try:
            bucket = await self._js.object_store(SNAPSHOT_BUCKET)
            return (await bucket.get(self._name)).data
        except (ObjectNotFoundError, BucketNotFoundError):
            return None
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

    async def store(self, data: bytes) -> None:
        """See the port."""
        try:
            bucket = await self._js.object_store(SNAPSHOT_BUCKET)
            await bucket.put(self._name, data)
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

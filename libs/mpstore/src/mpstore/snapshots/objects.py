"""Snapshots in a JetStream object store: every replica finds the newest one, whichever machine it starts on."""

import contextlib

from mpbus.objects import access_object, load_object, snapshot_bucket, snapshot_object
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError

from mpstore.snapshots import SnapshotsUnavailable

_LOAD_SECONDS_MAX = 60.0


class ObjectSnapshots:
    """The `Snapshots` of a cluster: one object a shard, replaced as a whole, and the access slice beside it."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=10)
        self._name = snapshot_object(shard)
        self._access_name = access_object(shard)

    async def load(self) -> bytes | None:
        """See the port."""
        try:
            return await load_object(self._nc, self._name, _LOAD_SECONDS_MAX)
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

    async def forget(self) -> None:
        """Delete what is stored, where something is: a log that was put back without its end has no use for it.

        Raises `SnapshotsUnavailable`.
        """
        try:
            bucket = await snapshot_bucket(self._js)
            for name in (self._name, self._access_name):
                with contextlib.suppress(ObjectNotFoundError):
                    await bucket.delete(name)
        except BucketNotFoundError:
            return
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

    async def store(self, data: bytes) -> None:
        """See the port."""
        await self._put(self._name, data)

    async def store_access(self, data: bytes) -> None:
        """See the port."""
        await self._put(self._access_name, data)

    async def _put(self, name: str, data: bytes) -> None:
        try:
            bucket = await snapshot_bucket(self._js)
            await bucket.put(name, data)
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

"""Snapshots in a JetStream object store: every replica finds the newest one, whichever machine it starts on."""

import asyncio

from mpbus.streams import SNAPSHOT_BUCKET
from mpbus.tasks import end
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from mpkernel.ports import SnapshotsUnavailable

_LOAD_SECONDS_MAX = 60.0
_LOOK_SECONDS = 0.25


class ObjectSnapshots:
    """The `Snapshots` of a cluster: one object a shard, replaced as a whole."""

    def __init__(self, nc: Client, shard: str) -> None:
        self._js = nc.jetstream(timeout=10)
        self._name = f"shard-{shard}"

    async def load(self) -> bytes | None:
        """See the port."""
        try:
            async with asyncio.timeout(_LOAD_SECONDS_MAX):
                bucket = await self._js.object_store(SNAPSHOT_BUCKET)
                while True:
                    data = await self._read(bucket)
                    if data is not None:
                        return data
        except (ObjectNotFoundError, BucketNotFoundError):
            return None
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

    async def _read(self, bucket: ObjectStore) -> bytes | None:
        """The newest snapshot; None when a newer one replaced it meanwhile.

        Replacing an object purges its chunks at once, and who reads them then waits for ever for the rest.
        """
        begun = await bucket.get_info(self._name)
        reading = asyncio.create_task(bucket.get(self._name))
        try:
            while not (await asyncio.wait({reading}, timeout=_LOOK_SECONDS))[0]:
                if (await bucket.get_info(self._name)).nuid != begun.nuid:
                    return None
            return (await reading).data
        finally:
            await end(reading)

    async def forget(self) -> None:
        """Delete what is stored, where something is: a log that was put back without its end has no use for it.

        Raises `SnapshotsUnavailable`.
        """
        try:
            bucket = await self._js.object_store(SNAPSHOT_BUCKET)
            await bucket.delete(self._name)
        except (ObjectNotFoundError, BucketNotFoundError):
            return
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

    async def store(self, data: bytes) -> None:
        """See the port."""
        try:
            bucket = await self._js.object_store(SNAPSHOT_BUCKET)
            await bucket.put(self._name, data)
        except (NatsError, TimeoutError) as error:
            raise SnapshotsUnavailable(str(error) or type(error).__name__) from error

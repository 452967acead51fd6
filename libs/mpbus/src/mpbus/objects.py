"""Whole objects of the snapshots' bucket, read while others replace them."""

import asyncio
import base64
import json

from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import BucketNotFoundError, NotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from mpbus.streams import SNAPSHOT_BUCKET, SNAPSHOT_STREAM
from mpbus.tasks import end

_LOOK_SECONDS = 0.25


class SnapshotBucket(ObjectStore):
    """The library's object store, but for which message describes an object: the oldest of its subject, not the newest.

    Whoever stores an object replaces all that the subject holds, so its description is the oldest. What comes later is
    none of ours: the server can be made to send its answers there. The next object that is stored sweeps it away.
    """

    async def get_info(self, name: str, show_deleted: bool | None = False) -> api.ObjectInfo:
        """See the base class. What describes nothing describes no object."""
        encoded = base64.urlsafe_b64encode(name.encode()).decode()
        try:
            found = await self._js.get_msg(self._stream, seq=1, subject=f"$O.{self._name}.M.{encoded}", next=True)
            info: api.ObjectInfo = api.ObjectInfo.from_response(json.loads(found.data or b""))
        except (NotFoundError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ObjectNotFoundError from error
        if info.deleted and not show_deleted:
            raise ObjectNotFoundError
        return info


async def snapshot_bucket(js: JetStreamContext) -> SnapshotBucket:
    """The bucket, where it exists. Raises `BucketNotFoundError`."""
    try:
        await js.stream_info(SNAPSHOT_STREAM)
    except NotFoundError:
        raise BucketNotFoundError from None
    return SnapshotBucket(SNAPSHOT_BUCKET, SNAPSHOT_STREAM, js)


def snapshot_object(shard: str) -> str:
    """Name of the object with the snapshot of a shard."""
    return f"shard-{shard}"


def access_object(shard: str) -> str:
    """Name of the object with the access slice of a shard."""
    return f"access-{shard}"


async def load_object(nc: Client, name: str, seconds: float) -> bytes | None:
    """The newest object of a name; None where there is none. Raises `nats.errors.Error` or `TimeoutError`."""
    try:
        async with asyncio.timeout(seconds):
            bucket = await snapshot_bucket(nc.jetstream(timeout=10))
            while True:
                data = await _read(bucket, name)
                if data is not None:
                    return data
    except (ObjectNotFoundError, BucketNotFoundError):
        return None


async def _read(bucket: ObjectStore, name: str) -> bytes | None:
    """The newest object; None when a newer one replaced it meanwhile.

    Replacing an object purges its chunks at once, and who reads them then waits for ever for the rest.
    """
    begun = await bucket.get_info(name)
    reading = asyncio.create_task(bucket.get(name))
    try:
        while not (await asyncio.wait({reading}, timeout=_LOOK_SECONDS))[0]:
            if (await bucket.get_info(name)).nuid != begun.nuid:
                return None
        return (await reading).data
    finally:
        await end(reading)

"""Whole objects of the snapshots' bucket, read while others replace them."""

import asyncio

from nats.aio.client import Client
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from mpbus.streams import SNAPSHOT_BUCKET
from mpbus.tasks import end

_LOOK_SECONDS = 0.25


def access_object(shard: str) -> str:
    """Name of the object with the access slice of a shard."""
    return f"access-{shard}"


async def load_object(nc: Client, name: str, seconds: float) -> bytes | None:
    """The newest object of a name; None where there is none. Raises `nats.errors.Error` or `TimeoutError`."""
    try:
        async with asyncio.timeout(seconds):
            bucket = await nc.jetstream(timeout=10).object_store(SNAPSHOT_BUCKET)
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

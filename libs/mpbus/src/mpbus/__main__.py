"""`python -m mpbus provision`: make the streams of this shard what they should be."""

import asyncio
import sys

from nats.aio.client import Client
from nats.js.errors import APIError

from mpbus.connect import connect
from mpbus.settings import BusSettings
from mpbus.streams import provision

_NO_PEERS = 10005
"""The server's code for: too few nodes are there to hold the copies, as in a cluster that has just started."""
_PEERS_SECONDS = 30.0
_AGAIN_SECONDS = 0.5


async def _placed(nc: Client, settings: BusSettings) -> bool:
    """Whether the streams are in place; False while nodes are missing that may still come."""
    try:
        await provision(nc, settings.shard, settings.replicas)
    except APIError as error:
        if error.err_code != _NO_PEERS or settings.replicas == 1:
            raise
        return False
    return True


async def _provision(settings: BusSettings) -> None:
    nc = await connect(settings.nats_url, "provision")
    try:
        async with asyncio.timeout(_PEERS_SECONDS):
            while True:
                if await _placed(nc, settings):
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        await nc.close()


def main(arguments: list[str]) -> int:
    """0 when done, 2 for wrong usage."""
    if arguments != ["provision"]:
        sys.stderr.write("usage: python -m mpbus provision\n")
        return 2
    settings = BusSettings()
    asyncio.run(_provision(settings))
    sys.stdout.write(f"streams of shard {settings.shard} are in place\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m mpbus provision`: make the streams of this shard what they should be."""

import asyncio
import sys

from mpbus.connect import connect
from mpbus.identities import PROVISION
from mpbus.settings import BusSettings
from mpbus.streams import provision


async def _provision(settings: BusSettings) -> None:
    nc = await connect(settings.nats(PROVISION), "provision")
    try:
        await provision(nc, settings.shard, settings.replicas)
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

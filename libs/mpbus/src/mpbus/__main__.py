"""`python -m mpbus provision`: make the streams of this shard what they should be."""

import asyncio
import sys

from nats.errors import Error as NatsError

from mpbus.connect import connect, shows_who_it_is
from mpbus.errors import Unavailable, Unusable
from mpbus.identities import PROVISION
from mpbus.oneshot import run_once
from mpbus.settings import ProvisionSettings, read_settings
from mpbus.streams import provision
from mpbus.vitals import Vital

RENEW = "--renew-ingest"
"""Gives the log another subject to take commits on, should somebody know the old one."""
WAIT_SECONDS = 30.0
"""For NATS: who deploys everything at once starts us before it."""


async def _provision(settings: ProvisionSettings, renew_ingest: bool) -> str:
    nats = Vital("nats")
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            nc = await connect(settings.nats(PROVISION), "provision", vital=nats)
    except TimeoutError:
        raise Unavailable(f"no NATS server for {WAIT_SECONDS:g} s: {nats.state}") from None
    try:
        await provision(nc, settings.shard, settings.replicas, guarded=shows_who_it_is(nc), renew_ingest=renew_ingest)
    finally:
        await nc.close()
    return f"streams of shard {settings.shard} are in place"


def main(arguments: list[str]) -> int:
    """0 when done, 1 when the world refused, 2 for wrong usage."""
    if arguments not in (["provision"], ["provision", RENEW]):
        sys.stderr.write(f"usage: python -m mpbus provision [{RENEW}]\n")
        return 2
    settings = read_settings(ProvisionSettings)
    failures = (Unavailable, Unusable, NatsError, OSError, TimeoutError)
    return run_once("provision", lambda: _provision(settings, RENEW in arguments), *failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m mpservice provision`: make the streams of this shard what they should be."""

import asyncio
import sys

from mpbus.connect import connect, shows_who_it_is
from mpbus.errors import BrokerUnavailable, Unusable
from mpbus.streams import end_readers, provision
from mpbus.vitals import Vital
from nats.errors import Error as NatsError

from mpservice.identities import PROVISION
from mpservice.oneshot import run_once
from mpservice.settings import ProvisionSettings, read_settings

RENEW = "--renew-ingest"
"""Gives the log another subject to take commits on, should somebody know the old one."""
END_READERS = "--end-readers"
"""Deletes the consumers of who reads the log and the snapshots: readers that live make others."""
WAIT_SECONDS = 30.0
"""For NATS: who deploys everything at once starts us before it."""


async def _provision(settings: ProvisionSettings, option: str) -> str:
    nats = Vital("nats")
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            nc = await connect(settings.nats(PROVISION), "provision", vital=nats)
    except TimeoutError:
        raise BrokerUnavailable(f"no NATS server for {WAIT_SECONDS:g} s: {nats.state}") from None
    try:
        if option == END_READERS:
            ended = await end_readers(nc, settings.shard)
            return f"{ended} consumers of shard {settings.shard} are ended; whoever reads makes another"
        renew, guarded = option == RENEW, shows_who_it_is(nc)
        await provision(nc, settings.shard, settings.replicas, guarded=guarded, renew_ingest=renew)
    finally:
        await nc.close()
    return f"streams of shard {settings.shard} are in place"


def main(arguments: list[str]) -> int:
    """0 when done, 1 when the world refused, 2 for wrong usage."""
    if arguments not in (["provision"], ["provision", RENEW], ["provision", END_READERS]):
        sys.stderr.write(f"usage: python -m mpservice provision [{RENEW} | {END_READERS}]\n")
        return 2
    settings = read_settings(ProvisionSettings)
    failures = (BrokerUnavailable, Unusable, NatsError, OSError, TimeoutError)
    return run_once("provision", lambda: _provision(settings, "".join(arguments[1:])), *failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

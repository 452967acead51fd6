"""`python -m mpservice provision`: make the streams of this shard what they should be."""

import sys

from mpbus.connect import shows_who_it_is
from mpbus.streams import end_readers, provision

from mpservice.oneshot import STREAM_FAILURES, run_once, stream_maker
from mpservice.settings import ProvisionSettings, read_settings

RENEW = "--renew-ingest"
"""The option that gives the log another subject for commits, if somebody knows the old one."""
END_READERS = "--end-readers"
"""The option that deletes the consumers of all readers of the log and the snapshots: live readers make others."""


async def _provision(settings: ProvisionSettings, option: str) -> str:
    async with stream_maker(settings, "provision") as nc:
        if option == END_READERS:
            ended = await end_readers(nc, settings.shard)
            return f"{ended} consumers of shard {settings.shard} are ended; whoever reads makes another"
        renew, guarded = option == RENEW, shows_who_it_is(nc)
        await provision(nc, settings.shard, settings.replicas, guarded=guarded, renew_ingest=renew)
    return f"streams of shard {settings.shard} are in place"


def main(arguments: list[str]) -> int:
    """Run the command. Returns 0 when done, 1 when a server refused, 2 for wrong usage."""
    if arguments not in (["provision"], ["provision", RENEW], ["provision", END_READERS]):
        sys.stderr.write(f"usage: python -m mpservice provision [{RENEW} | {END_READERS}]\n")
        return 2
    settings = read_settings(ProvisionSettings)
    return run_once("provision", lambda: _provision(settings, "".join(arguments[1:])), *STREAM_FAILURES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The first fact of a log that was put back: it says so, in an epoch above all that the lost part can have seen.

Whoever saw events after the copy was made holds cursors and fencing tokens of the lost part. The same positions will be
filled again, with other events. What tells them apart is the epoch, so no epoch may ever be used twice: it goes on far
above the copy's last and above all that anybody saw, and not below the seconds since 1970, so that putting the same
copy back twice gives two epochs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
from mpbus.ingest import log_ingest
from mpbus.reader import HASH_HEADER, LogPosition
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.sealed import Sealed
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpschema import codec, subjects
from mpschema.system import LogRestored
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from mpoperator.errors import ServerGone, ToolRefused, said

EPOCHS_APART = 1_000
"""More elections than a cluster has between two backups, in case this machine's clock is far behind."""
_EXPECTED = "Nats-Expected-Last-Sequence"


@dataclass(frozen=True)
class Origin:
    """The source of a log that was put back, and its surroundings."""

    source: str
    copied_at_ms: int
    command_position: int
    """See `commands_decided`."""
    epoch_seen: int = 0
    """The highest epoch that a witness there saw."""


async def commands_decided(nc: Client, name: str) -> int:
    """The position of the command stream after which a log beside it goes on: what waits there is still to be decided.

    0 where there is no such stream, and in a new one, whatever position of another stream the log speaks of.
    """
    answer = await nc.request(f"$JS.API.STREAM.INFO.{subjects.command_stream(name)}", b"", timeout=10)
    state = msgspec.json.decode(answer.data).get("state")
    if state is None:
        return 0
    return int(state["first_seq"]) - 1 if state["messages"] else int(state["last_seq"])


def restoration_epoch(last_epoch: int, now_ms: int) -> int:
    """The epoch in which a log goes on that was put back at a time, where an epoch was the last that is known of."""
    return max(last_epoch + EPOCHS_APART, now_ms // 1_000)


def restoration(shard: Shard, position: LogPosition, origin: Origin, now_ms: int) -> Sealed:
    """The commit that says so. Advances the shard, which must be the fold of everything up to `position`."""
    epoch = restoration_epoch(max(shard.world.epoch, origin.epoch_seen), now_ms)
    event = LogRestored(
        at_seq=position.seq,
        head=position.hash,
        state_root=state_root(shard),
        source=origin.source,
        copied_at_ms=origin.copied_at_ms,
    )
    turn = Turn(shard, epoch, now_ms, RoleAuthorizer())
    shard.consume(origin.command_position)
    turn.note(Fact("log", "log", event), f"restoration_{epoch}:0")
    return turn.seal(position.hash)


async def begin_epoch(nc: Client, name: str, shard: Shard, position: LogPosition, origin: Origin) -> LogPosition:
    """Append the commit that begins the new epoch to the log of the shard `name`, and return the log's new head.

    Raises `ToolRefused` when somebody else has written meanwhile, `ServerGone` when NATS does not answer.
    """
    sealed = restoration(shard, position, origin, time.time_ns() // 1_000_000)
    subject = subjects.log_subject(name)
    found = codec.commit_hash(position.hash, subject, sealed.data)
    headers = {HASH_HEADER: found, _EXPECTED: str(position.stream_seq)}
    try:
        js = nc.jetstream(timeout=10)
        ack = await js.publish(await log_ingest(js, name), sealed.data, headers=headers)
    except APIError as error:
        raise ToolRefused(f"the new epoch was not taken: {error.description}. Does a kernel run?") from error
    except (NatsError, TimeoutError) as error:
        raise ServerGone(f"the new epoch could not be stored: {said(error)}") from error
    return LogPosition(int(ack.seq), sealed.last_seq, found)

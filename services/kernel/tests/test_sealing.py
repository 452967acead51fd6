"""The rhythm of snapshots: every so many events, and more seldom the more the state holds."""

import asyncio

from mpbus.reader import LogPosition
from mpcore.engine.outcomes import Outcomes
from mpcore.engine.sealed import Sealed
from mpcore.engine.shard import Shard
from mpkernel.sealing import Sealing
from mpschema.envelope import CommitHeader
from mpstore.snapshots.memory import MemorySnapshots

EVERY = 10


async def snapshots_after(events: int) -> list[int]:
    """After which events there is one, if each event is the outcome of a command and a commit of its own."""
    places: dict[str, int] = {}
    shard, wake = Shard(outcomes=Outcomes(places)), asyncio.Event()
    sealing, taken = Sealing(MemorySnapshots(), "digest", EVERY, wake), list[int]()
    for seq in range(1, events + 1):
        places[f"acme/{seq}"] = seq
        header = CommitHeader(epoch=1, first_seq=seq, count=1, time_ms=1, previous_hash="0" * 64, command_position=seq)
        sealing.look(Sealed(header, b"", {}), shard)
        others = asyncio.all_tasks()
        sealing.stored(LogPosition(seq, seq, "c" * 64))
        if writing := asyncio.all_tasks() - others:
            await asyncio.wait(writing)
        if (checkpoint := sealing.take_checkpoint()) is not None:
            taken.append(checkpoint.at_seq)
    return taken


async def test_the_more_a_state_holds_the_more_events_lie_between_two_snapshots() -> None:
    assert await snapshots_after(200) == [10, 20, 39, 77, 153]

"""One storm: faults by the dice on one terrain, and what is known when a promise breaks."""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nats.errors import Error as NatsError
from nats.js.api import ClusterInfo, ConsumerInfo

from tests.chaos.arena import CLIENTS, Arena, Fault, Faults, arena
from tests.chaos.terrains import Terrain

_CHECK_EVERY = 100
"""Faults between two checks of the log."""
_LOG_LINES = 40


@dataclass(frozen=True)
class Order:
    """The storm that is wanted: so many faults, by this seed, of these names alone (of all, where none is named)."""

    terrain: Terrain
    faults: int
    seed: int
    only: frozenset[str] = frozenset()

    @property
    def choice(self) -> Faults:
        """The faults that may come. Raises ValueError for a name the terrain does not know."""
        known = {fault.__name__: (fault, weight) for fault, weight in self.terrain.faults.items()}
        if unknown := self.only - known.keys():
            raise ValueError(f"{self.terrain.name} knows no {', '.join(sorted(unknown))}: {', '.join(known)}")
        return dict(known[name] for name in known if not self.only or name in self.only)

    def command(self, faults: int, only: str = "") -> str:
        """Return the command that repeats so many of these faults; of one kind alone, where it is named."""
        names = f" --only {only}" if only else "".join(f" --only {name}" for name in sorted(self.only))
        return f"python -m tests.chaos --terrain {self.terrain.name} --seed {self.seed} --faults {faults}{names}"


@dataclass(frozen=True)
class Report:
    """The figures of a storm that broke no promise."""

    took: dict[str, list[float]]
    """Seconds from each fault until all was well again, by its name."""
    check_seconds: float
    """The seconds it took to see that every promise was kept."""
    commands: int
    events: int
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """The number of faults of each kind."""
        return {name: len(took) for name, took in self.took.items()}

    @property
    def faults(self) -> int:
        """The number of all faults."""
        return sum(map(len, self.took.values()))


OnFault = Callable[[str, float | None], None]
"""Told of each fault twice: when it begins, and when all is well again, with the seconds it took."""


class PromiseBroken(Exception):
    """A storm found something. Says after which fault, and how to see it again."""

    def __init__(self, order: Order, number: int, name: str, logs: str) -> None:
        again, alone = order.command(number), order.command(20, only=name)
        super().__init__(f"fault {number}, {name}\n{logs}\nagain: {again}\nthis fault alone: {alone}")


async def storm(folder: Path, order: Order, on_fault: OnFault = lambda *_: None) -> Report:
    """Inflict, and check now and then and in the end. Raises PromiseBroken from what it found."""
    started, terrain = time.monotonic(), order.terrain
    took: defaultdict[str, list[float]] = defaultdict(list)
    async with arena(folder, order.seed, terrain.make_stack, nodes=terrain.nodes, disks=terrain.disks) as made:
        over = asyncio.Event()
        working = asyncio.create_task(made.cluster.load.run(CLIENTS, CLIENTS, until=over))
        fault, number, dealt = None, 0, deal(order.choice, made.dice)
        try:
            for number in range(1, order.faults + 1):
                fault, began = next(dealt), time.monotonic()
                on_fault(fault.__name__, None)
                await fault(made)
                await made.progressed()
                await terrain.settled(made)
                made.check_running()
                took[fault.__name__].append(time.monotonic() - began)
                on_fault(fault.__name__, took[fault.__name__][-1])
                if number % _CHECK_EVERY == 0:
                    await made.check_log()
            over.set()
            await working
            checking = time.monotonic()
            events = await made.check()
        except Exception as error:
            name = fault.__name__ if fault else "nothing"
            raise PromiseBroken(order, number, name, await _logs(made)) from error
        finally:
            working.cancel()
        now, commands = time.monotonic(), len(made.cluster.load.acknowledged)
        return Report(took, now - checking, commands, events, now - started)


def deal(choice: Faults, dice: Random) -> Iterator[Fault]:
    """Faults as cards are dealt, shuffled by the dice: every kind once, then as often as it weighs, again and again.

    So a storm of as many faults as there are kinds meets them all.
    """
    cards = list(choice)
    while True:
        dice.shuffle(cards)
        yield from cards
        cards = [fault for fault, weight in choice.items() for _ in range(weight)]


async def _logs(made: Arena) -> str:
    """The last words of every process; of kernels, with what their tasks wait for."""
    for kernel in made.stack.kernels:
        if kernel.running:
            os.kill(kernel.pid, signal.SIGUSR1)
    await asyncio.sleep(1)
    logs = [f"--- {process.name}\n{process.log_tail(_LOG_LINES)}" for process in made.stack.processes]
    return "\n".join([*logs, "--- streams", await _streams(made)])


async def _streams(made: Arena) -> str:
    """Describe every stream and its consumers: their nodes, and how far each copy is."""
    js, lines = made.cluster.nc.jetstream(timeout=2), []
    try:
        for info in await js.streams_info():
            name = str(info.config.name)
            lines.append(f"{name} ends at {info.state.last_seq}, {_places(info.cluster)}")
            lines += [_consumer(consumer) for consumer in await js.consumers_info(name)]
    except (NatsError, TimeoutError) as error:
        lines.append(f"not known: {error or type(error).__name__}")
    return "\n".join(lines)


def _consumer(info: ConsumerInfo) -> str:
    delivered = info.delivered.stream_seq if info.delivered else 0
    asked = f"{info.num_waiting} requests wait"
    return f"  {info.name} is at {delivered}, {info.num_pending} to come, {asked}, {_places(info.cluster)}"


def _places(cluster: ClusterInfo | None) -> str:
    if cluster is None:
        return "one copy"
    others = [f"{peer.name} {'current' if peer.current else 'behind'} by {peer.lag}" for peer in cluster.replicas or []]
    return f"led by {cluster.leader}; {', '.join(others) or 'no other copy'}"

"""The part common to all services: the ops door and the signal handlers are there before any server is reached.

    async def work(life: Lifecycle) -> int: ...
    uvloop.run(live(service, settings, work))

Until `work` says what it serves, the process is alive and not ready, and a signal ends it at once.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Protocol, TypeVar

import structlog
from mpbus.connect import BusClient, connect
from mpbus.errors import ChainBroken, Unusable, halt_of
from mpbus.tasks import end
from mpbus.vitals import Vital
from mpschema import levels
from mpschema.codec import MalformedCommit
from prometheus_client import Gauge, Info, disable_created_metrics

from mpservice.ops import READS_LEVEL, OpsServer, ServiceHealth
from mpservice.settings import EXIT_MISCONFIGURED, BusSettings, OpsSettings
from mpservice.telemetry import dump_tasks_on_signal

log = structlog.get_logger(__name__)
LOOK_AGAIN_SECONDS = 5.0
"""The wait of a halted reader before it looks at the log again."""
EXIT_NO_DOOR = 1
"""The exit code for an address of the ops door that is taken or invalid."""
UNREADABLE = (ChainBroken, MalformedCommit)
"""The errors that halt a reader of the log: it does not verify, or holds what this build cannot read."""
_BUILD = Info("mp_build", "What runs: the service, its version, and the newest feature level of a log it reads.")
_READY = Gauge("mp_ready", "1 while the service does its work, as /readyz says.")
T = TypeVar("T")


class Runnable(Protocol):
    """A service once its servers are there."""

    def health(self) -> ServiceHealth:
        """Tell whether it does its work now."""
        ...

    def stop(self) -> None:
        """End in order; `run` returns then."""
        ...

    async def run(self) -> None:
        """Work until stopped."""
        ...


class Lifecycle:
    """One process of a service, from before its first server is reached to its end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Set once somebody asked the process to end."""
        self._health: Callable[[], ServiceHealth] = lambda: ServiceHealth(False, {"waits_for": "it starts"})
        self._stop: Callable[[], None] | None = None
        self._knows: Sequence[Vital] = ()

    def health(self) -> ServiceHealth:
        """Report the service's own state, the state of what it needs, and the feature level it reads."""
        found = self._health()
        knows = {vital.name: vital.state for vital in self._knows}
        return replace(found, facts={READS_LEVEL: levels.FEATURE_LEVEL, **knows, **found.facts})

    def stop(self) -> None:
        """Ask the service to end: in order where it serves, at once where it does not."""
        self.asked.set()
        if self._stop is not None:
            self._stop()

    @property
    def interruptible(self) -> bool:
        """True while there is nothing to finish."""
        return self._stop is None

    def serves(
        self, health: Callable[[], ServiceHealth], stop: Callable[[], None], knows: Sequence[Vital] = ()
    ) -> None:
        """Report this health from now on, and end by `stop`; `knows` are reported as facts beside it."""
        self._health, self._stop, self._knows = health, stop, knows
        if self.asked.is_set():
            stop()

    async def reach(self, vital: Vital, attempt: Awaitable[T]) -> T:
        """Wait for a server; meanwhile the service reports that server's last state."""
        self._health, self._stop = lambda: ServiceHealth(False, {"waits_for": vital.state}), None
        found = await attempt
        vital.answered()
        return found

    @asynccontextmanager
    async def bus(self, service: str, settings: BusSettings, *, writer: bool = False) -> AsyncIterator[BusClient]:
        """The service's connection to NATS, waited for as `reach` does, and closed in the end."""
        nats = Vital("nats")
        given = connect(settings.nats(service), f"{service}-{settings.node}", writer=writer, vital=nats)
        nc = await self.reach(nats, given)
        try:
            yield nc
        finally:
            with contextlib.suppress(Exception):  # Closing needs nothing of the server.
                await nc.close()

    async def keep(
        self, make: Callable[[], Runnable], needs: Vital, halts: tuple[type[Exception], ...] = UNREADABLE
    ) -> None:
        """Run what `make` makes until asked to end. Where it raises one of `halts` it halts, and later looks anew.

        Without what it `needs` it is not ready, whatever it says itself.
        """
        while not self.asked.is_set():
            service = make()
            self.serves(_with(service.health, needs), service.stop, (needs,))
            try:
                await service.run()
            except halts as error:
                await self.halted(error)

    async def halted(self, error: Exception) -> None:
        """Say why nothing is done, until it is time to look again."""
        reason = str(error)
        log.critical("halted", reason=reason, kind=type(error).__name__)
        facts: dict[str, str | int | float | bool | None] = {"halted_by": reason, "halt": halt_of(error)}
        self._health, self._stop = lambda: ServiceHealth(False, facts), None
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _with(health: Callable[[], ServiceHealth], needs: Vital) -> Callable[[], ServiceHealth]:
    def said() -> ServiceHealth:
        found = health()
        return found if needs.ok else replace(found, ready=False, facts={"waits_for": needs.state, **found.facts})

    return said


async def live(service: str, settings: OpsSettings, work: Callable[[Lifecycle], Awaitable[int]]) -> int:
    """Open the ops door, handle signals, do the work, and return its exit code: 0 where a signal ended the waiting."""
    life = Lifecycle()
    _export(service, life)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.stop)
    dump_tasks_on_signal()
    try:
        async with _door(settings, life):
            return await _work(life, work)
    except _NoDoor as error:
        log.critical("ops.no_door", host=settings.ops_host, port=settings.ops_port, reason=str(error))
        return EXIT_NO_DOOR
    except Unusable as error:
        log.critical("misconfigured", reason=str(error))
        return EXIT_MISCONFIGURED


async def _work(life: Lifecycle, work: Callable[[Lifecycle], Awaitable[int]]) -> int:
    working = asyncio.ensure_future(work(life))
    asked = asyncio.ensure_future(life.asked.wait())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        if life.interruptible and not working.done():
            return 0
        return await working
    finally:
        await end(asked, working)


def _export(service: str, life: Lifecycle) -> None:
    """Export the metrics that every service has."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has no types for it
    _BUILD.info({"service": service, "version": version("mpservice"), "reads_level": str(levels.FEATURE_LEVEL)})
    _READY.set_function(lambda: float(life.health().ready))


class _NoDoor(Exception):
    pass


@asynccontextmanager
async def _door(settings: OpsSettings, life: Lifecycle) -> AsyncIterator[None]:
    if not settings.ops_port:
        yield
        return
    door = OpsServer(settings.ops_host, settings.ops_port, life.health)
    try:
        await door.start()
    except OSError as error:
        raise _NoDoor(str(error)) from error
    try:
        yield
    finally:
        await door.close()

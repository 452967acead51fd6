"""The end of a rolling upgrade: who reads which feature level, and raising the log to it once everybody can follow."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
from mpbus.errors import BusError
from mpbus.ids import new_command_id
from mpbus.ops import READS_LEVEL
from mpbus.producer import CommandProducer
from mpbus.reader import LogReader
from mpschema import codec, levels
from mpschema.envelope import CommandEnvelope, Outcome
from mpschema.system import SYSTEM_WORKSPACE, RaiseFeatureLevel
from nats.aio.client import Client

from mpoperator.connections import bus
from mpoperator.errors import Refused, ServerGone
from mpoperator.running import Answer
from mpoperator.settings import OperatorSettings

ROOT = "user:root"
_DOOR_SECONDS = 3.0
_OUTCOME_SECONDS = 10.0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service: what it says of itself."""

    name: str
    answers: bool
    reads_level: int | None = None
    """The newest feature level its build reads; None where it does not answer."""
    ready: bool | None = None
    role: str = ""
    """Of a kernel: whether it leads."""

    def obstacle(self, level: int) -> str:
        """Why the log cannot be raised to a level while this service is as it is; empty where it can."""
        if self.reads_level is None:
            return f"{self.name} does not answer: start it, or say that it is gone for good: --without {self.name}"
        if self.reads_level < level:
            return f"{self.name} reads up to level {self.reads_level}: upgrade it first"
        return ""


class UpgradeStatus(Answer, frozen=True, kw_only=True):
    """Where an upgrade stands."""

    shard: str
    log_level: int
    newest_level: int
    """The newest feature level this mpctl knows."""
    services: tuple[Service, ...]
    obstacles: tuple[str, ...]
    """What keeps the log from the newest level."""

    def told(self) -> str:
        """See the base class."""
        at = f"the log of shard {self.shard} is at feature level {self.log_level}"
        if self.log_level >= self.newest_level:
            return f"{at}, the newest"
        then = (
            f"{len(self.obstacles)} services are in the way" if self.obstacles else "mpctl upgrade finalize raises it"
        )
        return f"{at} of {self.newest_level}: {then}"

    def details(self) -> list[list[str]]:
        """See the base class."""
        lines = [[each.name, _reads(each), each.role] for each in self.services]
        return [*lines, *(["obstacle", text, ""] for text in self.obstacles)]


class Finalized(Answer, frozen=True, kw_only=True):
    """The log is at the level."""

    shard: str
    level: int
    was: int
    seq: int | None
    """The event that raised it; None where it was there already."""

    def told(self) -> str:
        """See the base class."""
        if self.seq is None:
            return f"the log of shard {self.shard} is at feature level {self.was} already"
        return f"the log of shard {self.shard} is at feature level {self.level} from event {self.seq:,} on"


async def look_at_upgrade(settings: OperatorSettings) -> UpgradeStatus:
    """Ask the log and every service."""
    async with bus(settings.nats_url) as nc:
        level = await _log_level(nc, settings.shard)
    services = await _ask_all(settings)
    newest = levels.FEATURE_LEVEL
    in_the_way = [each.obstacle(newest) for each in services] if level < newest else []
    return UpgradeStatus(
        shard=settings.shard,
        log_level=level,
        newest_level=newest,
        services=tuple(services),
        obstacles=tuple(filter(None, in_the_way)),
    )


async def finalize_upgrade(
    settings: OperatorSettings, level: int, without: frozenset[str], principal: str
) -> Finalized:
    """Raise the log, once everybody reads the level. Raises `Refused` with every obstacle there is."""
    async with bus(settings.nats_url) as nc:
        was = await _log_level(nc, settings.shard)
        if was >= level:
            return Finalized(shard=settings.shard, level=level, was=was, seq=None)
        services = await _ask_all(settings)
        asked = [each for each in services if each.answers or each.name not in without]
        if obstacles := [text for each in asked if (text := each.obstacle(level))]:
            raise Refused(f"the log stays at feature level {was}: {'; '.join(obstacles)}")
        outcome = await _raise(nc, settings.shard, level, principal)
    if not outcome.accepted:
        raise Refused(f"the log stays at feature level {was}: {outcome.detail} ({outcome.code})")
    return Finalized(shard=settings.shard, level=level, was=was, seq=outcome.first_seq)


async def _log_level(nc: Client, shard: str) -> int:
    """What the newest commit says. Raises `Refused` where there is none, `LevelTooHigh` where it is beyond us."""
    reader = LogReader(nc, shard)
    commit = await reader.commit_at((await reader.head()).stream_seq)
    if commit is None:
        raise Refused("the log is empty: the first kernel that leads begins it at the newest level it knows")
    return commit.header.feature_level


async def _ask_all(settings: OperatorSettings) -> list[Service]:
    """Every service that is known. Raises `Refused` where none is: nobody would be missed."""
    if not settings.services:
        raise Refused("which services run is not known: set MP_SERVICES to their operations addresses, by name")
    async with httpx.AsyncClient(timeout=_DOOR_SECONDS) as http:
        return list(await asyncio.gather(*(_ask(http, name, url) for name, url in settings.services.items())))


async def _ask(http: httpx.AsyncClient, name: str, url: str) -> Service:
    try:
        facts = msgspec.json.decode((await http.get(f"{url.rstrip('/')}/readyz")).content, type=dict[str, object])
    except (httpx.HTTPError, msgspec.DecodeError):
        return Service(name=name, answers=False)
    reads = facts.get(READS_LEVEL, levels.FIRST_LEVEL)  # Builds of the first level do not speak of levels.
    return Service(
        name=name,
        answers=True,
        reads_level=reads if isinstance(reads, int) else None,
        ready=bool(facts.get("ready", facts.get("status") == "ok")),
        role=str(facts.get("role", "")),
    )


async def _raise(nc: Client, shard: str, level: int, principal: str) -> Outcome:
    producer = CommandProducer(nc, shard)
    await producer.start()
    envelope = CommandEnvelope(
        command_id=new_command_id(),
        type="log.raise_feature_level",
        workspace_id=SYSTEM_WORKSPACE,
        principal=principal,
        target="log",
        payload=msgspec.Raw(codec.encode(RaiseFeatureLevel(level=level))),
    )
    try:
        return await producer.submit(envelope, _OUTCOME_SECONDS)
    except BusError as error:
        raise ServerGone(f"no kernel answered: {error}; `mpctl upgrade status` tells whether it was raised") from error
    finally:
        await producer.close()


def _reads(service: Service) -> str:
    if service.reads_level is None:
        return "does not answer"
    return f"reads level {service.reads_level}" + ("" if service.ready else ", not ready")

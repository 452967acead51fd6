"""The end of a rolling upgrade: who reads which feature level, and raising the log to it once everybody can follow."""

from __future__ import annotations

import asyncio
import os
from http import HTTPStatus
from pathlib import Path

import httpx
import msgspec
from mpbus.reader import LogReader
from mpcli.context import Asked, Misconfigured, NoServer, resolve
from mpclient.bounds import bounded_async
from mpclient.client import AsyncClient
from mpclient.errors import ClientError, ProblemError, Rejected, Unauthenticated, UnexpectedAnswer
from mpschema import levels
from mpschema.envelope import Outcome
from mpservice.ops import READS_LEVEL
from nats.aio.client import Client

from mpoperator.errors import NotConfigured, ServerGone, ToolRefused, said
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

_DOOR_SECONDS = 3.0
_NOT_THIS_ONE = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class ServiceFeatureLevel(msgspec.Struct, frozen=True, kw_only=True):
    """One service: what it says of itself."""

    name: str
    answers: bool
    reads_level: int | None = None
    """The newest feature level its build reads; None where it does not answer."""
    ready: bool | None = None
    role: str = ""
    """Of a kernel: whether it leads."""

    def obstacle(self, level: int) -> str:
        """Return the reason why this service keeps the log from a level; empty where it can."""
        if self.reads_level is None:
            return f"{self.name} does not answer: start it, or say that it is gone for good: --without {self.name}"
        if self.reads_level < level:
            return f"{self.name} reads up to level {self.reads_level}: upgrade it first"
        return ""


class UpgradeStatus(ToolResult, frozen=True, kw_only=True):
    """The state of an upgrade."""

    shard: str
    log_level: int
    newest_level: int
    """The newest feature level this mpctl knows."""
    services: tuple[ServiceFeatureLevel, ...]
    obstacles: tuple[str, ...]
    """The obstacles that keep the log from the newest level."""

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


class Finalized(ToolResult, frozen=True, kw_only=True):
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
    async with bus(settings.nats()) as nc:
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


async def finalize_upgrade(settings: OperatorSettings, level: int, without: frozenset[str], asked: Asked) -> Finalized:
    """Raise the log, once everybody reads the level: by a gateway, as whom `asked` or the environment says.

    Raises `ToolRefused` with every obstacle there is.
    """
    async with bus(settings.nats()) as nc:
        was = await _log_level(nc, settings.shard)
        if was >= level:
            return Finalized(shard=settings.shard, level=level, was=was, seq=None)
        services = await _ask_all(settings)
        needed = [each for each in services if each.answers or each.name not in without]
        if obstacles := [text for each in needed if (text := each.obstacle(level))]:
            raise ToolRefused(f"the log stays at feature level {was}: {'; '.join(obstacles)}")
    outcome = await _raise(level, was, asked)
    return Finalized(shard=settings.shard, level=level, was=was, seq=outcome.first_seq)


async def _log_level(nc: Client, shard: str) -> int:
    """Read the newest commit. Raises `ToolRefused` where there is none, `LevelTooHigh` where it is beyond us."""
    reader = LogReader(nc, shard)
    commit = await reader.commit_at((await reader.head()).stream_seq)
    if commit is None:
        raise ToolRefused("the log is empty: the first kernel that leads begins it at the newest level it knows")
    return commit.header.feature_level


async def _ask_all(settings: OperatorSettings) -> list[ServiceFeatureLevel]:
    """Every service that is known. Raises `ToolRefused` where none is: nobody would be missed."""
    if not settings.services:
        raise ToolRefused("which services run is not known: set MP_SERVICES to their operations addresses, by name")
    async with httpx.AsyncClient(timeout=_DOOR_SECONDS, **bounded_async()) as http:
        return list(await asyncio.gather(*(_ask(http, name, url) for name, url in settings.services.items())))


async def _ask(http: httpx.AsyncClient, name: str, url: str) -> ServiceFeatureLevel:
    try:
        facts = msgspec.json.decode((await http.get(f"{url.rstrip('/')}/readyz")).content, type=dict[str, object])
    except (httpx.HTTPError, UnexpectedAnswer, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ServiceFeatureLevel(name=name, answers=False)
    reads = facts.get(READS_LEVEL, levels.FIRST_LEVEL)  # Builds of the first level do not speak of levels.
    return ServiceFeatureLevel(
        name=name,
        answers=True,
        reads_level=reads if isinstance(reads, int) else None,
        ready=bool(facts.get("ready", facts.get("status") == "ok")),
        role=str(facts.get("role", "")),
    )


async def _raise(level: int, was: int, asked: Asked) -> Outcome:
    try:
        context = resolve(asked, os.environ, Path.cwd())
    except (Misconfigured, NoServer) as error:
        raise NotConfigured(str(error)) from error
    try:
        async with AsyncClient(context.url, context.token) as client:
            return await client.log.raise_feature_level(level=level)
    except (Rejected, Unauthenticated) as refused:
        raise ToolRefused(f"the log stays at feature level {was}: {_why(refused)}") from refused
    except ClientError as error:
        raise ServerGone(f"{said(error)}; `mpctl upgrade status` tells whether the log was raised") from error


def _why(refused: ProblemError) -> str:
    """Return the answer, and the need where it is the credential."""
    needed = ": an operator's key is needed, by --token or MPCTL_TOKEN" if refused.status in _NOT_THIS_ONE else ""
    return f"{refused.detail} ({refused.code}){needed}"


def _reads(service: ServiceFeatureLevel) -> str:
    if service.reads_level is None:
        return "does not answer"
    return f"reads level {service.reads_level}" + ("" if service.ready else ", not ready")

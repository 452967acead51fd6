"""The servers and services of one installation as an operator's tools see them: whoever answers, and why others do not.

Nothing here raises because a server is gone: that is what is to be found out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import redis.asyncio as redis
from mpbus.connect import REFUSES
from mpbus.errors import LogUnavailable, Unusable
from mpbus.reader import GENESIS, Commit, LogReader
from mpclient.bounds import bounded_async
from mpclient.errors import UnexpectedAnswer
from mpservice.database import DRIVER_ERRORS, Connector
from mpservice.rights import OPERATOR, PROVISION
from mpservice.services import BY_NAME
from nats.aio.client import Client
from nats.errors import Error as NatsError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from mpoperator.errors import NotConfigured, ServerGone, said
from mpoperator.site.connections import answering
from mpoperator.site.settings import OperatorSettings

WAIT_SECONDS = 3.0
CREDENTIALS = "see context/operations/credentials.md"
GONE = (NatsError, LogUnavailable, OSError, TimeoutError)
_PROCESSES = {"nats": "nats", "redis": "valkey", "postgres": "postgres"}
"""The names by which mpd calls the servers."""


@dataclass
class Cluster:
    """Open connections, each perhaps missing; `errors` says why, by the server's name."""

    settings: OperatorSettings
    http: httpx.AsyncClient
    nc: Client | None = None
    database: asyncpg.Connection | None = None
    redis: redis.Redis | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def shard(self) -> str:
        """The shard that is looked at."""
        return self.settings.shard

    async def api(self, subject: str, body: bytes = b"") -> dict[str, Any]:
        """One answer of JetStream's API, errors included. Raises what NATS raises."""
        assert self.nc is not None
        answer = await self.nc.request(f"$JS.API.{subject}", body, timeout=WAIT_SECONDS)
        return dict(msgspec.json.decode(answer.data))

    async def stream(self, name: str) -> dict[str, Any] | None:
        """Return JetStream's answer about a stream; None where there is none."""
        info = await self.api(f"STREAM.INFO.{name}")
        return None if "error" in info else info

    async def head(self) -> Commit | None:
        """The newest commit of the log, None when it is empty."""
        assert self.nc is not None
        reader = LogReader(self.nc, self.shard)
        head = await reader.head()
        return None if head == GENESIS else await reader.commit_at(head.stream_seq)

    async def monitor(self, path: str) -> dict[str, Any] | None:
        """Return the answer of nats-server's monitoring address; None where it is not known or does not answer."""
        url = self.settings.nats_monitor_url
        return await self.get_json(url.rstrip("/") + path) if url else None

    async def get_json(self, url: str) -> dict[str, Any] | None:
        """A JSON object from an address, whatever the status; None when nothing answers with one."""
        try:
            found = msgspec.json.decode((await self.http.get(url)).content)
        except (httpx.HTTPError, UnexpectedAnswer, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    async def get_text(self, url: str) -> str | None:
        """Text from an address; None unless the answer is 200."""
        try:
            answer = await self.http.get(url)
        except (httpx.HTTPError, UnexpectedAnswer):
            return None
        return answer.text if answer.is_success else None

    def module(self, words: str, **environment: str) -> str:
        """Return the command that runs a module of ours here."""
        makes_streams = words.startswith("mpservice ") or words.endswith("--rebuild")
        options = self.settings.nats(PROVISION if makes_streams else OPERATOR)
        needed = {} if "MP_NATS_URL" in os.environ or "@" in options.url else {"MP_NATS_URL": options.url}
        if makes_streams and options.nkey_seed_file and "MP_NATS_NKEY_SEED_FILE" not in os.environ:
            needed["MP_NATS_NKEY_SEED_FILE"] = str(options.nkey_seed_file)
        shard = {} if self.shard == "0" else {"MP_SHARD": self.shard}
        return " ".join([*(f"{k}={v}" for k, v in (needed | shard | environment).items()), f"python -m {words}"])

    def mend_server(self, name: str) -> str:
        """Return the remedy for a server that is away, or that does not let us in."""
        return CREDENTIALS if REFUSES in self.errors[name] else self.start(_PROCESSES[name])

    def start(self, name: str) -> str:
        """Return the command that starts a process, by the name that mpd gives it."""
        folder = self.settings.data_dir
        if not folder:
            return "start it, or correct its address in the settings"
        if _mpd_runs(Path(folder)):
            return f"mpd starts it again by itself: `mpd logs {name} --data {folder}` says why it ended"
        return f"mpd start --detach --data {folder}"

    def serve(self, kind: str) -> str:
        """Return the command that starts a first process: by mpd, where its data is, else by its module."""
        name = f"{kind}-1"
        if not self.settings.data_dir:
            return self.module(BY_NAME[kind].package)
        return self.start(name) if name in self.settings.services else self._restart

    @property
    def migrate(self) -> str:
        """Return the command that makes this build's tables and roles: mpd does it at its start, with all passwords."""
        return self._restart if self.settings.data_dir else self.module("mpprojector migrate")

    @property
    def _restart(self) -> str:
        folder = self.settings.data_dir
        stop = f"mpd stop --data {folder} && " if folder and _mpd_runs(Path(folder)) else ""
        return f"{stop}mpd start --detach --data {folder}"

    def sql(self, statement: str) -> str:
        """Return the command that runs a statement as the owner: one of ours, which knows where and as whom."""
        return f"python -m mpoperator.sql {shlex.quote(statement)}"


def _mpd_runs(folder: Path) -> bool:
    """Return whether the mpd that wrote down its state there lives."""
    try:
        os.kill(int(json.loads((folder / "state.json").read_text())["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return False
    return True


@contextlib.asynccontextmanager
async def cluster(settings: OperatorSettings, user: str = OPERATOR) -> AsyncIterator[Cluster]:
    """Connect to what answers, to NATS as a user of `mpservice.users`."""
    async with httpx.AsyncClient(timeout=WAIT_SECONDS, **bounded_async()) as http:
        found = Cluster(settings, http)
        await asyncio.gather(_open_bus(found, user), _open_database(found), _open_redis(found))
        try:
            yield found
        finally:
            await _close(found)


async def _open_bus(found: Cluster, user: str) -> None:
    options = found.settings.nats(user)
    try:
        found.nc = await answering(options, WAIT_SECONDS)
    except (Unusable, ServerGone) as error:
        found.errors["nats"] = str(error)


async def _open_database(found: Cluster) -> None:
    try:
        dsn = found.settings.known_dsn
    except NotConfigured as error:
        found.errors["postgres"] = str(error)
        return
    if dsn is None:
        found.errors["postgres"] = "where PostgreSQL is is not known: set MP_POSTGRES_OWNER_DSN"
        return
    try:
        found.database = await Connector(dsn, "mpctl", connect_seconds=WAIT_SECONDS).connect()
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        found.errors["postgres"] = f"PostgreSQL {REFUSES}: {error}; {CREDENTIALS}"
    except DRIVER_ERRORS as error:
        found.errors["postgres"] = f"PostgreSQL does not answer: {said(error)}"


async def _open_redis(found: Cluster) -> None:
    if found.settings.redis_url is None:
        found.errors["redis"] = "where Redis is is not known: set MP_REDIS_URL"
        return
    client = redis.Redis.from_url(
        found.settings.redis_url.get_secret_value(),
        **found.settings.redis_options(),
        socket_timeout=WAIT_SECONDS,
        socket_connect_timeout=WAIT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        await client.ping()
    except Exception as error:  # Whatever its client raises: what is gone is to be found out.
        refused = isinstance(error, AuthenticationError | NoPermissionError)
        how = f"{REFUSES}: {error}; {CREDENTIALS}" if refused else f"does not answer: {said(error)}"
        found.errors["redis"] = f"Redis {how}"
        await client.aclose()
    else:
        found.redis = client


async def _close(found: Cluster) -> None:
    if found.redis is not None:
        with contextlib.suppress(RedisError, OSError):
            await found.redis.aclose()
    if found.database is not None:
        found.database.terminate()
    if found.nc is not None:
        with contextlib.suppress(*GONE):
            await found.nc.close()


class Stopwatch:
    """The times of a question and its answer, by this machine's clock: their middle is compared with another clock."""

    def __init__(self) -> None:
        self._asked = time.time()

    def skew_seconds(self, their_seconds: float) -> float:
        """Return how far another clock, read in between, is ahead of ours; at most half the round trip off."""
        return their_seconds - (self._asked + time.time()) / 2

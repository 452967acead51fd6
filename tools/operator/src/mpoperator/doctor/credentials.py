"""Credentials that servers ask for: tried by coming without one."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import asyncpg
import redis.asyncio as redis
from mpbus.options import NatsOptions
from mpservice.database import DRIVER_ERRORS
from nats.aio.client import Client
from nats.errors import Error as NatsError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from mpoperator.doctor.report import DoctorCheck, ok, problem, unknown
from mpoperator.site.cluster import WAIT_SECONDS, Cluster

_PAGE = "see context/operations/credentials.md"
_OPEN = "asks for a credential: no: whoever reaches it may do everything"
_MENDS = {
    "nats": f"put the users that `mpd keys --dir DIR` makes into nats-server's configuration; {_PAGE}",
    "redis": f"start it with --aclfile and the users that `mpd keys --dir DIR` makes; {_PAGE}",
    "postgres": f"let pg_hba.conf ask for scram-sha-256 on every line; {_PAGE}",
}


async def credential_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of each server that answers us: what it answers a stranger."""
    asked = await asyncio.gather(_nats(cluster), _redis(cluster), _postgres(cluster))
    return [_judged(name, found) for name, found in zip(_MENDS, asked, strict=True)]


def _judged(name: str, found: bool | None) -> DoctorCheck:
    label = f"credential {name}"
    if found is None:
        return unknown(label, "the server does not answer us; whether it asks is not known", because=name)
    return ok(label, "asks for a credential: yes") if found else problem(label, _OPEN, _MENDS[name])


async def _nats(cluster: Cluster) -> bool | None:
    """A stranger who comes in was not asked. Nobody else who is kept out says more than that."""
    if cluster.nc is None:
        return None
    options = cluster.settings.nats()
    stranger = Client()
    bare = NatsOptions(_without_login(options.url), ca_file=options.ca_file, server_name=options.server_name)
    try:
        await stranger.connect(
            bare.url.split(","),
            allow_reconnect=False,
            connect_timeout=int(WAIT_SECONDS),
            error_cb=_unsaid,
            **bare.client_options(),
        )
    except (NatsError, OSError, TimeoutError):
        return True
    await stranger.close()
    return False


async def _unsaid(_: Exception) -> None:
    """To be kept out is what was asked for."""


async def _redis(cluster: Cluster) -> bool | None:
    if cluster.redis is None or cluster.settings.redis_url is None:
        return None
    options = {name: value for name, value in cluster.settings.redis_options().items() if name.startswith("ssl_")}
    stranger = redis.Redis.from_url(
        _without_login(cluster.settings.redis_url.get_secret_value()),
        socket_timeout=WAIT_SECONDS,
        socket_connect_timeout=WAIT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    try:
        await stranger.ping()
    except AuthenticationError:
        return True
    except (RedisError, OSError):
        return None
    finally:
        await stranger.aclose()
    return False


async def _postgres(cluster: Cluster) -> bool | None:
    """As ourselves, with a password that is not ours: where it comes in, none is looked at."""
    dsn = cluster.settings.known_dsn
    if cluster.database is None or dsn is None:
        return None
    try:
        stranger = await asyncpg.connect(dsn, password=secrets.token_hex(8), timeout=WAIT_SECONDS)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError):
        return True
    except DRIVER_ERRORS:
        return None
    stranger.terminate()
    return False


def _without_login(url: str) -> str:
    parts = []
    for each in url.split(","):
        found = urlsplit(each.strip())
        parts.append(found._replace(netloc=found.netloc.rpartition("@")[2]).geturl())
    return ",".join(parts)

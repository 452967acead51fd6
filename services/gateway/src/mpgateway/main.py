"""The gateway process: connect the world, serve, and leave in order."""

import asyncio
import gc
import resource
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog
from mpbus.connect import connect
from mpbus.producer import CommandProducer
from mpbus.reader import LogReader
from mpbus.tasks import end
from mpbus.vitals import Vital
from mpservice.lifecycle import Lifecycle
from mpservice.program import run_service
from mpservice.settings import read_settings
from redis.asyncio import Redis

from mpgateway.app import GatewayDependencies, build
from mpgateway.auth.access import Access
from mpgateway.auth.oidc import Oidc
from mpgateway.auth.refusals import Refusals
from mpgateway.condition import Condition
from mpgateway.cors import Cors
from mpgateway.database import ReadModels
from mpgateway.limits import REDIS_SECONDS
from mpgateway.server import GatewayServer
from mpgateway.settings import GatewaySettings
from mpgateway.spec import SERVICE
from mpgateway.streaming.feed import BACKFILL_BATCH, BACKFILL_BYTES
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.tail import Tail
from mpgateway.tracing import Tracing

FILES_WANTED = 65_536
EXIT_FAILED = 1
"""The log is read no more: what is known of who may enter would grow old unheard. A new process begins anew."""
log = structlog.get_logger(__name__)


def main() -> int:
    """Run until told to stop. Returns the exit code."""
    _raise_file_limit()
    return run_service(SERVICE.name, read_settings(GatewaySettings), run, GatewaySettings.read_secrets)


async def run(settings: GatewaySettings, life: Lifecycle) -> int:
    """Connect, serve until told to stop, and close what was opened, last first."""
    async with AsyncExitStack() as stack:
        world = await _connect(settings, life, stack)
        app, clients = build(world)
        origins = settings.cors_origin_names
        server = GatewayServer(
            Cors(app, origins) if origins else app,
            settings.http_host,
            settings.http_port,
            settings.drain_seconds,
            settings.trusted_proxies,
            settings.wire_limits,
        )
        _spare_the_collector()
        log.info("gateway.starting", host=settings.http_host, port=settings.http_port)
        life.serves(
            lambda: world.condition.health(bound=server.started, strangers=server.proxies.strangers), life.asked.set
        )
        await world.tail.start(life.asked.set)
        await _first_of(life.asked.wait(), world.tail.settled())
        if not life.asked.is_set():
            await server.serve_until_told(life.asked, lambda: world.ring.end("shutdown"), lambda: clients.count)
    log.info("gateway.stopped")
    return EXIT_FAILED if world.tail.failed else 0


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    waiting = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await end(*waiting)


async def _connect(settings: GatewaySettings, life: Lifecycle, stack: AsyncExitStack) -> GatewayDependencies:
    tracing = Tracing(settings.otlp_endpoint, settings.node) if settings.otlp_endpoint else None
    if tracing is not None:
        stack.callback(tracing.close)
    nats, log_vital, options = Vital("nats"), Vital("log"), settings.nats(SERVICE.name)
    commands = await life.reach(nats, connect(options, f"{settings.node} commands", writer=True, vital=nats))
    stack.push_async_callback(commands.close)
    producer = CommandProducer(commands, settings.shard)
    await producer.start()
    stack.push_async_callback(producer.close)
    log_connection = await life.reach(log_vital, connect(options, f"{settings.node} log", vital=log_vital))
    stack.push_async_callback(log_connection.close)
    reader, ring = LogReader(log_connection, settings.shard), Ring(settings.stream_ring_bytes)
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        **settings.redis_options(),
    )
    stack.push_async_callback(redis.aclose)
    oidc = identity_provider(settings, ring, stack)
    refusals = Refusals(redis)
    access = Access(log_connection, reader, settings.shard, settings.operator_names, refusals)
    tail = Tail(ring, reader, settings.stream_heartbeat_seconds / 2, access)
    stack.push_async_callback(tail.close)
    read_models = ReadModels(settings.dsn, settings.postgres_connections)
    await read_models.start()
    stack.push_async_callback(read_models.close)
    condition = Condition(nats, log_vital, read_models, redis, tail, ring, access)
    await condition.start()
    stack.push_async_callback(condition.close)
    reader = LogReader(log_connection, settings.shard, batch=BACKFILL_BATCH, bytes_max=BACKFILL_BYTES)
    return GatewayDependencies(
        settings, condition, redis, producer, read_models, access, refusals, ring, reader, tail, tracing, oidc
    )


def identity_provider(settings: GatewaySettings, ring: Ring, stack: AsyncExitStack) -> Oidc | None:
    """The identity provider of the settings, whose keys are fetched until the stack ends; None where none is set."""
    if not settings.oidc_issuer:
        return None
    oidc = Oidc(
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_jwks_url,
        settings.operator_names,
        on_change=ring.tick,
    )
    stack.push_async_callback(oidc.close)
    return oidc


def _spare_the_collector() -> None:
    """Spare the collector what stays: walking through it again and again cost pauses of up to 200 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _raise_file_limit() -> None:
    """A thousand streams are a thousand open files: take what the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

"""The Litestar application: all routes on one router, every stray error a problem, and everything wired together."""

from dataclasses import dataclass
from typing import Any

from litestar import Litestar, Request, Response
from mpbus.producer import CommandProducer
from mpbus.reader import LogReader
from redis.asyncio import Redis

from mpgateway.auth.access import Access
from mpgateway.auth.agent_tokens import AgentTokens
from mpgateway.auth.api_keys import ApiKeys
from mpgateway.auth.authenticator import Authenticator
from mpgateway.auth.door import Door
from mpgateway.auth.oidc import Oidc
from mpgateway.auth.refusals import Refusals
from mpgateway.batch import Batches
from mpgateway.commanding import Commanding
from mpgateway.condition import Condition
from mpgateway.credentials import CredentialIssuer
from mpgateway.database import ReadModels
from mpgateway.gathering import Gathering
from mpgateway.limits import Rate, RateLimiter
from mpgateway.pipeline import Pipeline
from mpgateway.problems import answer_of, refusal_of
from mpgateway.queries.freshness import Freshness
from mpgateway.queries.reading import Reader
from mpgateway.routes.domain import Route, batch_route, command_routes, query_routes
from mpgateway.routes.events import SOCKET_PATH, EventRoutes
from mpgateway.routes.operations import Operations
from mpgateway.routes.page import page_routes
from mpgateway.routing import give_parameters, handler, handlers
from mpgateway.settings import GatewaySettings
from mpgateway.streaming.clients import Clients, StreamSettings
from mpgateway.streaming.feed import Feed
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.shares import SeatLimits
from mpgateway.streaming.tail import Tail
from mpgateway.tracing import Tracing


@dataclass(frozen=True)
class GatewayDependencies:
    """The dependencies of the gateway, connected by `main`."""

    settings: GatewaySettings
    condition: Condition
    redis: Redis
    producer: CommandProducer
    read_models: ReadModels
    access: Access
    refusals: Refusals
    ring: Ring
    reader: LogReader
    tail: Tail
    tracing: Tracing | None
    oidc: Oidc | None


def build(world: GatewayDependencies) -> tuple[Litestar, Clients]:
    """The application over a connected world, and the clients of its event streams."""
    settings, read_models = world.settings, world.read_models
    access, refusals = world.access, world.refusals
    keys = ApiKeys(settings.pepper, settings.root_key_hash, access)
    tokens = AgentTokens(settings.token_key)
    authenticator = Authenticator(access, keys, tokens, world.oidc, refusals)
    rate = Rate(settings.rate_limit_per_second, settings.rate_limit_burst)
    limiter = RateLimiter(world.redis, "principals", rate)
    gathering = Gathering(settings.http_bodies_bytes, settings.http_bodies_principal_bytes)
    pipeline = Pipeline(authenticator, Door(access, refusals), limiter, gathering, world.tracing)
    commanding = Commanding(
        world.producer, refusals, settings.outcome_seconds, private_endpoints=settings.webhooks_allow_private
    )
    feed = Feed(world.ring, world.reader, settings.stream_read_bytes_per_second)
    clients = Clients(feed, access, authenticator, _stream_settings(settings))
    events = EventRoutes(clients, world.tail, refusals)
    routes: list[Route] = [
        *command_routes(commanding, CredentialIssuer(commanding, keys, tokens, settings.webhook_key, feed)),
        *query_routes(Reader(read_models, Freshness(read_models), lambda: world.ring.cursor.seq)),
        batch_route(Batches(commanding), pipeline),
        events.sse(),
        *page_routes(),
        *Operations(world.condition).routes(),
    ]
    app = Litestar(
        route_handlers=[*handlers(routes, pipeline), handler(SOCKET_PATH, events.socket(pipeline))],
        exception_handlers={Exception: _problem, 500: _problem},
        openapi_config=None,
        logging_config=None,
    )
    give_parameters(app)
    return app, clients


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Turn an exception into a problem: a refusal of Litestar's (no such path, no valid host), or an uncaught one."""
    raw: bytes = request.scope.get("raw_path") or b""
    answer = answer_of(refusal_of(error), raw.decode("ascii", "replace"))
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    media_type = headers.pop("content-type")
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=media_type)


def _stream_settings(settings: GatewaySettings) -> StreamSettings:
    return StreamSettings(
        heartbeat_seconds=settings.stream_heartbeat_seconds,
        stall_seconds=settings.stream_stall_seconds,
        seats=SeatLimits(settings.stream_clients_max, settings.stream_workspace_max, settings.stream_principal_max),
        unread_max=settings.stream_unread_max,
    )

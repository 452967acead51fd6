"""The routes of the domain: one for each command and query of the registry, the batch, and the making of keys."""

from collections.abc import Iterator
from functools import partial

from mpschema.openapi.doors import BATCH, NEW_KEY
from mpschema.queries import QUERIES
from mpschema.registry import ALL_COMMANDS
from mpschema.system import LOG

from mpgateway.batch import Batches
from mpgateway.commanding import Commanding
from mpgateway.credentials import CredentialIssuer
from mpgateway.http import HttpRequest, Response
from mpgateway.pipeline import Operation, Pipeline
from mpgateway.queries.reading import Query, Reader

Route = tuple[str, str, Operation]
"""Path, method, and what happens there."""


def command_routes(commanding: Commanding, credentials: CredentialIssuer) -> Iterator[Route]:
    """A route for each command, and the one that makes API keys."""
    secretive = {
        "session.issue_token": credentials.issue_token,
        "webhook.create": credentials.issue_secret,
        "webhook.rotate_secret": credentials.issue_secret,
    }
    for spec in ALL_COMMANDS.values():
        answer = secretive.get(spec.command_type, commanding.command)
        # Neither of these has a workspace yet whose door could be asked.
        operators = spec.aggregate == LOG or (spec.aggregate == "workspace" and spec.creates)
        yield spec.route, "POST", Operation(spec.command_type, partial(answer, spec), operators=operators)
    yield NEW_KEY, "POST", Operation("principal.new_key", credentials.issue_key)


def batch_route(batches: Batches, pipeline: Pipeline) -> Route:
    """The route of batches. A batch costs a permit a line; the first is taken at the door."""

    async def answer(request: HttpRequest) -> Response:
        lines = await batches.read(request)
        if len(lines) > 1:
            await pipeline.charge(request, len(lines) - 1)
        return await batches.run(request, lines)

    return BATCH, "POST", Operation("commands.batch", answer)


def query_routes(reader: Reader) -> Iterator[Route]:
    """A route for each query."""
    for spec in QUERIES.values():
        yield spec.route, "GET", Operation(spec.query_type, Query(spec, reader).answer)

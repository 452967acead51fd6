"""Our handlers on Litestar's router: plain ASGI (11 µs a request, where its own HTTP handlers take 43) by path."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from litestar import Litestar
from litestar.handlers import ASGIRouteHandler

from mpgateway.http import Receive, Scope, Send
from mpgateway.pipeline import Operation, Pipeline
from mpgateway.routes.domain import Route

Handle = Callable[[Scope, Receive, Send], Awaitable[None]]


def handlers(routes: Iterable[Route], pipeline: Pipeline) -> list[ASGIRouteHandler]:
    """A handler for each path of the routes, which serves all methods of that path."""
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for path, method, operation in routes:
        assert method not in by_path[path], f"{method} {path} exists once"
        by_path[path][method] = operation
    return [handler(path, pipeline.route(operations)) for path, operations in by_path.items()]


def handler(path: str, handle: Handle) -> ASGIRouteHandler:
    """The Litestar handler of one path, written with `{name}` for its parameters."""

    async def route(scope: Any, receive: Any, send: Any) -> None:
        await handle(scope, receive, send)

    return ASGIRouteHandler(path.replace("}", ":str}"), copy_scope=False)(route)


def give_parameters(app: Litestar) -> None:
    """Let ASGI handlers have path parameters.

    Litestar 2.25 stores the parameters of an ASGI handler under the key `asgi` and looks them up by HTTP method, which
    fails for every path that has any.
    """
    nodes = [app.asgi_router.root_route_map_node]
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children.values())
        if node.is_asgi:
            node.path_parameters = _OfAnyMethod(node.path_parameters)


class _OfAnyMethod(dict[Any, Any]):
    """What is stored under `asgi`, by whatever method it is asked for."""

    def __missing__(self, method: str) -> Any:
        return self["asgi"]

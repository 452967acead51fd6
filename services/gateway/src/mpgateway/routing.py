"""Our handlers on Litestar's router: plain ASGI (11 µs a request, where its own HTTP handlers take 43) by path."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from litestar import Litestar
from litestar.handlers import ASGIRouteHandler
from litestar.types import ExceptionHandlersMap
from mpschema.rejections import Code

from mpgateway.http import Receive, Scope, Send, send_answer
from mpgateway.pipeline import Operation, Pipeline
from mpgateway.problems import RequestRefused, answer_of
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
        if not _has_one_spelling(scope):
            await _answer_nothing(scope, send)
            return
        await handle(scope, receive, send)

    return _Handler(path.replace("}", ":str}"), copy_scope=False)(route)


class _Handler(ASGIRouteHandler):
    """A handler that knows the exception handlers of its route; Litestar 2.25 gathers them anew at each request."""

    _known: "ExceptionHandlersMap | None" = None  # In quotes: when it runs, Litestar's alias is a text.

    def resolve_exception_handlers(self) -> ExceptionHandlersMap:
        """The exception handlers of the route and of what it stands in."""
        if self._known is None:
            self._known = super().resolve_exception_handlers()
        return self._known


def _has_one_spelling(scope: Any) -> bool:
    """Tell whether each part of the path is a name. Litestar drops empty parts, and takes `%2F` for a slash.

    What a proxy allows by its path must be what is answered here.
    """
    raw: bytes = scope["raw_path"]
    if b"//" in raw or raw.endswith(b"/"):
        return raw == b"/"
    return b"%" not in raw or b"%2f" not in raw.lower()


async def _answer_nothing(scope: Any, send: Send) -> None:
    told = "there is nothing at this path: its parts have names, and one slash between them"
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": told})
        return
    refused = RequestRefused(Code.NOT_FOUND, told)
    await send_answer(send, answer_of(refused, scope["raw_path"].decode("ascii", "replace")))


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
    """The entry stored under `asgi`, for every method."""

    def __missing__(self, method: str) -> Any:
        return self["asgi"]

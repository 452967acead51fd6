"""A stand-in for a container engine: as much of its API as `docker-compose up` asks for, over a socket in a folder.

Nothing runs. It keeps what it is told to make, and refuses what a real engine refuses: to copy a file into a read-only
container, and to mount what is not there. A task is done as soon as it is started, anything else is healthy.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
Answer = tuple[HTTPStatus, Any]
_IMAGE = "sha256:" + "a" * 64
_NOT_FOUND = (HTTPStatus.NOT_FOUND, {"message": "not here"})
_VERSION = {"Version": "29.0.0", "ApiVersion": "1.51", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
_INFO = {
    "OSType": "linux",
    "Architecture": "x86_64",
    "ServerVersion": "29.0.0",
    "Swarm": {"LocalNodeState": "inactive"},
}


@dataclass
class Container:
    """One that was created."""

    id: str
    name: str
    body: Json
    started: bool = False

    @property
    def service(self) -> str:
        """Its service in the Compose file."""
        return str(self.body["Labels"]["com.docker.compose.service"])

    @property
    def host(self) -> Json:
        """The configuration it asks of its host."""
        return dict(self.body["HostConfig"])

    def state(self, tasks: frozenset[str]) -> Json:
        """Return its state, as an engine reports it."""
        if not self.started:
            return {"Status": "created", "Running": False}
        if self.service in tasks:
            return {"Status": "exited", "Running": False, "ExitCode": 0}
        return {"Status": "running", "Running": True, "Health": {"Status": "healthy"}}

    def listed(self, tasks: frozenset[str]) -> Json:
        """It, in a list."""
        state = str(self.state(tasks)["Status"])
        shown = {"Id": self.id, "Names": [f"/{self.name}"], "Labels": self.body["Labels"], "Image": self.body["Image"]}
        return shown | {"State": state, "Status": state, "ImageID": _IMAGE, "NetworkSettings": {"Networks": {}}}

    def inspected(self, tasks: frozenset[str]) -> Json:
        """Everything about it."""
        shown = {"Id": self.id, "Name": f"/{self.name}", "Image": _IMAGE, "State": self.state(tasks), "Mounts": []}
        return shown | {"Config": self.body, "HostConfig": self.host, "NetworkSettings": {"Networks": {}}}


@dataclass
class Engine:
    """The containers, networks and volumes that were made. `tasks` are the services that run to their end."""

    tasks: frozenset[str]
    containers: dict[str, Container] = field(default_factory=dict)
    networks: dict[str, Json] = field(default_factory=dict)
    volumes: dict[str, Json] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    """Requests it has no answer for."""

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> Answer:
        """One request."""
        for pattern, methods, handle in _ROUTES:
            if method in methods and (found := re.fullmatch(pattern, path)):
                return handle(self, found.groupdict(), query, body)
        self.unknown.append(f"{method} {path}")
        return _NOT_FOUND

    def made(self, service: str) -> list[Container]:
        """The containers of a service."""
        return [container for container in self.containers.values() if container.service == service]

    def _find(self, name: str) -> Container | None:
        found = [one for one in self.containers.values() if name in (one.id, one.name)]
        return found[0] if found else None

    def create(self, name: str, body: Json) -> Answer:
        """Make a container, unless something that it mounts is missing."""
        for mount in body["HostConfig"].get("Mounts") or []:
            if mount["Type"] == "bind" and not Path(mount["Source"]).exists():
                message = f"invalid mount config: bind source path does not exist: {mount['Source']}"
                return HTTPStatus.BAD_REQUEST, {"message": message}
        container = Container(f"{len(self.containers) + 1:064x}", name, body)
        self.containers[container.id] = container
        return HTTPStatus.CREATED, {"Id": container.id, "Warnings": []}

    def start(self, name: str) -> Answer:
        """Start a container."""
        if (container := self._find(name)) is None:
            return _NOT_FOUND
        container.started = True
        return HTTPStatus.NO_CONTENT, None

    def inspect(self, name: str) -> Answer:
        """Tell everything about a container."""
        container = self._find(name)
        return (HTTPStatus.OK, container.inspected(self.tasks)) if container else _NOT_FOUND

    def copy_into(self, name: str) -> Answer:
        """Copy a file into a container, unless its root is read-only."""
        container = self._find(name)
        if container is None:
            return _NOT_FOUND
        if container.host.get("ReadonlyRootfs"):
            return HTTPStatus.BAD_REQUEST, {"message": "container rootfs is marked read-only"}
        return HTTPStatus.OK, None

    def listed(self) -> Answer:
        """Every container."""
        return HTTPStatus.OK, [container.listed(self.tasks) for container in self.containers.values()]

    def make_network(self, body: Json) -> Answer:
        """Make a network."""
        made: Json = {"Id": f"network-{body['Name']}", "Driver": "bridge", "Containers": {}, **body}
        self.networks[body["Name"]] = self.networks[made["Id"]] = made
        return HTTPStatus.CREATED, {"Id": made["Id"]}

    def make_volume(self, body: Json) -> Answer:
        """Make a volume."""
        made = {"Driver": "local", "Mountpoint": "/volume", "Scope": "local"} | body
        self.volumes[body["Name"]] = made
        return HTTPStatus.CREATED, made


_Handler = Callable[[Engine, dict[str, str], dict[str, list[str]], Json], Answer]
_ROUTES: tuple[tuple[str, tuple[str, ...], _Handler], ...] = (
    ("/_ping", ("GET", "HEAD"), lambda engine, at, query, body: (HTTPStatus.OK, None)),
    ("/version", ("GET",), lambda engine, at, query, body: (HTTPStatus.OK, _VERSION)),
    ("/info", ("GET",), lambda engine, at, query, body: (HTTPStatus.OK, _INFO)),
    ("/images/(?P<name>.+)/json", ("GET",), lambda engine, at, query, body: (HTTPStatus.OK, _image(at["name"]))),
    ("/networks", ("GET",), lambda engine, at, query, body: (HTTPStatus.OK, list(engine.networks.values()))),
    ("/networks/create", ("POST",), lambda engine, at, query, body: engine.make_network(body)),
    ("/networks/(?P<name>[^/]+)", ("GET",), lambda engine, at, query, body: _one(engine.networks, at["name"])),
    ("/volumes", ("GET",), lambda engine, at, query, body: (HTTPStatus.OK, {"Volumes": []})),
    ("/volumes/create", ("POST",), lambda engine, at, query, body: engine.make_volume(body)),
    ("/volumes/(?P<name>[^/]+)", ("GET",), lambda engine, at, query, body: _one(engine.volumes, at["name"])),
    ("/containers/json", ("GET",), lambda engine, at, query, body: engine.listed()),
    ("/containers/create", ("POST",), lambda engine, at, query, body: engine.create(query["name"][0], body)),
    ("/containers/(?P<name>[^/]+)/json", ("GET",), lambda engine, at, query, body: engine.inspect(at["name"])),
    ("/containers/(?P<name>[^/]+)/start", ("POST",), lambda engine, at, query, body: engine.start(at["name"])),
    ("/containers/(?P<name>[^/]+)/archive", ("PUT",), lambda engine, at, query, body: engine.copy_into(at["name"])),
)


def _image(name: str) -> Json:
    shown = {"Id": _IMAGE, "RepoTags": [name], "Config": {"Labels": {}, "Env": []}}
    return shown | {"Os": "linux", "Architecture": "amd64", "RootFS": {"Type": "layers"}}


def _one(known: dict[str, Json], name: str) -> Answer:
    return (HTTPStatus.OK, known[name]) if name in known else _NOT_FOUND


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128  # Compose asks for everything at once.

    def __init__(self, path: Path, engine: Engine) -> None:
        self.engine = engine
        super().__init__(str(path), _Request)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        is_json = "json" in self.headers.get("Content-Type", "")
        body = json.loads(data) if data and is_json else {}
        path = re.sub(r"^/v[\d.]+", "", unquote(parts.path))
        status, answer = self.server.engine.answer(self.command, path, parse_qs(parts.query), body)
        self._send(status, b"" if answer is None else json.dumps(answer).encode())

    def _send(self, status: HTTPStatus, data: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Api-Version": "1.51", "Ostype": "linux"}
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method of HTTP is looked up as do_METHOD."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def address_string(self) -> str:
        return "docker-compose"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def engine(folder: Path, *, tasks: frozenset[str]) -> Iterator[tuple[Engine, str]]:
    """A running engine and its address."""
    made, path = Engine(tasks), folder / "engine.sock"
    with _Server(path, made) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield made, f"unix://{path}"
        finally:
            server.shutdown()
            serving.join()

"""nats-server with JetStream, alone or as a cluster of three."""

from __future__ import annotations

import http.client
import json
import signal
import time
from pathlib import Path
from typing import Any

from mpd.ports import HOST, free_port
from mpd.process import POLL_SECONDS, ChildProcess
from mpd.servers import wheels

PAYLOAD_BYTES_MAX = 8 * 1024 * 1024


class NatsServer(ChildProcess):
    """One nats-server. Ports left out are chosen freely and kept over restarts; everything it writes is in `folder`."""

    stop_signal = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        monitor_port: int | None = None,
        name: str = "nats",
        cluster_port: int | None = None,
        routes: tuple[int, ...] = (),
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.monitor_port = monitor_port or free_port()
        self.cluster_port = cluster_port
        self.routes = routes
        self.config_path = folder / "nats.conf"
        super().__init__(name, [str(wheels.nats_server()), "--config", str(self.config_path)], folder / "nats.log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{HOST}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Where it says how it is, over HTTP."""
        return f"http://{HOST}:{self.monitor_port}"

    def spawn(self) -> None:
        """Write the configuration, then start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_path.write_text(self._config())
        super().spawn()

    def is_ready(self) -> bool:
        """Whether JetStream answers, which in a cluster includes knowing the meta leader."""
        return self.monitor("/healthz") is not None

    def peers_online(self) -> int:
        """How many other nodes this one leads in the cluster's meta group; 0 if it does not lead."""
        meta = (self.monitor("/jsz") or {}).get("meta_cluster", {})
        return sum(1 for peer in meta.get("replicas", []) if peer["current"] and not peer.get("offline"))

    def monitor(self, path: str) -> dict[str, Any] | None:
        """What the monitoring port answers, None if it does not or reports an error."""
        connection = http.client.HTTPConnection(HOST, self.monitor_port, timeout=1)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return dict(json.loads(response.read())) if response.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _config(self) -> str:
        lines = [
            f"server_name: {self.name}",
            f"listen: {HOST}:{self.port}",
            f"http: {HOST}:{self.monitor_port}",
            f"max_payload: {PAYLOAD_BYTES_MAX}",
            "max_pending: 256MB",
            # An answered command is on disk: without `always` an acknowledged message may still be in memory.
            f'jetstream {{ store_dir: "{self.folder / "jetstream"}", sync_interval: always }}',
        ]
        if self.cluster_port is not None:
            routes = ", ".join(f'"nats://{HOST}:{port}"' for port in self.routes)
            lines.append(f"cluster {{ name: moduprompt, listen: {HOST}:{self.cluster_port}, routes: [{routes}] }}")
        return "\n".join(lines) + "\n"


class NatsCluster:
    """Three nats-servers that replicate. `nodes` may be killed and started one by one."""

    def __init__(self, folder: Path) -> None:
        routes = tuple(free_port() for _ in range(3))
        self.nodes = [
            NatsServer(folder / f"nats-{number}", name=f"nats-{number}", cluster_port=port, routes=routes)
            for number, port in enumerate(routes, start=1)
        ]

    @property
    def url(self) -> str:
        """The addresses of all nodes, comma separated."""
        return ",".join(node.url for node in self.nodes)

    def start(self) -> None:
        """Start all nodes, wait for each, then until the leader sees all: before, it places no replicated stream.

        Raises ServerFailed.
        """
        for node in self.nodes:
            if not node.running:
                node.spawn()
        for node in self.nodes:
            node.wait_ready()
        deadline = time.monotonic() + self.nodes[0].start_seconds_max
        while max(node.peers_online() for node in self.nodes) < len(self.nodes) - 1:
            if time.monotonic() > deadline:
                raise self.nodes[0].failure("the nodes do not see each other")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """End all nodes at once."""
        for node in self.nodes:
            node.kill()

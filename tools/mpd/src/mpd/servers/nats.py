"""nats-server with JetStream, alone or as a cluster of three."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpbus.accounts import NOBODYS_ACCOUNT, STREAMS_ACCOUNT

from mpd.keys import write_private
from mpd.ports import HOST, free_port
from mpd.process import ChildProcess
from mpd.servers import wheels
from mpd.starting import POLL_SECONDS

RELOAD_SECONDS = 10.0
PAYLOAD_BYTES_MAX = 8 * 1024 * 1024
BUFFERED_MESSAGES_MAX = 256
"""Messages that a stream holds before it has stored them; what comes then is refused.

It stores them all before it delivers one: a flood that waits for no answers stopped a stream's readers for its length.
"""


class NatsServer(ChildProcess):
    """One nats-server. Ports left out are chosen freely and kept over restarts; everything it writes is in `folder`."""

    stop_signal = signal.SIGTERM
    # After a write error (a full disk) it writes no more until it is started again, and says so on /healthz.
    stuck_seconds_max = 10.0
    of_others = ("authentication error", "authorization violation", "Authorization Violation")

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        monitor_port: int | None = None,
        name: str = "nats",
        cluster_port: int | None = None,
        routes: tuple[int, ...] = (),
        store_bytes_max: int | None = None,
        accounts: str = "",
        routes_password: str = "",
    ) -> None:
        """`accounts` is that part of its configuration, with all users (`mpbus.accounts`). Without it, it asks nobody
        who they are. So do routes without a password. `store_bytes_max` limits what JetStream keeps on disk; None: the
        disk does.

        `cluster_port` and `routes` (the cluster ports of all nodes) make it a node of a cluster.
        """
        self.folder = folder
        self.port = port or free_port()
        self.monitor_port = monitor_port or free_port()
        self.cluster_port = cluster_port
        self.routes = routes
        self.store_bytes_max = store_bytes_max
        self.payload_bytes_max = PAYLOAD_BYTES_MAX
        self.accounts = accounts
        self.routes_password = routes_password
        self.config_path = folder / "nats.conf"
        super().__init__(name, [str(wheels.nats_server()), "--config", str(self.config_path)], folder / "nats.log")

    @property
    def url(self) -> str:
        """The URL that clients connect to."""
        return f"nats://{HOST}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """The URL of its monitoring, over HTTP."""
        return f"http://{HOST}:{self.monitor_port}"

    def spawn(self) -> None:
        """Write the configuration, then start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.accounts:
            self._move_in()
        config = self._config()
        # What stands there already is not written again: on a full disk that would leave an empty file.
        if not self.config_path.exists() or self.config_path.read_text() != config:
            write_private(self.config_path, config)
        super().spawn()

    def _move_in(self) -> None:
        """Give streams from before there were accounts to the account of streams. They are folders of its name."""
        accounts = self.folder / "jetstream" / "jetstream"
        before, now = accounts / NOBODYS_ACCOUNT, accounts / STREAMS_ACCOUNT
        if before.exists() and not now.exists():
            before.rename(now)

    def reload(self) -> None:
        """Let it read its users anew, while it serves: twice, for it lays a new account's imports the second time."""
        write_private(self.config_path, self._config())
        for _ in range(2):
            before = self._read_at()
            os.kill(self.pid, signal.SIGHUP)
            deadline = time.monotonic() + RELOAD_SECONDS
            while self._read_at() == before:
                if time.monotonic() > deadline:
                    raise self.failure(f"did not read its configuration within {RELOAD_SECONDS:g} s")
                time.sleep(POLL_SECONDS)

    def _read_at(self) -> object:
        """Return the time it last read its configuration."""
        return (self.monitor("/varz") or {}).get("config_load_time")

    def is_ready(self) -> bool:
        """Tell whether JetStream answers, which in a cluster includes knowing the meta leader."""
        return self.monitor("/healthz") is not None

    def trouble(self) -> str:
        """See the class above."""
        return "NATS does not answer, or says that JetStream does not work"

    def peers_online(self) -> int:
        """Return the number of other nodes it leads in the cluster's meta group; 0 if it does not lead."""
        meta = (self.monitor("/jsz") or {}).get("meta_cluster", {})
        return sum(1 for peer in meta.get("replicas", []) if peer["current"] and not peer.get("offline"))

    def monitor(self, path: str) -> dict[str, Any] | None:
        """Return the answer of the monitoring port. None if there is none, or an error."""
        connection = http.client.HTTPConnection(HOST, self.monitor_port, timeout=1)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return dict(json.loads(response.read())) if response.status == http.HTTPStatus.OK else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _config(self) -> str:
        # Left to itself the server takes most of what is free when it starts: of a full disk, nothing, for ever.
        limit = self.store_bytes_max or shutil.disk_usage(self.folder).total
        lines = [
            f"server_name: {self.name}",
            f"listen: {HOST}:{self.port}",
            f"http: {HOST}:{self.monitor_port}",
            f"max_payload: {self.payload_bytes_max}",
            "max_pending: 256MB",
            # An answered command is on disk: without `always` an acknowledged message may still be in memory.
            f'jetstream {{ store_dir: "{self.folder / "jetstream"}", sync_interval: always',
            f"  max_file_store: {limit}, max_buffered_msgs: {BUFFERED_MESSAGES_MAX} }}",
        ]
        if self.cluster_port is not None:
            login = f"route:{self.routes_password}@" if self.routes_password else ""
            routes = ", ".join(f'"nats://{login}{HOST}:{port}"' for port in self.routes)
            # Clients know all nodes from their settings, and perhaps by other addresses than the nodes know each other.
            options = f"name: moduprompt, listen: {HOST}:{self.cluster_port}, no_advertise: true, routes: [{routes}]"
            if self.routes_password:
                options += f", authorization {{ user: route, password: {self.routes_password} }}"
            lines.append(f"cluster {{ {options} }}")
        return "\n".join([*lines, self.accounts.rstrip(), ""])


class NatsCluster:
    """Three nats-servers that replicate. `nodes` may be killed and started one by one.

    `port_of` gives the port for a name (nats-1, nats-1-monitor, nats-1-cluster and so on); left out, any free one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port_of: Callable[[str], int] = lambda _: free_port(),
        accounts: str = "",
        routes_password: str = "",
    ) -> None:
        names = [f"nats-{number}" for number in range(1, 4)]
        routes = tuple(port_of(f"{name}-cluster") for name in names)
        self.nodes = [
            NatsServer(
                folder / name,
                name=name,
                port=port_of(name),
                monitor_port=port_of(f"{name}-monitor"),
                cluster_port=cluster_port,
                routes=routes,
                accounts=accounts,
                routes_password=routes_password,
            )
            for name, cluster_port in zip(names, routes, strict=True)
        ]

    @property
    def url(self) -> str:
        """The addresses of all nodes, comma separated."""
        return ",".join(node.url for node in self.nodes)

    def start(self) -> None:
        """Start all nodes, wait for each, then until they are whole. Raises ServerFailed."""
        for node in self.nodes:
            if not node.running:
                node.spawn()
        for node in self.nodes:
            node.wait_ready()
        self.wait_whole()

    def wait_whole(self) -> None:
        """Wait until the leader sees all nodes: before, it places no replicated stream. Raises ServerFailed."""
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

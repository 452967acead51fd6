"""The services of ModuPrompt as child processes: kernel, relay, projector, gateway, webhooks."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

import psutil

from mpd.ports import HOST
from mpd.process import ChildProcess

PROGRAMS = {
    "kernel": ("mpkernel",),
    "relay": ("mpkernel", "relay"),
    "projector": ("mpprojector",),
    "gateway": ("mpgateway",),
    "webhooks": ("mpwebhooks",),
}
# Clients first, so that nothing is asked of a service that has left.
STOP_ORDER = ("gateway", "webhooks", "projector", "relay", "kernel")
TASK_SECONDS_MAX = 60.0
_ANSWER_BYTES_MAX = 1 << 20


class ServiceProcess(ChildProcess):
    """One process of a service. `ops_port` is for operators; `port` is a gateway's public one, else the same."""

    stop_seconds_max = 20.0
    stuck_seconds_max = 15.0

    def __init__(
        self,
        kind: str,
        name: str,
        ops_port: int,
        log_path: Path,
        environment: Mapping[str, str],
        http_port: int | None = None,
    ) -> None:
        self.kind = kind
        self.ops_port = ops_port
        self.port = http_port or ops_port
        super().__init__(name, [sys.executable, "-m", *PROGRAMS[kind]], log_path, environment=environment)

    @property
    def url(self) -> str:
        """Where it serves HTTP."""
        return f"http://{HOST}:{self.port}"

    @property
    def ops_url(self) -> str:
        """Where it tells operators how it is."""
        return f"http://{HOST}:{self.ops_port}"

    def is_ready(self) -> bool:
        """Whether this very process (not another that took its port) answers 200 on /readyz."""
        ours = self.running and all(_listens(self.pid, port) for port in {self.port, self.ops_port})
        return ours and http_status(self.ops_port, "/readyz") == HTTPStatus.OK

    def is_alive(self) -> bool:
        """Whether it answers at all and does not say that it is stuck. True while a server it needs is away."""
        return http_status(self.ops_port, "/healthz") == HTTPStatus.OK


def _listens(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(found.status == psutil.CONN_LISTEN and found.laddr.port == port for found in connections)


def http_status(port: int, path: str) -> int | None:
    """Status of a GET on this machine, None if nobody answers within a second."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def concerns_of(ops_url: str) -> list[str]:
    """What a service says is in its way, or wants seen to; nothing where it does not answer within a second."""
    try:
        facts = json.loads(_said(f"{ops_url}/readyz"))
    except (OSError, ValueError, http.client.HTTPException, RecursionError):
        return []
    if not isinstance(facts, dict):
        return []
    hindrances = [facts[key] for key in ("halted_by", "waits_for") if facts.get(key)]
    return [*hindrances, *facts.get("concerns", [])]


def _said(url: str) -> bytes:
    """What is answered, whatever the status; of more than a service says, the beginning."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - an address of this machine
            return bytes(answer.read(_ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as refused:
        return refused.read(_ANSWER_BYTES_MAX)


class Task(ChildProcess):
    """`python -m module name`, which runs to its end: makes streams or tables what they should be."""

    def __init__(self, module: str, name: str, log_path: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, [sys.executable, "-m", module, name], log_path, environment=environment)

    def finish(self) -> None:
        """Wait until it is done. Raises ServerFailed unless it exits with 0."""
        if self.wait(TASK_SECONDS_MAX) != 0:
            raise self.failure(f"ended with exit code {self.exit_code}")


def client_file(url: str, api_key: str) -> str:
    """Content of the file from which mpctl learns where to go."""
    return json.dumps({"url": url, "api_key": api_key}, indent=2) + "\n"


def operator_file(**servers: str | dict[str, str]) -> str:
    """Content of the file from which an operator's tools learn where the servers are: the whole power over them."""
    return json.dumps(servers, indent=2) + "\n"

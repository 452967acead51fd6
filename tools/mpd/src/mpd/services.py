"""The services of ModuPrompt as child processes, by their descriptors."""

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
from mpbus.vitals import OK
from mpservice.services import SERVICES
from mpservice.spec import ServiceSpec

from mpd.ports import HOST
from mpd.process import ChildProcess
from mpd.starting import Facts, Rest

TASK_SECONDS_MAX = 60.0
"""The longest time that a task may do nothing."""
_NEEDS = tuple(dict.fromkeys(fact for service in SERVICES for fact in service.facts))
"""The facts of a service that are `ok`, or say what is wrong with something that it needs."""
_ANSWER_BYTES_MAX = 1 << 20


class ServiceProcess(ChildProcess):
    """One process of a service. `ops_port` is for operators; `port` is the public one, where it has one."""

    stop_seconds_max = 20.0
    stuck_seconds_max = 15.0

    def __init__(
        self,
        service: ServiceSpec,
        name: str,
        ops_port: int,
        log_path: Path,
        environment: Mapping[str, str],
        http_port: int | None = None,
    ) -> None:
        self.kind = service.name
        self.ops_port = ops_port
        self.port = http_port or ops_port
        self._rest = Rest()
        super().__init__(name, [sys.executable, "-m", service.package], log_path, environment=environment)

    @property
    def url(self) -> str:
        """The address at which it serves HTTP."""
        return f"http://{HOST}:{self.port}"

    @property
    def ops_url(self) -> str:
        """The address of its ops door."""
        return f"http://{HOST}:{self.ops_port}"

    def spawn(self) -> None:
        """Start without waiting. Raises ServerFailed, OSError."""
        self._rest = Rest()
        super().spawn()

    def is_ready(self) -> bool:
        """Return whether this very process (not another that took its port) answers 200 on /readyz."""
        ours = self.running and all(_listens(self.pid, port) for port in {self.port, self.ops_port})
        return ours and http_status(self.ops_port, "/readyz") == HTTPStatus.OK

    def rests(self) -> str:
        """Return what halts it, or what it waits for without getting further; empty while it gets on."""
        ours = self.running and _listens(self.pid, self.ops_port)
        facts = facts_of(self.ops_url) if ours else None
        if not self._rest.reached(facts) or facts is None:
            return ""
        return "; ".join(sentences(facts)) or "it does not say why"

    def is_alive(self) -> bool:
        """Return whether it answers and does not say that it is stuck. True while a server it needs is away."""
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


def facts_of(ops_url: str) -> Facts | None:
    """The facts that a service tells of itself; None where it does not answer within a second."""
    try:
        facts = json.loads(_said(f"{ops_url}/readyz"))
    except (OSError, ValueError, http.client.HTTPException, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def sentences(facts: Facts) -> list[str]:
    """Sentences on what stops a service, what it does without, and what somebody should see to."""
    said = [str(facts[key]) for key in ("halted_by", "waits_for") if facts.get(key)]
    lacks = [str(facts[key]) for key in _NEEDS if facts.get(key, OK) not in (OK, "")]
    if facts.get("ready"):
        lacks = [each for each in lacks if not each.endswith("was not reached yet")]  # Nobody asked yet.
    if not said and not lacks and not facts.get("ready"):
        # Nothing that it needs: then it is one of its own parts, or how far it has come.
        lacks = [f"{key}: {value}" for key, value in facts.items() if isinstance(value, str) and key not in _NEEDS]
    concerns = facts.get("concerns")
    return list(dict.fromkeys([*said, *lacks, *(map(str, concerns) if isinstance(concerns, list) else ())]))


def concerns_of(ops_url: str) -> list[str]:
    """Ask a service for its sentences; none where it does not answer within a second."""
    return sentences(facts_of(ops_url) or {})


def _said(url: str) -> bytes:
    """The body of an answer, whatever its status; of a long one the beginning."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - an address of this machine
            return bytes(answer.read(_ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as refused:
        return refused.read(_ANSWER_BYTES_MAX)


class JobProcess(ChildProcess):
    """`python -m module name`, which runs to its end: makes streams or tables what they should be."""

    def __init__(self, module: str, name: str, log_path: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, [sys.executable, "-m", module, name], log_path, environment=environment)

    def finish(self) -> None:
        """Wait until it is done. Raises ServerFailed unless it exits with 0."""
        if self.wait_worked(TASK_SECONDS_MAX) != 0:
            raise self.failure(f"ended with exit code {self.exit_code}")


def client_file(url: str, api_key: str) -> str:
    """Content of the file from which mpctl learns where to go."""
    return json.dumps({"url": url, "api_key": api_key}, indent=2) + "\n"


def operator_file(**servers: str | dict[str, str]) -> str:
    """Content of the file from which an operator's tools learn where the servers are: the whole power over them."""
    return json.dumps(servers, indent=2) + "\n"

"""The whole of ModuPrompt as real processes on this machine: its servers and any number of each service.

    with Stack(folder, kernels=2) as stack:
        stack.process("kernel-1").kill()
        stack.nats.restart()

Everything blocks with a bound. From an event loop call it through `asyncio.to_thread`.

Other packages that need an installation of their own enter by this module, as the drill of a backup does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mpbus.options import NatsOptions
from mpservice.rights import OPERATOR, PROVISION, RESTORE
from mpservice.services import DATABASE_ROLES, NAMES, SERVICES
from mpservice.spec import ServiceSpec
from mpservice.users import redis_rules

from mpd.credentials import Credentials
from mpd.keys import ensure_keys, make_private, password_variable, write_private
from mpd.ports import HOST, PortBook, free_port
from mpd.process import ChildProcess, ServerFailed
from mpd.servers import NatsCluster, NatsServer, PostgresServer, ValkeyServer
from mpd.servers.postgres import known_passwords
from mpd.servers.wheels import WheelMissing
from mpd.services import JobProcess, ServiceProcess, client_file, operator_file
from mpd.starting import wait_settled

__all__ = ["ServerFailed", "Settings", "Stack", "WheelMissing", "free_port", "wanted_http_port"]

HTTP_PORT = 8080
PORTS_FILE = "ports.json"

UNCOUNTED = tuple(name for name in NAMES if name not in {"kernel", "relay", "projector", "gateway", "webhooks"})
"""The services for which a stack has no number of their own."""

Settings = Mapping[str, Mapping[str, str]]


def wanted_http_port(folder: Path) -> int:
    """The API's port where nothing stands in the way: the one it had here, else 8080."""
    return PortBook(folder / PORTS_FILE).known("gateway-1") or HTTP_PORT


class Stack:
    """Servers, streams, tables and services below one folder. A stack started again on its folder goes on where it was.

    `others` are the numbers of processes of services beside those, by name.
    `settings` adds environment variables per kind of service: {"kernel": {"MP_LEASE_TTL_SECONDS": "1"}}.
    `http_port` None takes 8080 or the next free port, and keeps it; more gateways take ports of their own.
    `replicated` runs three NATS servers instead of one, with three copies of every stream.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kernels: int = 1,
        projectors: int = 1,
        gateways: int = 1,
        relays: int = 0,
        webhooks: int = 0,
        others: Mapping[str, int] | None = None,
        replicated: bool = False,
        shard: str = "0",
        http_port: int | None = None,
        settings: Settings | None = None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.shard = shard
        self._settings = settings or {}
        self._on_progress = on_progress
        make_private(self.folder)
        make_private(self.folder / "logs")
        self.keys = ensure_keys(self.folder / "secrets")
        known = known_passwords(self.folder / "postgres")
        self.credentials = Credentials(self.keys.folder, (shard,), known)
        self._ports = PortBook(self.folder / PORTS_FILE, taken={http_port} if http_port else set())
        self.nats_cluster = self._nats_cluster() if replicated else None
        self.nats_nodes = self.nats_cluster.nodes if self.nats_cluster else [self._single_nats()]
        self.nats = self.nats_nodes[0]
        self.postgres = PostgresServer(
            self.folder / "postgres", port=self._ports.port("postgres"), passwords=self.credentials.postgres
        )
        self.valkey = ValkeyServer(
            self.folder / "valkey", port=self._ports.port("valkey"), acl_file=self.credentials.redis_acl_file
        )
        self.servers: list[ChildProcess] = [*self.nats_nodes, self.postgres, self.valkey]
        for server in self.servers:
            server.log_path = self.log_path(server.name)
        counts = {"kernel": kernels, "relay": relays, "projector": projectors, "webhooks": webhooks}
        counts |= {"gateway": gateways, **(others or {})}
        self.services = [
            self._service(service, number, http_port)
            for service in SERVICES
            for number in range(1, counts.get(service.name, 0) + 1)
        ]
        self.kernels, self.relays, self.projectors = map(self._of, ("kernel", "relay", "projector"))
        self.gateways, self.webhooks = map(self._of, ("gateway", "webhooks"))

    def _of(self, kind: str) -> list[ServiceProcess]:
        return [service for service in self.services if service.kind == kind]

    @property
    def processes(self) -> list[ChildProcess]:
        """All processes, servers first."""
        return [*self.servers, *self.services]

    def process(self, name: str) -> ChildProcess:
        """A process by its name: nats, postgres, valkey, kernel-1, projector-1, gateway-1 and so on."""
        return next(process for process in self.processes if process.name == name)

    @property
    def url(self) -> str:
        """The address of the first gateway."""
        return self.gateways[0].url

    @property
    def root_key(self) -> str:
        """API key of user:root."""
        return self.keys.root_key

    @property
    def nats_url(self) -> str:
        """Addresses of NATS, comma separated."""
        return ",".join(node.url for node in self.nats_nodes)

    def bus(self, user: str) -> NatsOptions:
        """The options with which a user of the table connects to NATS."""
        return self.credentials.nats_options(self.nats_url, user)

    def log_path(self, name: str) -> Path:
        """The log of a process."""
        return self.folder / "logs" / f"{name}.log"

    def start(self, *, whole: bool = True) -> None:
        """Start everything and wait until it is ready. Raises ServerFailed, having stopped what was started.

        Unless `whole`, a service that lives and waits, or is halted, counts as started: it says why, and goes on by
        itself once that is mended, which takes the servers.
        """
        try:
            self._start_together(self.servers)
            if self.nats_cluster is not None:
                self.nats_cluster.wait_whole()
            self._write_files()  # Who mends what halts a service needs them.
            self.prepare()
            self._start_services(whole)
        except BaseException:
            self.kill()
            raise

    def prepare(self) -> None:
        """Create or update streams and tables. Harmless to repeat."""
        self._on_progress("preparing streams and tables")
        common = self._environment("prepare", PROVISION)
        passwords = {password_variable(role): self.postgres.passwords[role] for role in DATABASE_ROLES}
        migration = {"MP_POSTGRES_OWNER_DSN": self.postgres.dsn(), **passwords}
        tasks = [
            JobProcess(
                "mpservice",
                "provision",
                self.log_path("provision"),
                common | {"MP_REPLICAS": str(len(self.nats_nodes))},
            ),
            JobProcess("mpprojector", "migrate", self.log_path("migrate"), common | migration),
        ]
        for task in tasks:
            task.spawn()
        for task in tasks:
            task.finish()

    def stop(self) -> None:
        """Stop everything in order: who clients ask first, servers last. What hangs is killed, then ServerFailed."""
        failures: list[Exception] = []
        for kind in reversed(list(dict.fromkeys(service.kind for service in self.services))):
            failures += _stop_together(self._of(kind))
        failures += _stop_together(list(reversed(self.servers)))
        if failures:
            raise failures[0]

    def kill(self) -> None:
        """End everything at once, by SIGKILL."""
        for process in reversed(self.processes):
            process.kill()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; after an error, kill."""
        if error is None:
            self.stop()
        else:
            self.kill()

    def _single_nats(self) -> NatsServer:
        ports = self._ports
        return NatsServer(
            self.folder / "nats",
            port=ports.port("nats"),
            monitor_port=ports.port("nats-monitor"),
            accounts=self.credentials.nats_accounts(),
        )

    def _nats_cluster(self) -> NatsCluster:
        credentials = self.credentials
        return NatsCluster(
            self.folder,
            port_of=self._ports.port,
            accounts=credentials.nats_accounts(),
            routes_password=credentials.routes_password,
        )

    def _write_files(self) -> None:
        """Write down where everything is, for the tools of operators and users."""
        write_private(self.folder / "operator.json", self._operator_file())
        if self.gateways:
            write_private(self.folder / "client.json", client_file(self.url, self.root_key))

    def _start_together(self, processes: Sequence[ChildProcess]) -> None:
        self._spawn_together(processes)
        for process in processes:
            process.wait_ready()

    def _start_services(self, whole: bool) -> None:
        self._spawn_together(self.services)
        resting = wait_settled(self.services, self.servers)
        for name, reason in resting.items() if whole else ():
            raise self.process(name).failure(f"is not ready: {reason}")

    def _spawn_together(self, processes: Sequence[ChildProcess]) -> None:
        if processes:
            self._on_progress("starting " + ", ".join(process.name for process in processes))
        for process in processes:
            process.prepare()
        for process in processes:
            process.spawn()

    def _service(self, service: ServiceSpec, number: int, http_port: int | None) -> ServiceProcess:
        kind, name = service.name, f"{service.name}-{number}"
        if not service.http:
            public = None
        elif number == 1:
            public = http_port or self._ports.port_near(name, HTTP_PORT)
        else:
            public = self._ports.port(name)
        port = self._ports.port(name if public is None else f"{name}-ops")
        environment = (
            self._environment(name, kind) | {"MP_OPS_PORT": str(port)} | self._service_environment(service, public)
        )
        environment |= dict(self._settings.get(kind, {}))
        return ServiceProcess(service, name, port, self.log_path(name), environment, public)

    def _operator_file(self) -> str:
        return operator_file(
            nats_url=self.nats_url,
            nats_nkey_seed_file=str(self.credentials.nats_seed_file(OPERATOR)),
            nats_provision_seed_file=str(self.credentials.nats_seed_file(PROVISION)),
            nats_restore_seed_file=str(self.credentials.nats_seed_file(RESTORE)),
            redis_url=self.valkey.url,
            redis_user=OPERATOR,
            redis_password_file=str(self.credentials.redis_password_file(OPERATOR)),
            postgres_owner_dsn=self.postgres.dsn(),
            shard=self.shard,
            public_key_file=str(self.keys.public_key_file),
            nats_monitor_url=self.nats.monitor_url,
            services={service.name: service.ops_url for service in self.services},
            data_dir=str(self.folder),
            secrets_dir=str(self.keys.folder),
        )

    def _environment(self, node: str, user: str) -> dict[str, str]:
        redis = {
            "MP_REDIS_USER": user,
            "MP_REDIS_PASSWORD_FILE": str(self.credentials.redis_password_file(user)),
        }
        return (redis if user in redis_rules() else {}) | {
            "MP_NATS_URL": self.nats_url,
            "MP_NATS_NKEY_SEED_FILE": str(self.credentials.nats_seed_file(user)),
            "MP_REDIS_URL": self.valkey.url,
            "MP_SHARD": self.shard,
            "MP_NODE": node,
        }

    def _service_environment(self, service: ServiceSpec, http_port: int | None) -> dict[str, str]:
        """The variables of one service beside those that all have, by its descriptor."""
        told = {each.variable: each.machine for each in service.settings if each.machine is not None}
        told |= {variable: str(self.keys.folder / name) for variable, name in service.secret_files}
        told |= dict.fromkeys(service.key_hashes, self.keys.root_key_hash)
        if service.database_role:
            told["MP_POSTGRES_DSN"] = self.postgres.dsn(service.database_role)
        if service.secrets:
            told["MP_SECRETS_DIR"] = str(self.keys.folder)
        if service.http:
            told |= {"MP_HTTP_HOST": HOST, "MP_HTTP_PORT": str(http_port)}
        return told


def _stop_together(processes: Sequence[ChildProcess]) -> list[Exception]:
    """Ask all, then wait for each. Returns what went wrong, so that one that hangs does not keep the others."""
    asked = [process for process in processes if process.running]
    for process in asked:
        process.ask_to_stop()
    failures: list[Exception] = []
    for process in asked:
        try:
            process.wait(process.stop_seconds_max)
        except ServerFailed as failure:
            failures.append(failure)
    return failures

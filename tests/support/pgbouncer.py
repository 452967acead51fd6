"""PgBouncer in transaction mode, as people put it between services and PostgreSQL."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from mpd.keys import write_private
from mpd.ports import HOST, free_port
from mpd.process import ChildProcess
from mpd.servers import PostgresServer
from mpd.servers.account import account, seen_by
from mpd.stack import Stack

from tests.support.programs import environment

SESSIONS = 4
"""Of the server, for each role: few, so that clients share them."""


class PgBouncer(ChildProcess):
    """One PgBouncer with its defaults, but for its mode, before a server. Everything it writes is in `folder`."""

    def __init__(self, folder: Path, program: Path, server: PostgresServer) -> None:
        self.folder = folder
        self.port = free_port()
        self.server = server
        self._program = program
        super().__init__("pgbouncer", [], folder / "pgbouncer.log", environment=environment())

    def prepare(self) -> None:
        """Write its configuration. It refuses to be root, as PostgreSQL does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.user = account(self.folder)
        if self.user.folder is not None:
            self.folder.chmod(0o711)
        seen = seen_by(self.user, self.folder)
        self._write("users.txt", "".join(f'"{role}" "{word}"\n' for role, word in self.server.passwords.items()))
        self._write("pgbouncer.ini", self._configuration(seen))
        self.command = [str(self._program), str(seen / "pgbouncer.ini")]

    def through(self, dsn: str) -> str:
        """A connection string of the server's, through here."""
        return dsn.replace(f":{self.server.port}/", f":{self.port}/")

    def is_ready(self) -> bool:
        """Tell whether it listens."""
        with socket.socket() as probe:
            return self.running and probe.connect_ex((HOST, self.port)) == 0

    def _configuration(self, seen: Path) -> str:
        settings = {
            "listen_addr": HOST,
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": seen / "users.txt",
            "pool_mode": "transaction",
            "default_pool_size": SESSIONS,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        return "\n".join(["[databases]", f"* = host={HOST} port={self.server.port}", "[pgbouncer]", *lines, ""])

    def _write(self, name: str, text: str) -> None:
        write_private(self.folder / name, text)
        if self.user.uid >= 0:
            os.chown(self.folder / name, self.user.uid, self.user.gid)


def put_between(stack: Stack, folder: Path, program: Path) -> PgBouncer:
    """A PgBouncer that the services of a stack, not started yet, reach PostgreSQL through; a server of the stack."""
    pooler = PgBouncer(folder, program, stack.postgres)
    for service in stack.services:
        if dsn := service.environment.get("MP_POSTGRES_DSN"):
            service.environment["MP_POSTGRES_DSN"] = pooler.through(dsn)
    stack.servers.append(pooler)
    return pooler

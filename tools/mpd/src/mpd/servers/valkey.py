"""Valkey, which speaks Redis. It keeps nothing on disk: losing it makes things slower, never wrong."""

from __future__ import annotations

import socket
from pathlib import Path

from mpd.ports import HOST, free_port
from mpd.process import ChildProcess
from mpd.servers import wheels

IDLE_SECONDS_MAX = 60
"""The seconds a connection may be silent."""
_ANSWER_BYTES_MAX = 256


class ValkeyServer(ChildProcess):
    """One valkey-server. A port left out is chosen freely and kept over restarts; the log lives in `folder`."""

    stuck_seconds_max = 10.0  # It keeps nothing: a new start loses nothing, and ends a script that would not.

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        name: str = "valkey",
        databases: int = 16,
        acl_file: Path | None = None,
    ) -> None:
        """`acl_file` says who is let in; without one everybody is."""
        self.folder = folder
        self.port = port or free_port()
        self.databases = databases
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "databases": str(databases),
            # No answer at all while a script runs: "busy" would be told to those let in alone, and a ping is not.
            "busy-reply-threshold": "0",
            # It knows no limit for those alone who have not said who they are. Ours come back; who listens stays.
            "timeout": str(IDLE_SECONDS_MAX),
        }
        if acl_file is not None:
            options["aclfile"] = str(acl_file)
        command = [str(wheels.valkey_server())]
        for option, value in options.items():
            command += [f"--{option}", value]
        super().__init__(name, command, folder / "valkey.log")
        self._answer = b""

    def spawn(self) -> None:
        """Make the folder it works in, then start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        super().spawn()

    @property
    def url(self) -> str:
        """The URL that clients connect to, database 0."""
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """Return the URL of another numbered database (below `databases`)."""
        return f"redis://{HOST}:{self.port}/{number}"

    def is_ready(self) -> bool:
        """Tell whether it answers a ping, even if only to ask for authentication."""
        return self._ask().startswith((b"+PONG", b"-NOAUTH"))

    def is_alive(self) -> bool:
        """Tell whether it answers at all. That all its places are taken is an answer."""
        return bool(self._ask())

    def trouble(self) -> str:
        """Return its unexpected answer to a ping, or that it gave none."""
        said = self._answer.decode(errors="replace").strip().lstrip("-")
        return f"Valkey says: {said}" if said else "Valkey does not answer"

    def _ask(self) -> bytes:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                self._answer = connection.recv(_ANSWER_BYTES_MAX)
        except OSError:
            self._answer = b""
        return self._answer

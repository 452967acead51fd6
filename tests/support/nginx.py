"""nginx with its defaults, as people put it before a gateway."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from mpd.ports import HOST, free_port
from mpd.process import ChildProcess

from tests.support.programs import environment

_UPGRADES = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
"""Settings that its documentation asks for, so that WebSockets pass."""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx(ChildProcess):
    """One nginx that passes everything on to a port, with nothing configured but that."""

    def __init__(self, folder: Path, program: Path, target_port: int, *, sockets: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._target_port = target_port
        self._sockets = sockets
        command = [str(program), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
        super().__init__("nginx", command, folder / "nginx.log", environment=environment())

    @property
    def url(self) -> str:
        """The URL that clients connect to."""
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Write its configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = " ".join(f"{kind}_temp_path {kind};" for kind in _TEMPORARY)
        server = (
            f"server {{ listen {HOST}:{self.port}; "
            f"location / {{ proxy_pass http://{HOST}:{self._target_port}; {_UPGRADES if self._sockets else ''} }} }}"
        )
        user = "user root; " if os.geteuid() == 0 else ""  # Else it becomes one who may not enter this folder.
        text = f"{user}daemon off; pid nginx.pid; events {{}}\nhttp {{ access_log off; {temporary}\n{server} }}\n"
        (self.folder / "nginx.conf").write_text(text)

    def is_ready(self) -> bool:
        """Tell whether it listens."""
        with socket.socket() as probe:
            return self.running and probe.connect_ex((HOST, self.port)) == 0

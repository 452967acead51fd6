"""PostgreSQL with durable defaults, its owner role and its database."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from mpd.keys import write_private
from mpd.ports import HOST, free_port
from mpd.process import ChildProcess, ServerFailed, User
from mpd.servers import wheels

OWNER = "mp_owner"
ROLES = (OWNER, "mp_projector", "mp_gateway", "mp_webhooks")
DATABASE = "moduprompt"
CONNECTIONS_MAX = 200


class PostgresServer(ChildProcess):
    """One postgres. A port left out is chosen freely and kept over restarts; data, passwords and log live in `folder`.

    The first start creates the cluster, the owner role `mp_owner` and the database `moduprompt`. The passwords of all
    roles are generated here; the migration of the projector creates the others but the owner.
    """

    stop_signal = signal.SIGINT  # "Fast": end the sessions, write a checkpoint, leave.
    death_signal = signal.SIGQUIT  # Stops every backend at once; the next start recovers from the log.

    def __init__(self, folder: Path, *, port: int | None = None, name: str = "postgres") -> None:
        self.folder = folder
        self.data = folder / "data"
        self.programs = wheels.postgres_programs()
        self.port = port or free_port()
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS_MAX),
        }
        command = [str(self.programs / "postgres"), "-D", str(self.data)]
        for setting, value in settings.items():
            command += ["-c", f"{setting}={value}"]
        super().__init__(name, command, folder / "postgres.log", user=_user_for(folder, self.programs))
        self._passwords: dict[str, str] | None = None

    @property
    def passwords(self) -> dict[str, str]:
        """Password of each role, generated once."""
        if self._passwords is None:
            path = self.folder / "passwords.json"
            known = dict(json.loads(path.read_text())) if path.exists() else {}
            if missing := {role: secrets.token_hex(16) for role in ROLES if role not in known}:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_private(path, json.dumps(known | missing))
            self._passwords = known | missing
        return self._passwords

    def dsn(self, role: str = OWNER, database: str = DATABASE) -> str:
        """Connection string of one of ROLES."""
        return f"postgresql://{role}:{self.passwords[role]}@{HOST}:{self.port}/{database}"

    def spawn(self) -> None:
        """Start, creating the cluster first when it is not there. Raises ServerFailed."""
        if not self.data.exists():
            self._create_cluster()
        super().spawn()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until it accepts connections and the database is there. Raises ServerFailed."""
        super().wait_ready(timeout)
        self._ensure_database()

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create one more database, a copy of `template`, to which nobody may be connected. Raises ServerFailed."""
        self._client("createdb", "--template", template, name)

    def is_ready(self) -> bool:
        """Whether this very process (not a predecessor) wrote that it accepts connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _create_cluster(self) -> None:
        # Made beside and moved into place when complete: to be killed half-way leaves nothing half made.
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        password_file = self.folder / "owner-password"
        password_file.write_text(self.passwords[OWNER])
        if self.user.uid >= 0:
            for path in (draft, password_file):
                os.chown(path, self.user.uid, self.user.gid)
        arguments = ["--no-locale", "-E", "UTF8", "-U", OWNER, "-A", "scram-sha-256", f"--pwfile={password_file}"]
        command = [str(self.programs / "initdb"), "-D", str(draft), *arguments]
        initdb = ChildProcess("initdb", command, self.log_path, user=self.user)
        try:
            initdb.spawn()
            if initdb.wait(self.start_seconds_max) != 0:
                raise initdb.failure(f"ended with exit code {initdb.exit_code}")
        finally:
            password_file.unlink()
        draft.replace(self.data)

    def _ensure_database(self) -> None:
        names = self._client("psql", "-tA", "-d", "postgres", "-c", "SELECT datname FROM pg_database")
        if DATABASE not in names.split():
            self.create_database(DATABASE)

    def _client(self, program: str, *arguments: str) -> str:
        command = [str(self.programs / program), "-h", HOST, "-p", str(self.port), "-U", OWNER, *arguments]
        environment = os.environ | {"PGPASSWORD": self.passwords[OWNER]}
        limit = self.start_seconds_max
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise ServerFailed(program, f"was not done after {limit:g} s", None, "") from None
        if done.returncode != 0:
            raise ServerFailed(program, f"ended with exit code {done.returncode}", done.returncode, done.stderr)
        return done.stdout


def _user_for(*folders: Path) -> User:
    """Whom postgres runs as: ourselves, or, because it refuses to be root, `nobody`."""
    if os.geteuid() != 0:
        return User()
    nobody = pwd.getpwnam("nobody")
    closed = any(not _may_enter(parent) for path in folders for parent in path.absolute().parents)
    return User(nobody.pw_uid, nobody.pw_gid, search=closed)


def _may_enter(folder: Path) -> bool:
    """Whether everybody may walk through this folder (one that does not exist yet will be made open)."""
    return not folder.exists() or bool(folder.stat().st_mode & 0o001)

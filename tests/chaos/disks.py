"""Small disks that can be filled to the last byte: tmpfs, mounted where nobody else sees it.

Mounting asks for a mount namespace of one's own (`unshare`), which root always gets and an ordinary user gets where the
system allows user namespaces. Mounts in it end with the last process in it, whatever happens.
"""

import ctypes
import os
import subprocess
from pathlib import Path

_CHUNK = bytes(1 << 20)
_AS_ROOT = ("unshare", "--mount")
_AS_USER = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount")


def in_namespace() -> tuple[str, ...]:
    """The words before a command that give it mounts of its own."""
    return _AS_ROOT if os.geteuid() == 0 else _AS_USER


def why_not() -> str | None:
    """Return the reason why this machine can have no small disks; None if it can."""
    try:
        done = subprocess.run([*in_namespace(), "true"], capture_output=True, text=True, timeout=10, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() or f"unshare ended with {done.returncode}" if done.returncode else None


class Disk:
    """A disk of so many bytes at a folder."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._ballast = folder / "ballast"

    def mount(self) -> None:
        """Make it. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={self.size},mode=755".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", str(self.folder).encode(), b"tmpfs", 0, options) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(self.folder))

    def fill(self) -> None:
        """Leave not one byte."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (len(_CHUNK), 4096, 1):
                _write_until_full(ballast.fileno(), _CHUNK[:size])

    def free(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink(missing_ok=True)


def _write_until_full(file: int, data: bytes) -> None:
    try:
        while os.write(file, data) == len(data):
            pass
    except OSError:
        return

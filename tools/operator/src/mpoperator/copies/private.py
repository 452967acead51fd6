"""Folders and files that hold every tenant's log: for their owner's eyes alone, whatever the umask."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from mpoperator.errors import NotConfigured

_FOLDER, _FILE = 0o700, 0o600


def make_folder(path: Path) -> None:
    """Make a folder that nobody else may enter; one that is there keeps its mode. Raises `NotConfigured`."""
    try:
        path.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise NotConfigured(f"{path} cannot be written: {error.strerror}") from error


def create(path: Path) -> IO[bytes]:
    """Open a file to write that nobody else may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE), "wb")

"""The secrets of an installation in one file, apart from the log they belong to, for its owner's eyes alone."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from mpoperator.errors import Disproved, Finding, NotConfigured, ToolRefused
from mpoperator.run import ToolResult

FORMAT = "moduprompt/keys/v1"


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The files of a secrets folder by their names."""

    format: str = FORMAT
    files: dict[str, str]


class KeysRestored(ToolResult, frozen=True, kw_only=True):
    """Keys that are back in a secrets folder."""

    folder: str
    written: list[str]
    kept: list[str]

    def told(self) -> str:
        """See the base class."""
        same = f", {len(self.kept)} were there already" if self.kept else ""
        return f"{len(self.written)} keys written to {self.folder}{same}"


def save_keys(secrets: Path | None, destination: Path, backup: Path) -> Path:
    """Copy the secrets folder into one new file with mode 0600. Never into the backup itself. Raises `ToolRefused`."""
    if secrets is None or not secrets.is_dir():
        raise NotConfigured("where the secrets are is not known: set MP_SECRETS_DIR")
    if destination.absolute().is_relative_to(backup.absolute()):
        raise ToolRefused("keys kept beside the log they open protect nothing: name a file outside of the backup")
    kept = Kept(files={path.name: path.read_text() for path in sorted(secrets.iterdir()) if path.is_file()})
    _write_private(destination, msgspec.json.format(msgspec.json.encode(kept)).decode() + "\n")
    return destination


def restore_keys(source: Path, secrets: Path) -> KeysRestored:
    """Write the keys of a file into a secrets folder. Raises `ToolRefused` where another key is there already."""
    try:
        kept = msgspec.json.decode(source.read_bytes(), type=Kept)
    except OSError as error:
        raise ToolRefused(f"{source} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Disproved(Finding(where="file of keys", detail=f"{source} holds no keys: {error}")) from error
    strange = [name for name in kept.files if Path(name).name != name]
    if kept.format != FORMAT or strange:
        raise ToolRefused(f"{source} is a {kept.format} with the files {', '.join(kept.files)}: not taken")
    same = [name for name in kept.files if (secrets / name).exists()]
    if other := [name for name in same if (secrets / name).read_text() != kept.files[name]]:
        raise ToolRefused(f"{secrets} holds another {', '.join(other)}: move it away first")
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = [name for name in kept.files if name not in same]
    for name in written:
        _write_private(secrets / name, kept.files[name])
    return KeysRestored(folder=str(secrets), written=written, kept=same)


def _write_private(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ToolRefused(f"{path} exists already: keys are never written over") from error
    except OSError as error:
        raise NotConfigured(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())

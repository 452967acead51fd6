"""The secrets of one installation, generated once and kept in files that only their owner reads."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

ROOT_KEY_PREFIX = "mpk_root_"
ROOT_KEY_LETTERS = 48
SECRET_BYTES = 32
BASE62 = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Keys:
    """`folder` holds `pepper` and `token_key` for the gateway; `root_key` is the API key of user:root."""

    folder: Path
    root_key: str

    @property
    def root_key_hash(self) -> str:
        """What the gateway is told of the root key: hex HMAC-SHA256 under the pepper."""
        pepper = (self.folder / "pepper").read_bytes()
        return hmac.new(pepper, self.root_key.encode(), hashlib.sha256).hexdigest()


def ensure_keys(folder: Path) -> Keys:
    """Read the secrets in `folder`, generating those that are missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("pepper", "token_key"):
        _ensure(folder / name, secrets.token_hex(SECRET_BYTES))
    letters = "".join(secrets.choice(BASE62) for _ in range(ROOT_KEY_LETTERS))
    return Keys(folder, _ensure(folder / "root_key", ROOT_KEY_PREFIX + letters))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, replacing it in one step."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _ensure(path: Path, value: str) -> str:
    if not path.exists():
        write_private(path, value)
    return path.read_text()

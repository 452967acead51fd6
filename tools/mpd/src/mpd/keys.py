"""The secrets of one installation, generated once and kept in files that only their owner reads."""

from __future__ import annotations

import os
import secrets
import stat
import string
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from mpschema.keys import ROOT_KEY_PREFIX, key_hash
from mpservice.services import DATABASE_ROLES, SERVICES

from mpd.shapes import BadSecret, flaw_of, signing_key

ROOT_KEY_LETTERS = 48
SECRET_BYTES = 32
BASE62 = string.ascii_letters + string.digits
SECRETS = tuple(dict.fromkeys(name for service in SERVICES for name in service.secrets))
"""The files with secrets that services read in one folder."""
SECRET_FILES = tuple(dict.fromkeys(name for service in SERVICES for _, name in service.secret_files))
"""The files with secrets that services are told one by one."""


@dataclass(frozen=True)
class Keys:
    """`folder` holds `pepper`, `token_key` and `webhook_key` for the gateway; `root_key` is the API key of user:root.

    The kernels sign checkpoints with `signing_key`. Who checks them needs `signing_key.pub` alone, which is no secret.
    """

    folder: Path
    root_key: str

    @property
    def root_key_hash(self) -> str:
        """The hash of the root key that the gateway is told: hex HMAC-SHA256 under the pepper."""
        return key_hash((self.folder / "pepper").read_text().encode(), self.root_key)

    @property
    def signing_key_file(self) -> Path:
        """The file of the key that the kernels sign with."""
        return self.folder / "signing_key"

    @property
    def public_key_file(self) -> Path:
        """The public half, as PEM, to be kept elsewhere too."""
        return self.folder / "signing_key.pub"


def ensure_keys(folder: Path) -> Keys:
    """Read the secrets in `folder`, generating those that are missing. Raises BadSecret."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in SECRETS:
        ensure_secret(folder / name, secrets.token_hex(SECRET_BYTES))
    keys = Keys(folder, ensure_secret(folder / "root_key", new_root_key()))
    seed = ensure_secret(keys.signing_key_file, secrets.token_hex(SECRET_BYTES))
    ensure_secret(keys.public_key_file, _public_pem(seed))
    ensure_secret(folder / "root_key_hash", keys.root_key_hash)
    return keys


def new_root_key() -> str:
    """A fresh API key for user:root."""
    return ROOT_KEY_PREFIX + "".join(secrets.choice(BASE62) for _ in range(ROOT_KEY_LETTERS))


def new_environment() -> dict[str, str]:
    """Fresh secrets for an installation in containers, as the environment variables that deploy/ asks for."""
    pepper, root_key = secrets.token_hex(SECRET_BYTES), new_root_key()
    return {
        "MP_ROOT_KEY": root_key,
        "MP_ROOT_KEY_HASH": key_hash(pepper.encode(), root_key),
        **{secret_variable(name): secrets.token_hex(SECRET_BYTES) for name in (*SECRETS, *SECRET_FILES)},
        secret_variable("pepper"): pepper,
    } | {password_variable(role): secrets.token_hex(16) for role in ("mp_owner", *DATABASE_ROLES)}


def secret_variable(name: str) -> str:
    """The name of a secret where secrets are variables, as in the chart's Secret."""
    return f"MP_{name.upper()}"


def password_variable(role: str) -> str:
    """The name of the password of a role of PostgreSQL among variables."""
    return f"{role.upper()}_PASSWORD"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, replacing it in one step."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def open_private(path: str | Path, flags: int) -> int:
    """Open a file that only its owner may read, be it an older one that others may: an `opener` of `open`."""
    descriptor = os.open(path, flags, 0o600)
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
    return descriptor


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter, and close one that is ours and open to others."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = folder.stat()
    # Where everybody may write and nobody remove what is another's (/tmp), the folder is the machine's.
    if now.st_uid == os.geteuid() and now.st_mode & 0o077 and not now.st_mode & stat.S_ISVTX:
        folder.chmod(0o700)


def _public_pem(seed: str) -> str:
    key = signing_key(seed.encode()).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def ensure_secret(path: Path, value: str) -> str:
    """Return the content of a file; `value` is written and kept where there is none. Raises BadSecret."""
    if not path.exists():
        write_private(path, value)
    if flaw := flaw_of(path):
        raise BadSecret(path, flaw)
    return path.read_text()

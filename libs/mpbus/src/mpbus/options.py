"""The options of a connection to NATS, as one object: the address, the user, and the proof on both sides."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys

from mpbus.accounts import inbox_prefix
from mpbus.errors import Unusable


def redacted(url: str) -> str:
    """An address as it may be shown: without what stands before the `@`."""
    return re.sub(r"//[^,]*@", "//***@", url)


@dataclass(frozen=True)
class NatsOptions:
    """Options of a connection. Secrets stay in their files: they are read when connecting, so a new one counts."""

    url: str
    """Servers, comma separated."""
    user: str = ""
    """The name of a user in the table of rights."""
    nkey_seed_file: Path | None = None
    creds_file: Path | None = None
    login: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""

    @property
    def has_credential(self) -> bool:
        """True where it shows who it is by more than the address."""
        return bool(self.nkey_seed_file or self.creds_file or self.login)

    def client_options(self) -> dict[str, Any]:
        """The client library's options for this. Raises `Unusable` when a file cannot be read."""
        found: dict[str, Any] = {}
        if self.has_credential and self.user:
            found["inbox_prefix"] = inbox_prefix(self.user)
        if self.nkey_seed_file:
            found["nkeys_seed_str"] = _seed(self.nkey_seed_file)
        elif self.creds_file:
            _text(self.creds_file)
            found["user_credentials"] = str(self.creds_file)
        elif self.login:
            found |= {"user": self.login, "password": _text(self.password_file) if self.password_file else ""}
        if self.ca_file or self.cert_file or self.server_name:
            found["tls"] = self._tls()
            if self.server_name:
                found["tls_hostname"] = self.server_name
        return found

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(str(each) for each in (self.ca_file, self.cert_file, self.key_file) if each)
            raise Unusable(f"the certificates for NATS cannot be used ({named}): {error}") from error
        return context


def _seed(path: Path) -> str:
    found = _text(path)
    try:
        nkeys.from_seed(bytearray(found.encode()))
    except (nkeys.NkeysError, ValueError) as error:
        raise Unusable(f"the credential for NATS in {path} is no seed of an nkey: {error!r}") from error
    return found


def _text(path: Path) -> str:
    try:
        found = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise Unusable(f"the credential for NATS cannot be read: {error}") from error
    if not found:
        raise Unusable(f"the credential for NATS in {path} is empty")
    return found

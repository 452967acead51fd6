"""Values of settings beyond numbers and names. A value that could never work is refused: `ValueError`.

The text of each refusal says what to write. It quotes no more of an address than may be shown.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, urlsplit

from mpbus.options import redacted
from mpschema.ids import is_id
from pydantic import AfterValidator, SecretStr

_SHARD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_BUS = ("nats", "tls"), ("ws", "wss")
_USUAL_PORTS = {"http": 80, "https": 443}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def listed(text: str) -> Iterator[str]:
    """The parts of a comma separated list; an empty one is none."""
    return (part.strip() for part in text.split(",") if part.strip())


def operators(text: str) -> tuple[str, ...]:
    """Principals that may be operators: users, for no other credential speaks for one."""
    found = tuple(listed(text))
    for each in found:
        if not (each.startswith("user:") and is_id(each)):
            raise ValueError(f"{each!r} can be nobody: write user:NAME, comma separated")
    return found


def _split(address: str) -> SplitResult | None:
    """The parts of an address with a host and a port that may be; None for what is none."""
    try:
        parts = urlsplit(address)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _shard(text: str) -> str:
    if not _SHARD.fullmatch(text):
        raise ValueError("write 1 to 64 letters, digits, _ or -")
    return text


def _nats_addresses(text: str) -> str:
    schemes = set[str]()
    for part in text.split(","):
        address = part.strip() if "://" in part else f"nats://{part.strip()}"
        found = _split(address)
        if found is None or not any(found.scheme in kind for kind in _BUS):
            raise ValueError(f"{redacted(address)} is no address of NATS: write nats://HOST:PORT, or tls://HOST:PORT")
        schemes.add(found.scheme)
    if not any(schemes <= set(kind) for kind in _BUS):
        raise ValueError("write all servers with nats:// and tls://, or all with ws:// and wss://")
    return text


def _web_address(text: str) -> str:
    found = _split(text)
    if text and (found is None or found.scheme not in _USUAL_PORTS):
        raise ValueError(f"{redacted(text)} is no address: write http://HOST:PORT or https://HOST")
    return text


def _postgres_dsn(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in ("postgresql", "postgres") or not text.startswith(f"{parts.scheme}://"):
        raise ValueError("write an address: postgresql://USER@HOST:PORT/DATABASE")
    mode = dict(parse_qsl(parts.query)).get("sslmode", "prefer")
    if mode not in _SSL_MODES:
        raise ValueError(f"sslmode={mode} is none: write one of {', '.join(_SSL_MODES)}")
    return text


def _secret_dsn(value: SecretStr) -> SecretStr:
    _postgres_dsn(value.get_secret_value())
    return value


def _proxies(text: str) -> str:
    """Return addresses and networks in the form that is matched. `*` trusts everybody."""
    found = list(listed(text))
    return "*" if "*" in found else ",".join(_network(each) for each in found)


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network: write 192.0.2.7 or 10.0.0.0/8, comma separated") from None
    if "/" not in text:
        return text
    if str(network).partition("/")[0] != str(ipaddress.ip_address(text.partition("/")[0])):
        raise ValueError(f"{text} is an address in a network: write {network} for all of it, or the address alone")
    return str(network)


def _origins(text: str) -> str:
    return ",".join(_origin(each) for each in listed(text))


def _origin(text: str) -> str:
    """An origin as a browser sends it; a last `/` is forgiven, as pages are named with it."""
    if text in ("*", "null"):
        return text
    scheme, separator, rest = text.removesuffix("/").partition("://")
    sent = _sent(text, scheme.lower()) if separator else None
    if sent is None:
        raise ValueError(f"{text} is no origin: write https://HOST or https://HOST:PORT, with no path and no *")
    if sent != f"{scheme}://{rest}":
        raise ValueError(f"{text} is not how a browser names it: write {sent}")
    return sent


def _sent(text: str, scheme: str) -> str | None:
    """The origin that a browser would send for a page at this address; None where it is none."""
    found = _split(text)
    if found is None or not _SCHEME.fullmatch(scheme):
        return None
    try:
        host = str(found.hostname).encode("idna").decode()
    except UnicodeError:
        return None
    host = f"[{host}]" if ":" in host else host
    port = "" if found.port in (None, _USUAL_PORTS.get(scheme)) else f":{found.port}"
    return f"{scheme}://{host}{port}" if _HOST.fullmatch(host) else None


Shard = Annotated[str, AfterValidator(_shard)]
NatsAddresses = Annotated[str, AfterValidator(_nats_addresses)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
PostgresDsn = Annotated[str, AfterValidator(_postgres_dsn)]
SecretDsn = Annotated[SecretStr, AfterValidator(_secret_dsn)]
TrustedProxies = Annotated[str, AfterValidator(_proxies)]
Origins = Annotated[str, AfterValidator(_origins)]
Operators = Annotated[str, AfterValidator(lambda text: ",".join(operators(text)))]

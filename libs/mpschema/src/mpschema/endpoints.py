"""Checks of a webhook's endpoint, made when it is given.

An endpoint that can never work is refused at once, not by the first event that cannot be sent. Pure: no name is looked
up. Each delivery resolves the name again.
"""

import re
from urllib.parse import SplitResult, urlsplit

from mpschema import networks

PATTERN = r'^https?://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][!-"$-\[\]-~]*)?$'
"""The pattern that the gateway documents for an endpoint: printable ASCII. Older records may hold more."""
_LABEL = re.compile(r"^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_NUMBER = re.compile(r"^(0[xX][0-9A-Fa-f]*|[0-9]+)\Z")
_NAME_MAX = 253
_NEVER_RESOLVED = frozenset({"invalid", "onion"})
_THIS_MACHINE = "localhost"
_DO = "name an endpoint by a public name, or let MP_WEBHOOKS_ALLOW_PRIVATE allow private ones"
_PRIVATE_ENDS = ("corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "private")
"""The last labels of names of private networks: reserved for them (RFC 6762, RFC 8375, ICANN), or used so."""


def unusable(url: str) -> str:
    """Return the reason why no installation can ever deliver there; empty where one may."""
    parts = _parts(url)
    return parts if isinstance(parts, str) else _unusable_host(parts.hostname or "")


def not_public(url: str) -> str:
    """Return the reason why an installation that delivers to the internet alone cannot deliver there.

    Empty where it may, as far as the text shows. `unusable` covers the rest.
    """
    parts = _parts(url)
    if isinstance(parts, str):
        return parts
    host = (parts.hostname or "").removesuffix(".").lower()
    if parts.scheme != "https":
        return "the endpoint is not https, and this installation delivers to https alone"
    if host.rpartition(".")[2] == _THIS_MACHINE:
        return f"{host} is this machine itself, and this installation delivers to the internet alone"
    found = _special_of(host)
    if found is not None:
        return f"{host} is {found.purpose}, and this installation delivers to the internet alone"
    if ":" not in host and not _NUMBER.match(host.rpartition(".")[2]) and _is_private_name(host):
        return f"{host} is a name of a private network, and this installation delivers to the internet alone: {_DO}"
    return ""


def _is_private_name(host: str) -> bool:
    return "." not in host or any(host.endswith(f".{end}") for end in _PRIVATE_ENDS) or host in _PRIVATE_ENDS


def _parts(url: str) -> SplitResult | str:
    """Return the parts of an URL, or the reason why it has none."""
    if not url.isascii() or not url.isprintable():
        return "an endpoint is written in printable ASCII: a name of another script in its xn-- form, a path with %"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"the endpoint is no URL: {error}"
    if port == 0:
        return "no endpoint has the port 0"
    return _never_sent(parts, url) or parts


def _never_sent(parts: SplitResult, url: str) -> str:
    if "@" in parts.netloc:
        return "an endpoint holds no user or password, deliveries are signed: leave out what stands before the @"
    if "#" in url:
        return "an endpoint has no fragment, which is never sent: leave out # and what follows it"
    return ""


def _unusable_host(host: str) -> str:
    if ":" in host:
        return _unusable_address(host)
    labels = host.removesuffix(".").split(".")
    if _NUMBER.match(labels[-1]):
        return _unusable_address(host)
    if len(host) > _NAME_MAX or not all(_LABEL.match(label) for label in labels):
        return f"{host[:100]!r} is no name of a host"
    if labels[-1].lower() in _NEVER_RESOLVED:
        return f"names that end in .{labels[-1].lower()} lead nowhere"
    return ""


def _unusable_address(host: str) -> str:
    if "%" in host:
        return f"{host[:100]!r} names a link of one machine: no other has the same"
    try:
        found = networks.special(host)
    except ValueError:
        return f"{host[:100]!r} is no address: write IPv4 as four decimal numbers, IPv6 in brackets"
    return f"nothing can be delivered to {host}: it is {found.purpose}" if found is not None and found.dead else ""


def _special_of(host: str) -> networks.Special | None:
    try:
        return networks.special(host)
    except ValueError:
        return None  # A name: where it leads is seen at delivery.

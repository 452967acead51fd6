"""The special-purpose address registries of IANA, in one table of our own.

The table stands beside the interpreter's `ipaddress`, whose knowledge differs from release to release: an address is
public only if both say so. Where an address carries another inside (an IPv4 address in one of IPv6), the inner one is
judged. An address that is not known is not public: of IPv6 only 2000::/3 has been assigned.
"""

import ipaddress
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Special(NamedTuple):
    """A special-purpose network."""

    block: str
    purpose: str
    """The end of a sentence that begins "the address is …"."""
    dead: bool = False
    """True where no endpoint can be, in any installation: nothing is routed to it, or it is not one machine."""


_DOCUMENTATION = "of a network for documentation"
_PRIVATE = "of a private network"
_TUNNEL = "of an automatic tunnel"
_SINK = "of a sink for stray queries (AS112)"
_RELAY = "of a relay service (AMT)"

_V4: tuple[Special, ...] = (
    Special("0.0.0.0/8", "unspecified", dead=True),
    Special("10.0.0.0/8", _PRIVATE),
    Special("100.64.0.0/10", "of a provider's shared network"),
    Special("127.0.0.0/8", "this machine itself"),
    Special("169.254.0.0/16", "of this link alone"),
    Special("172.16.0.0/12", _PRIVATE),
    Special("192.0.0.0/24", "of a network for protocols"),
    Special("192.0.2.0/24", _DOCUMENTATION, dead=True),
    Special("192.31.196.0/24", _SINK),
    Special("192.52.193.0/24", _RELAY),
    Special("192.88.99.0/24", _TUNNEL),
    Special("192.168.0.0/16", _PRIVATE),
    Special("192.175.48.0/24", _SINK),
    Special("198.18.0.0/15", "of a network for measuring"),
    Special("198.51.100.0/24", _DOCUMENTATION, dead=True),
    Special("203.0.113.0/24", _DOCUMENTATION, dead=True),
    Special("224.0.0.0/4", "a group of machines (multicast)", dead=True),
    Special("240.0.0.0/4", "reserved", dead=True),
)
_V6: tuple[Special, ...] = (
    Special("::/128", "unspecified", dead=True),
    Special("::1/128", "this machine itself"),
    Special("::/96", "of a form that is no longer used (IPv4-compatible)", dead=True),
    Special("::ffff:0:0:0/96", "of a translator (SIIT)"),
    Special("64:ff9b:1::/48", "of a local translator (NAT64)"),
    Special("100::/64", "a place where everything is thrown away", dead=True),
    Special("100:0:0:1::/64", "a place where everything is thrown away", dead=True),
    Special("2001::/32", _TUNNEL),
    Special("2001:2::/48", "of a network for measuring"),
    Special("2001:10::/28", "a name in the form of an address (ORCHID)", dead=True),
    Special("2001:20::/28", "a name in the form of an address (ORCHID)", dead=True),
    Special("2001:30::/28", "a name in the form of an address (DRIP)", dead=True),
    Special("2001::/23", "of a network for protocols"),
    Special("2001:db8::/32", _DOCUMENTATION, dead=True),
    Special("2002::/16", _TUNNEL),
    Special("2620:4f:8000::/48", _SINK),
    Special("3fff::/20", _DOCUMENTATION, dead=True),
    Special("5f00::/16", "a step of a route (SRv6)", dead=True),
    Special("fc00::/7", _PRIVATE),
    Special("fe80::/10", "of this link alone"),
    Special("fec0::/10", _PRIVATE),
    Special("ff00::/8", "a group of machines (multicast)", dead=True),
)
_BLOCKS: dict[int, tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, Special], ...]] = {
    version: tuple((ipaddress.ip_network(special.block), special) for special in table)
    for version, table in ((4, _V4), (6, _V6))
}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
_UNKNOWN = Special("::/0", "of no network that has been given out", dead=True)
_BY_THE_INTERPRETER = Special("", "of a special-purpose network")
_ISATAP = 0x5EFE
"""The mark of ISATAP in the third quarter of an IPv6 address: the last quarter is an IPv4 address of a site."""
_GROUP_AND_LOCAL_BITS = 0x0300_0000


def special(address: str) -> Special | None:
    """Return the special purpose of an IP address; None for one of the internet. Raises `ValueError` for no address."""
    return _special(ipaddress.ip_address(address.partition("%")[0]))


def _special(address: Address) -> Special | None:
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried(address)
        if carried is not None:
            return _special(carried)
    for block, found in _BLOCKS[address.version]:
        if address in block:
            return found
    if address.version == _GIVEN_OUT.version and address not in _GIVEN_OUT:
        return _UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and (site := _isatap(address)) is not None:
        inner = _special(site)
        if inner is not None:
            return inner
    return None if address.is_global and not address.is_multicast else _BY_THE_INTERPRETER


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a connection to this one reaches: in a mapped form, or behind the well-known NAT64."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def _isatap(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    third = int(address) >> 32 & 0xFFFF_FFFF
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if third & ~_GROUP_AND_LOCAL_BITS == _ISATAP else None

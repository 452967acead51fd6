"""Public addresses, by the registries of IANA and by the address that another carries inside."""

from __future__ import annotations

import ipaddress

import pytest
from mpschema.endpoints import not_public, unusable
from mpschema.networks import _V4, _V6, special

NOT_PUBLIC = (
    "127.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "::7f00:1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:7f00:1",
    "::ffff:0:808:808",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::192.0.0.192",
    "64:ff9b:1::127.0.0.1",
    "64:ff9b:1:7f00:0:100::",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "100::1",
    "100:0:0:1::1",
    "3fff::1",
    "5f00::1",
    "2620:4f:8000::1",
    "::ffff:192.168.0.1",
    "2001:0:a9fe:a9fe:0:0:5601:5601",
    "0:0:0:0:0:5efe:7f00:1",
    "fe80::5efe:7f00:1",
    "2001:67c::5efe:127.0.0.1",
    "2001:67c::200:5efe:192.168.0.1",
    "2001:67c::300:5efe:10.0.0.1",
    "4000::1",
    "1::1",
    "e000::1",
    "9999::1",
)
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "192.0.1.1",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:80f::200e",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2001:67c::5efe:8.8.8.8",
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_special_address_is_not_public_however_it_is_written(address: str) -> None:
    assert special(address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert special(address) is None


def test_the_table_holds_from_the_first_to_the_last_address_of_each_block() -> None:
    for row in (*_V4, *_V6):
        block = ipaddress.ip_network(row.block)
        assert special(str(block[0])) is not None, row
        assert special(str(block[-1])) is not None, row


def test_what_is_said_of_an_address_completes_a_sentence() -> None:
    found = special("169.254.169.254")
    assert found is not None
    assert (found.purpose, found.dead) == ("of this link alone", False)


UNUSABLE = [
    ("https://0.0.0.0/", "unspecified"),
    ("https://224.0.0.1/", "multicast"),
    ("https://255.255.255.255/", "reserved"),
    ("https://192.0.2.1/", "documentation"),
    ("https://[2001:db8::1]/", "documentation"),
    ("https://[::]/", "unspecified"),
    ("https://[ff02::1]/", "multicast"),
    ("https://[::ffff:224.0.0.1]/", "multicast"),
    ("https://[9999::1]/", "given out"),
    ("https://[fe80::1%25eth0]/", "one machine"),
    ("https://[fe80::1%eth0]/", "one machine"),
    ("https://0x7f000001/", "four decimal numbers"),
    ("https://2130706433/", "four decimal numbers"),
    ("https://127.1/", "four decimal numbers"),
    ("https://1.2.3.4.5/", "four decimal numbers"),
    ("https://0177.0.0.1/", "four decimal numbers"),
    ("https://example.com:0/", "port"),
    ("https://example.com:99999/", "no URL"),
    ("https://example.com:x/", "no URL"),
    ("https://[::1/", "no URL"),
    ("https://[zz]/", "no URL"),
    ("https://ex\u00e4mple.com/", "xn--"),
    ("https://\u2025/", "xn--"),
    ("https://example.com/\x1b", "printable"),
    ("https://exa%6dple.com/", "no name"),
    ("https://-example.com/", "no name"),
    ("https://example..com/", "no name"),
    (f"https://{'a' * 64}.com/", "no name"),
    ("https://:443/", "no name"),
    ("https://hook.invalid/", "lead nowhere"),
    ("https://user:secret@example.com/", "leave out what stands before the @"),
    ("https://user@example.com/", "leave out what stands before the @"),
    ("https://@example.com/", "leave out what stands before the @"),
    ("https://example.com/#part", "leave out # and"),
    ("https://example.com#", "leave out # and"),
]


@pytest.mark.parametrize(("url", "words"), UNUSABLE)
def test_an_endpoint_that_can_never_work_is_told_why(url: str, words: str) -> None:
    assert words in unusable(url)


PRIVATE = [
    ("http://example.com/", "not https"),
    ("https://127.0.0.1/", "this machine itself"),
    ("https://10.1.2.3/", "private network"),
    ("https://[fd00:ec2::254]/", "private network"),
    ("https://169.254.169.254/latest", "this link"),
    ("https://[64:ff9b::a9fe:a9fe]/", "this link"),
    ("https://localhost/", "this machine itself"),
    ("https://a.LOCALHOST./", "this machine itself"),
    ("https://metadata/", "name an endpoint by a public name"),
    ("https://gateway-1:8080/", "name an endpoint by a public name"),
    ("https://com./", "name an endpoint by a public name"),
    ("https://metadata.google.internal/", "name an endpoint by a public name"),
    ("https://printer.LOCAL./", "name an endpoint by a public name"),
    ("https://nats.mp.svc.cluster.local/", "name an endpoint by a public name"),
    ("https://nas.home.arpa/", "name an endpoint by a public name"),
    ("https://ci.corp/", "name an endpoint by a public name"),
]


@pytest.mark.parametrize(("url", "words"), PRIVATE)
def test_what_works_in_a_private_network_alone_is_told_where_only_the_internet_is_told(url: str, words: str) -> None:
    assert unusable(url) == ""
    assert words in not_public(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://example.com:8443/hook?x=1",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/hook",
        "https://xn--exmple-cua.com/",
        "https://a_b.example.com./",
        "https://3com.com/",
    ],
)
def test_everything_else_may_be_an_endpoint(url: str) -> None:
    assert (unusable(url), not_public(url)) == ("", "")

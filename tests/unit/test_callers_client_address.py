"""sourceIPAddress behind proxies: only what trusted ones vouch for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.gateway.client_address import client_address, networks

TRUSTED = networks("10.0.0.0/8, 2001:db8:ffff::/48,192.0.2.1")


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6,198.51.100.1, 10.2.3.4 ,192.0.2.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("2001:db8:ffff::7", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "fe80::1%eth0", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_right_most_address_that_is_no_trusted_proxy_is_the_client(peer: str, header: str, expected: str) -> None:
    """Whatever stands left of it, anybody could have written."""
    assert client_address(peer, header, TRUSTED) == expected


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    """The socket's address, as it is."""
    assert client_address("127.0.0.1", "198.51.100.1", ()) == "127.0.0.1"


@given(st.text(alphabet='0123456789abcdef.:,[]% "x', max_size=200))
def test_any_header_yields_an_address(header: str) -> None:
    """Never the header's own text, and never an error."""
    networks(client_address("10.0.0.1", header, TRUSTED))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy.local", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(text: str) -> None:
    """Host bits, names and impossible lengths are mistakes in the configuration."""
    with pytest.raises(ValueError, match=r".+"):
        networks(text)

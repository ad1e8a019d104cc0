"""Where a request came from: the socket's address, or what trusted proxies say of it. Pure.

Rules. X-Forwarded-For is anybody's text until a proxy of ours appends to it, so it is read from the right, and only as
long as the address that vouches for the next one is trusted: the right-most address that is not a trusted proxy is the
client. Without configured proxies the header means nothing.
"""

import ipaddress
from collections.abc import Mapping, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Sequence[Network]

MAX_HOPS = 32
"""How many proxies in a row are followed."""

_SAID_BY_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def client_address(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """The client's address in its usual form. ``peer``: the socket's; ``forwarded_for``: the header, all lines joined.

    Text that is no address ends the search: the last address that is known for sure is the answer.
    """
    if not trusted or not forwarded_for:
        return peer
    found = _address(peer)
    if found is None:
        return peer
    for hop in reversed(forwarded_for.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        if not _is_trusted(found, trusted):
            break
        following = _address(hop)
        if following is None:
            break
        found = following
    return str(found)


def is_from_this_machine(socket_address: str, headers: Mapping[str, str]) -> bool:
    """Whether a request was made on this machine, going by its connection alone.

    No header makes it so. One that proxies add makes it not so: a proxy on this machine speaks for somebody else.
    """
    found = _address(socket_address)
    return found is not None and found.is_loopback and not any(name in headers for name in _SAID_BY_PROXIES)


def networks(text: str) -> Networks:
    """Networks from a setting: addresses and CIDR blocks, separated by commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())


def _is_trusted(address: Address, trusted: Networks) -> bool:
    return any(address in network for network in trusted)


def _address(text: str) -> Address | None:
    """An address with or without a port, ``192.0.2.1:80`` or ``[2001:db8::1]:80``; None for anything else."""
    plain = text.strip().strip('"')
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    if "%" in plain:  # a zone is free text, and means something on the proxy only
        return None
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found

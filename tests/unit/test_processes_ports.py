"""Free ports are different, free, and outside the kernel's range for outgoing connections."""

import socket
from pathlib import Path

import pytest

from opentrail.processes.ports import LOOPBACK, free_ports, is_free


def test_ports_are_different_and_can_be_listened_on() -> None:
    """All of them can be bound at the same time."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_second_doors_are_free_too_and_nobody_elses() -> None:
    """With a distance, both ports of every pair are free, and no port stands in two pairs."""
    ports = free_ports(20, also_at=10000)
    doors = ports + [port + 10000 for port in ports]
    assert len(set(doors)) == 40
    assert all(is_free(port) for port in doors)


def test_no_outgoing_connection_can_take_a_chosen_port() -> None:
    """The kernel's own range is avoided, so a server that restarts finds its port free."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 20000:
        pytest.skip("this machine uses nearly all ports for outgoing connections")
    assert all(port < lowest for port in free_ports(50))


def test_a_port_that_is_listened_on_is_not_free() -> None:
    """Somebody else's listener counts, also with SO_REUSEADDR."""
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_too_many_ports_are_refused() -> None:
    """What cannot be had is an error, not a shorter list."""
    with pytest.raises(OSError, match="no 100000 free ports"):
        free_ports(100000, also_at=1)

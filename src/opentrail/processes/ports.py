"""Free TCP ports on the loopback address.

A free port is only a guess: between choosing and binding, anybody may take it. Callers that hand a port to a child must
be ready to choose again. Ports come from below the range that the kernel uses for outgoing connections, so that a
server which restarts on its old port does not find a client's socket there.
"""

import contextlib
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LOWEST = 10240
_OUTGOING_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_OUTGOING_START = 32768
_TRIES = 4096


def free_ports(count: int, *, also_at: int = 0) -> list[int]:
    """That many different TCP ports nobody listens on at 127.0.0.1.

    With ``also_at`` the port at that distance above each is free too (some servers put a second door there). All are
    held open together while choosing, so none comes twice. Raises OSError when too few are free.
    """
    # A port is no identifier and no secret, so this randomness is not injected; the kernel's own choice is not either.
    chance = random.SystemRandom()
    candidates = range(_LOWEST, max(_outgoing_start() - also_at, _LOWEST + 1000))
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for port in chance.sample(candidates, min(_TRIES, len(candidates))):
            if len(ports) == count:
                break
            try:
                for wanted in {port, port + also_at}:
                    held.enter_context(_bound(wanted))
            except OSError:
                continue
            ports.append(port)
    if len(ports) < count:
        raise OSError(f"no {count} free ports on {LOOPBACK}")
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now (ports in TIME_WAIT count as free)."""
    try:
        _bound(port).close()
    except OSError:
        return False
    return True


def _bound(port: int) -> socket.socket:
    """A listening socket on the port: binding alone would succeed beside another one that does not listen yet."""
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        candidate.bind((LOOPBACK, port))
        candidate.listen(1)
    except OSError:
        candidate.close()
        raise
    return candidate


def _outgoing_start() -> int:
    """The first port of the kernel's range for outgoing connections."""
    try:
        return int(_OUTGOING_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _DEFAULT_OUTGOING_START

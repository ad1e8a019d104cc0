"""Telling systemd how a service does (``Type=notify``): one datagram to the socket that it names, see sd_notify(3)."""

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"
_VARIABLE = "NOTIFY_SOCKET"


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Say READY or STOPPING to whoever started us; nothing where nobody asked. Never raises: it is a courtesy."""
    address = environment.get(_VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError as problem:
        log.warning("systemd could not be told %s: %s", state, problem.strerror or problem)

"""The port between the work on servers and whatever lets clients in to them."""

from typing import Protocol

from opentrail.opsworks.server import Server


class Doors(Protocol):
    """Lets clients in to servers, each at its endpoint. Both methods may block for a moment; worker threads only."""

    def open(self, server: Server) -> str | None:
        """Answer at a server's endpoint; one that is open stays so. What is wrong, where it cannot be; else None."""

    def close(self, server: Server) -> None:
        """Answer there no more; nothing happens where it is not open."""


class NoDoors:
    """For engines whose clients go to them directly."""

    def open(self, server: Server) -> str | None:  # noqa: ARG002 - the port's form
        """Nothing to open."""
        return None

    def close(self, server: Server) -> None:
        """Nothing to close."""

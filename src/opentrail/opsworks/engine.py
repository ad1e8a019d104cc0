"""The engine port: the real Chef server behind an OpsWorks CM server, as the rest of the package sees it.

An engine is asked by server id. Every method may block for seconds and is called from worker threads only; calls for
one server never overlap. Whatever the engine cannot do it raises as OutboundError; ``retryable`` says whether trying
again may help.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from opentrail.aws.http import Reply

ENGINE_MISSING = "EngineMissing"
"""The OutboundError code for an engine that is not installed; its message says how to get it."""

ENGINE_GONE = "EngineData"
"""The OutboundError code for a server that has no files any more."""
ENGINE_URL = "https://engine.invalid"
"""What URLs in engines' answers begin with; the Chef API door puts the server's own in its place."""


ENGINE_RESTARTED = "EngineRestarted"
"""The OutboundError code for a write that an engine's end may have undone; it has to be made again."""


class HealthState(StrEnum):
    """What a health check finds (opsworks-cm fact sheet 12.9); GONE: there is nothing that could be started."""

    OK = "OK"
    FAILING = "FAILING"
    DEAD = "DEAD"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class Health:
    """A health check's finding; ``problem`` says what is wrong, where something is."""

    state: HealthState
    problem: str = ""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which server, and the host name that its URLs carry."""

    server_id: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class FirstUsers:
    """What a new server's users begin with: pivotal's public key (SPKI PEM) and the admin's password."""

    pivotal_public_key: str
    admin_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Restoration:
    """A backup about to become a server.

    ``directory`` holds what ``Engine.snapshot`` once showed; the engine may take the files away. pivotal gets the key;
    the admin gets the password, or keeps the backup's where that is None. Without ``keeps_nodes`` the nodes and the
    clients of the backup are left behind.
    """

    directory: Path
    pivotal_public_key: str
    admin_password: str | None = field(repr=False)
    keeps_nodes: bool


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One call of Chef's API: the engine's own path, and the user or client on whose behalf; None for nobody's."""

    method: str
    path: str
    actor: str | None
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Engine(Protocol):
    """A driver of one kind of Chef server."""

    def describe(self) -> str:
        """The engine's name and version, for backups' ``ToolsVersion`` and manifests."""

    def provision(self, spec: EngineSpec, users: FirstUsers) -> None:
        """Make a new server from nothing, run it and create its users; returns when all of that is on disk.

        What an interrupted attempt left is thrown away first: nobody can have used it.
        """

    def restore(self, spec: EngineSpec, source: Restoration) -> None:
        """Make a server from a backup and run it; returns when all of that is on disk.

        A server that exists is replaced only when the new one has proved that it works; where it does not, the old one
        is what there is afterwards (it may be stopped), and OutboundError, OSError or IntegrityError is raised.
        """

    def start(self, spec: EngineSpec) -> None:
        """Run a server that exists; one that runs already is left alone. Returns when it answers.

        The OutboundError's code is ENGINE_GONE where nothing is left of the server.
        """

    def is_up(self, server_id: str) -> bool:
        """Whether its process runs."""

    def stop(self, server_id: str) -> None:
        """Stop a server without losing what it acknowledged; nothing happens where it does not run."""

    def health(self, server_id: str) -> Health:
        """Look whether a server really works. Raises nothing: what is wrong is the answer."""

    def durably(self, server_id: str) -> AbstractContextManager[None]:
        """A block whose writes are on the engine's disk when it has ended.

        Raises OutboundError with code ``EngineRestarted`` at its end where the engine was not the same all the while.
        """

    def client_key(self, server_id: str, name: str) -> str | None:
        """The public key of a Chef client, in PEM form; None where there is no such client."""

    def add_client(self, server_id: str, name: str, public_key: str) -> None:
        """Make a Chef client, no administrator, with a given public key; its owner can sign at once."""

    def remove_node(self, server_id: str, name: str) -> None:
        """Remove a node object and the client of that name, whose key is refused from now on. What is not there is no
        error.
        """

    def set_pivotal_key(self, server_id: str, public_key: str) -> None:
        """Give the Chef superuser another public key; the old one is refused from now on."""

    def snapshot(self, server_id: str) -> AbstractContextManager[Path]:
        """A directory with a consistent copy of the server's files, for as long as the block lasts."""

    def delete(self, server_id: str) -> None:
        """Stop a server at once and remove everything of it; nothing happens where there is nothing."""

    def call(self, server_id: str, call: EngineCall) -> Reply:
        """Pass a call on, as its actor, whom somebody else has authenticated. Unlike the other methods it may overlap
        with any, and a stop waits for the writes that it let in. Raises OutboundError.
        """

    def server_ids(self) -> list[str]:
        """Every server that has anything here, wanted or not."""

"""The engine driver for a Chef Infra or CINC server that somebody else runs: by URL and the key of one of its users.

There is one such server, so one of OpsWorks CM's servers can be it at a time; a file remembers which. Clients go there
directly, and nothing is started, stopped, copied or deleted there: it is looked at, and its nodes' clients and
pivotal's key are kept.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentrail.aws.http import Reply
from opentrail.errors import OutboundError
from opentrail.opsworks.engine import EngineCall, EngineSpec, FirstUsers, Health, HealthState, Restoration
from opentrail.opsworks.external_api import ExternalApi
from opentrail.state.private_files import write_private

NOT_OURS = "NotOurs"
"""The OutboundError code for what is left to whoever runs the external server."""


class ExternalChef:
    """Drives one external server; ``root`` is a private directory."""

    def __init__(self, root: Path, api: ExternalApi) -> None:
        self._api = api
        self._owner_file = root / "external-server"
        self._up: set[str] = set()
        self._lock = threading.Lock()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def describe(self) -> str:
        """What it is; its version is its owner's business."""
        return "external Chef server"

    def provision(self, spec: EngineSpec, users: FirstUsers) -> None:
        """Make it this server's, and pivotal's key the given one. The admin's password has no dashboard to open.

        Raises OutboundError where it is another server's already, does not answer, or refuses the key.
        """
        with self._lock:
            if self._owner() not in {None, spec.server_id}:
                text = "the external Chef server is another server's already; delete that one first"
                raise OutboundError("EngineTaken", text, retryable=False)
            problem = self._api.problem()
            if problem is not None:
                raise OutboundError("EngineFails", f"the external Chef server does not work: {problem}")
            self._api.set_pivotal_key(users.pivotal_public_key)
            write_private(self._owner_file, spec.server_id)
            self._up.add(spec.server_id)

    def restore(self, spec: EngineSpec, source: Restoration) -> None:  # noqa: ARG002 - the port's form
        """Always an OutboundError: nothing of it is here that could be replaced."""
        text = "an external Chef server is restored by whoever runs it, with its own tools"
        raise OutboundError(NOT_OURS, text, retryable=False)

    def start(self, spec: EngineSpec) -> None:
        """Look after it again. Raises OutboundError where it is not this server's."""
        if self._owner() != spec.server_id:
            raise OutboundError(
                "EngineData", "the server's data are missing: the external one is not its own", retryable=False
            )
        self._up.add(spec.server_id)

    def is_up(self, server_id: str) -> bool:
        """Whether we look after it; whether it works is ``health``'s to say."""
        return server_id in self._up

    def stop(self, server_id: str) -> None:
        """Leave it alone; it runs on."""
        self._up.discard(server_id)

    def health(self, server_id: str) -> Health:
        """Dead where it is not looked after, failing where it does not answer as it should, else ok."""
        if not self.is_up(server_id):
            return Health(HealthState.DEAD, "The external Chef server is not in use")
        problem = self._api.problem()
        return Health(HealthState.OK) if problem is None else Health(HealthState.FAILING, problem)

    @contextmanager
    def durably(self, server_id: str) -> Iterator[None]:  # noqa: ARG002 - the port's form
        """What it acknowledges is its own to keep."""
        yield

    def client_key(self, server_id: str, name: str) -> str | None:
        """A client's public key."""
        return self._used(server_id).client_key(name)

    def add_client(self, server_id: str, name: str, public_key: str) -> None:
        """Make a plain client."""
        self._used(server_id).add_client(name, public_key)

    def remove_node(self, server_id: str, name: str) -> None:
        """The client goes first: from then on its key cannot make the node object again."""
        api = self._used(server_id)
        api.remove("clients", name)
        api.remove("nodes", name)

    def set_pivotal_key(self, server_id: str, public_key: str) -> None:
        """Replace the key that ``provision`` gave pivotal."""
        self._used(server_id).set_pivotal_key(public_key)

    @contextmanager
    def snapshot(self, server_id: str) -> Iterator[Path]:
        """Always an OutboundError: its backups are made with its own tools."""
        if self._owner() != server_id:
            raise OutboundError("EngineData", "the server's data are missing", retryable=False)
        text = "an external Chef server is backed up by whoever runs it, with its own tools"
        raise OutboundError(NOT_OURS, text, retryable=False)
        yield

    def delete(self, server_id: str) -> None:
        """Let go of it; nothing is deleted there."""
        with self._lock:
            self._up.discard(server_id)
            if self._owner() == server_id:
                self._owner_file.unlink(missing_ok=True)

    def call(self, server_id: str, call: EngineCall) -> Reply:  # noqa: ARG002 - the port's form
        """Always an OutboundError: clients go to it directly."""
        raise OutboundError(NOT_OURS, "clients of an external Chef server go there directly", retryable=False)

    def server_ids(self) -> list[str]:
        """The server that it is, where it is one."""
        owner = self._owner()
        return [] if owner is None else [owner]

    def _owner(self) -> str | None:
        try:
            return self._owner_file.read_text("ascii")
        except FileNotFoundError:
            return None

    def _used(self, server_id: str) -> ExternalApi:
        if server_id not in self._up:
            raise OutboundError("NotRunning", "the external Chef server is not in use")
        return self._api

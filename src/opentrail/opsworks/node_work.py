"""The background work on nodes: carrying out what was asked for them, and replacing pivotal's key.

Rules (opsworks-cm fact sheet 5, 6 and 12). Nothing is called done before it is on the engine's disk: an engine that
ends abruptly forgets its last second, and then it is made again. What is done twice has the effect of once. A node's
name belongs to the key that it was first associated with until it is disassociated, so that no node can take another
one's place.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from opentrail.clock import Clock
from opentrail.errors import OutboundError
from opentrail.opsworks.engine import ENGINE_RESTARTED, Engine, EngineSpec
from opentrail.opsworks.keys import same_public_key
from opentrail.opsworks.node_store import end_request, waiting_requests
from opentrail.opsworks.nodes import DEFAULT_ORGANIZATION, NodeRequest, NodeRequestStatus, event_of
from opentrail.opsworks.server import Server, ServerStatus
from opentrail.opsworks.store import OpsWorksStore

ATTEMPTS = 3
_BATCH = 100
_log = logging.getLogger(__name__)
T = TypeVar("T")
Ended = tuple[NodeRequest, str | None]
"""A request and why it failed; None where it did not."""


class NodeWork:
    """Tells engines of nodes and of pivotal's key."""

    def __init__(self, store: OpsWorksStore, engine: Engine, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._clock = clock

    def carry_out(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Associate and disassociate what a server's requests say, in their order; what fails for now is left for the
        next look, until it is overdue.
        """
        while not stopping():
            with self._store.database.read() as connection:
                batch = waiting_requests(connection, server.server_id, _BATCH)
            if not batch:
                return
            try:
                ended = self._durably(server, partial(self._apply_all, server.server_id, batch))
            except (OutboundError, OSError) as error:
                if stopping():
                    return
                _log.warning("nodes of Chef server %s are not told to its engine yet: %s", server.name, error)
                now = self._clock.now()
                ended = [(request, str(error)) for request in batch if request.is_overdue(now)]
            self._end(server, ended)
            if len(ended) < len(batch):
                return

    def replace_pivotal_key(self, server: Server, stopping: Callable[[], bool]) -> None:
        """Give the engine of a MODIFYING server pivotal's new key; the server is RUNNING afterwards, to be checked."""
        problem: str | None = None
        key = server.next_pivotal_public_key
        if key is not None:
            try:
                self._durably(server, partial(self._engine.set_pivotal_key, server.server_id, key))
            except (OutboundError, OSError) as error:
                if stopping():
                    return  # it is done at the next start
                problem = str(error)
                _log.error("pivotal's key of Chef server %s was not replaced: %s", server.name, error)
        with self._store.database.unit() as unit:
            now = self._store.server_by_id(unit.connection, server.server_id)
            if now is None or now.status is not ServerStatus.MODIFYING:
                return
            self._store.put_server(unit, now.modified(done=problem is None))
            text = "Pivotal's key was replaced" if problem is None else f"Pivotal's key was not replaced: {problem}"
            self._store.note(unit, now, text, self._clock.now())

    def _durably(self, server: Server, write: Callable[[], T]) -> T:
        """Write to a running engine until it is on its disk, again where an engine's end may have undone it."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._engine.start(EngineSpec(server.server_id, server.endpoint))
                with self._engine.durably(server.server_id):
                    return write()
            except OutboundError as error:
                if attempt == ATTEMPTS or error.code != ENGINE_RESTARTED:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _apply_all(self, server_id: str, batch: list[NodeRequest]) -> list[Ended]:
        return [(request, self._apply(server_id, request)) for request in batch]

    def _apply(self, server_id: str, request: NodeRequest) -> str | None:
        """Carry out one request; why it cannot be, where it never can. Raises OutboundError where it may later."""
        if request.organization != DEFAULT_ORGANIZATION:
            return "the Chef server has no organization of the name that was given"
        try:
            if request.public_key is None:
                self._engine.remove_node(server_id, request.node_name)
                return None
            held = self._engine.client_key(server_id, request.node_name)
            if held is None:
                self._engine.add_client(server_id, request.node_name, request.public_key)
            elif not same_public_key(held, request.public_key):
                return "there is a client of this name with another key; disassociate it first"
        except OutboundError as error:
            if error.retryable:
                raise
            return error.message
        return None

    def _end(self, server: Server, ended: list[Ended]) -> None:
        with self._store.database.unit() as unit:
            if self._store.server_by_id(unit.connection, server.server_id) is None:
                return
            for request, problem in ended:
                status = NodeRequestStatus.SUCCESS if problem is None else NodeRequestStatus.FAILED
                end_request(unit, request, status)
                self._store.note(unit, server, event_of(request, problem), self._clock.now())

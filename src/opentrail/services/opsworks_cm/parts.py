"""What the handlers of OpsWorks CM work with, and the look-ups that they share.

Everything is found within the caller's account and the call's region; what belongs to somebody else does not exist.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.backups import AWS_S3, Backup
from opentrail.opsworks.endpoints import EndpointRule
from opentrail.opsworks.keys import KeyPair, generate_key_pair
from opentrail.opsworks.paging import PageTokens
from opentrail.opsworks.server import Server
from opentrail.opsworks.store import OpsWorksStore
from opentrail.state.sealing import Seal

NAMES = EndpointRule("opsworks-cm.io")
"""Endpoints as AWS named them."""


class Background(Protocol):
    """The background work, as far as handlers ask for it (``opentrail.opsworks.jobs.Jobs``)."""

    def look_at_server(self, server_id: str) -> None:
        """Do soon what the server's state calls for."""

    def look_at_backup(self, number: int) -> None:
        """Do soon what the backup's state calls for."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many servers and manual backups an account may have; AWS's numbers (opsworks-cm fact sheet 9)."""

    servers: int = 10
    manual_backups: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The service's surroundings. ``tokens`` signs page tokens; ``endpoints`` says how new servers
    are reached, and ``scheme`` by which protocol; ``authority_pem`` is what their clients must trust; ``s3_url`` begins
    the addresses of logs.
    """

    store: OpsWorksStore
    jobs: Background
    clock: Clock
    entropy: Entropy
    seal: Seal
    tokens: PageTokens
    quotas: Quotas = Quotas()
    endpoints: EndpointRule = NAMES
    scheme: str = "https"
    authority_pem: str = ""
    s3_url: str = AWS_S3
    make_key_pair: Callable[[], KeyPair] = generate_key_pair

    def server(self, connection: sa.Connection, call: Call, name: str) -> Server:
        """The caller's server of that name. Raises ApiError ResourceNotFoundException."""
        server = self.store.server(connection, call.account_id, call.region, name)
        if server is None:
            raise ApiError("ResourceNotFoundException", f"Server with name {name} does not exist")
        return server

    def backup(self, connection: sa.Connection, call: Call, backup_id: str) -> Backup:
        """The caller's backup with that id. Raises ApiError ResourceNotFoundException."""
        backup = self.store.backup(connection, call.account_id, call.region, backup_id)
        if backup is None:
            raise ApiError("ResourceNotFoundException", f"Backup with id {backup_id} does not exist")
        return backup

    def place(self, call: Call, request: Mapping[str, Any], *filters: str) -> int | None:
        """Where the page asked for begins: the row number of the last page's end, None for the first page.

        Raises ApiError InvalidNextTokenException for a token that is not of this list.
        """
        token = request.get("NextToken")
        return None if token is None else self.tokens.read(_scope(call, filters), token)

    def next_token(self, call: Call, place: int, *filters: str) -> str:
        """The token of the page after a row number."""
        return self.tokens.make(_scope(call, filters), place)


def _scope(call: Call, filters: tuple[str, ...]) -> tuple[str, ...]:
    return (call.event_name, call.account_id, call.region, *filters)

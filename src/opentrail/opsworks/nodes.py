"""A node's association with a Chef server: the request for it, its states, and which names a node may have.

Pure: no I/O. Rules: opsworks-cm fact sheet 4 (AssociateNode, DisassociateNode), 6.3 (attributes, tokens) and 12.4
(names). A request is kept until its effect is on the engine's disk, and shown for a day.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from opentrail.clock import Entropy
from opentrail.errors import ApiError

PATIENCE = timedelta(seconds=180)
"""How long a request is tried; shorter than the 225 s of the waiter ``NodeAssociated``, which so always ends."""

KEPT = timedelta(hours=24)
"""How long a token is good for: AWS shows "recent" requests only."""

DEFAULT_ORGANIZATION = "default"
RESERVED_NAMES = frozenset({"pivotal", "admin", "chef-webui", "chef-validator", "default-validator"})
"""Users and clients of the Chef server itself: a node of that name would take their place."""

_TOKEN_BYTES = 64


class NodeRequestStatus(StrEnum):
    """Every value of the model's ``NodeAssociationStatus``."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    IN_PROGRESS = "IN_PROGRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """A node to be associated, with its public key (SPKI PEM), or to be disassociated: then it has none."""

    token: str
    server_id: str
    node_name: str
    public_key: str | None
    organization: str
    status: NodeRequestStatus
    created_at: datetime

    def is_recent(self, now: datetime) -> bool:
        """Whether its token may still be asked about."""
        return now - self.created_at < KEPT

    def is_overdue(self, now: datetime) -> bool:
        """Whether it was tried for long enough."""
        return now - self.created_at >= PATIENCE


def new_token(entropy: Entropy) -> str:
    """An opaque handle of 88 characters (opsworks-cm fact sheet 6.3)."""
    return base64.b64encode(entropy.token(_TOKEN_BYTES)).decode("ascii")


def check_node_name(name: str) -> str:
    """The name, if a Chef client can have it: the model's pattern allows more.

    Raises ApiError ValidationException for a colon (Chef refuses it), a name that a URL cannot carry, and the names of
    the Chef server's own users and clients.
    """
    if ":" in name:
        raise ApiError("ValidationException", "NodeName must not contain a colon: Chef has no such names")
    if not name.strip("."):
        raise ApiError("ValidationException", "NodeName must contain something other than dots")
    if name.lower() in RESERVED_NAMES:
        raise ApiError("ValidationException", f"NodeName {name} is reserved for the Chef server itself")
    return name


def event_of(request: NodeRequest, problem: str | None) -> str:
    """The server event that tells how a request ended; ``problem`` says why it failed, where it did."""
    done = "disassociated" if request.public_key is None else "associated"
    name = request.node_name if len(request.node_name) <= 256 else f"{request.node_name[:256]}..."
    return f"Node {name} was {done}" if problem is None else f"Node {name} could not be {done}: {problem}"

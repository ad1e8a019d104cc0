"""A Chef server as OpsWorks CM knows it: a value, its states, and which operation each state allows.

Pure: no I/O. Rules come from the opsworks-cm fact sheet, sections 3 (members), 5 (states and guards) and 9 (names).
The administrator's password is held only sealed, and only until the engine knows it. ``next_pivotal_public_key`` is the
key that a MODIFYING server is about to get.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from opentrail.clock import Entropy
from opentrail.errors import ApiError

ENDPOINT_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
ENDPOINT_RANDOM_LENGTH = 16
_LISTED_STATES = 4  # a longer list of states would hide the point of a refusal


class ServerStatus(StrEnum):
    """Every value of the model's ``ServerStatus``."""

    BACKING_UP = "BACKING_UP"
    CONNECTION_LOST = "CONNECTION_LOST"
    CREATING = "CREATING"
    DELETING = "DELETING"
    MODIFYING = "MODIFYING"
    FAILED = "FAILED"
    HEALTHY = "HEALTHY"
    RUNNING = "RUNNING"
    RESTORING = "RESTORING"
    SETUP = "SETUP"
    UNDER_MAINTENANCE = "UNDER_MAINTENANCE"
    UNHEALTHY = "UNHEALTHY"
    TERMINATED = "TERMINATED"


WATCHED = frozenset({ServerStatus.RUNNING, ServerStatus.HEALTHY, ServerStatus.UNHEALTHY, ServerStatus.CONNECTION_LOST})
"""The states that a health check may move between."""

_EVERY = frozenset(ServerStatus)
_BUSY = frozenset(
    {
        ServerStatus.CREATING,
        ServerStatus.DELETING,
        ServerStatus.BACKING_UP,
        ServerStatus.MODIFYING,
        ServerStatus.UNDER_MAINTENANCE,
        ServerStatus.RESTORING,
    }
)
_WITHOUT_ENGINE = frozenset(
    {ServerStatus.CREATING, ServerStatus.TERMINATED, ServerStatus.FAILED, ServerStatus.DELETING}
)
ALLOWED: Mapping[str, frozenset[ServerStatus]] = {
    "AssociateNode": frozenset({ServerStatus.HEALTHY}),
    "DisassociateNode": frozenset({ServerStatus.HEALTHY}),
    "CreateBackup": frozenset({ServerStatus.RUNNING, ServerStatus.HEALTHY, ServerStatus.UNHEALTHY}),
    "RestoreServer": frozenset({*WATCHED, ServerStatus.TERMINATED}),
    "StartMaintenance": frozenset({ServerStatus.HEALTHY, ServerStatus.UNHEALTHY}),
    "DeleteServer": _EVERY - {ServerStatus.DELETING},
    "ExportServerEngineAttribute": _EVERY - _WITHOUT_ENGINE,
    "UpdateServer": _EVERY - _BUSY,
    "UpdateServerEngineAttributes": frozenset({ServerStatus.HEALTHY, ServerStatus.UNHEALTHY}),
    "TagResource": _EVERY - {ServerStatus.DELETING},
    "UntagResource": _EVERY - {ServerStatus.DELETING},
}
"""Operation -> the states it may be asked for in (opsworks-cm fact sheet 5)."""


class MaintenanceStatus(StrEnum):
    """Every value of the model's ``MaintenanceStatus``: how the last maintenance ended."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class NewInstance:
    """The instance that a server's work under way makes for it: from which backup (of its account and region), and what
    changes with it; None stays as it is.
    """

    backup_id: str
    instance_type: str | None = None
    key_pair: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server. ``server_id`` is the uuid at the end of its ARN; ``endpoint`` a host name, or a host and
    port, without a scheme.

    ``backup_due_after`` and ``maintenance_due_after``: windows that opened after these instants are still to be used;
    None stands for the creation.
    """

    server_id: str
    account_id: str
    region: str
    name: str
    created_at: datetime
    status: ServerStatus
    status_reason: str | None = None
    endpoint: str
    custom_domain: str | None = None
    engine: str
    engine_model: str
    engine_version: str
    instance_profile_arn: str
    service_role_arn: str
    instance_type: str
    key_pair: str | None = None
    associate_public_ip_address: bool = True
    disable_automated_backup: bool = False
    backup_retention_count: int = 1
    preferred_maintenance_window: str
    preferred_backup_window: str
    security_group_ids: tuple[str, ...] | None = None
    subnet_ids: tuple[str, ...] | None = None
    pivotal_public_key: str
    next_pivotal_public_key: str | None = None
    sealed_admin_password: bytes | None = None
    maintenance_status: MaintenanceStatus | None = None
    new_instance: NewInstance | None = None
    backup_due_after: datetime | None = None
    maintenance_due_after: datetime | None = None

    @property
    def arn(self) -> str:
        """``arn:aws:opsworks-cm:REGION:ACCOUNT:server/NAME/UUID`` (opsworks-cm fact sheet 9)."""
        return f"arn:aws:opsworks-cm:{self.region}:{self.account_id}:server/{self.name}/{self.server_id}"

    def moved(self, status: ServerStatus, reason: str | None = None) -> "Server":
        """The same server in another state; the reason belongs to that state and replaces the last one."""
        return replace(self, status=status, status_reason=reason)

    def scheduled(
        self, *, backup_due_after: datetime | None = None, maintenance_due_after: datetime | None = None
    ) -> "Server":
        """The server whose windows count from these instants on, where they are given."""
        return replace(
            self,
            backup_due_after=backup_due_after or self.backup_due_after,
            maintenance_due_after=maintenance_due_after or self.maintenance_due_after,
        )

    def provisioned(self) -> "Server":
        """The server once its engine runs and knows its users: nothing sealed is needed any more."""
        return replace(self.settled(), sealed_admin_password=None)

    def settled(self) -> "Server":
        """The server once the work on its instance is over, well or not; a health check comes next."""
        return replace(self, status=ServerStatus.RUNNING, status_reason=None, new_instance=None)

    def restored(self, engine_version: str) -> "Server":
        """The server once its new instance has taken over; the Chef version is the backup's (8.4)."""
        new = self.new_instance
        return replace(
            self.settled(),
            engine_version=engine_version,
            instance_type=(new and new.instance_type) or self.instance_type,
            key_pair=(new and new.key_pair) or self.key_pair,
        )

    def maintained(self, outcome: MaintenanceStatus) -> "Server":
        """The server once maintenance has ended."""
        return replace(self.settled(), maintenance_status=outcome)

    def deleting(self) -> "Server":
        """The server on its way out: nothing that was to become of it counts any more."""
        return replace(self.moved(ServerStatus.DELETING), sealed_admin_password=None, new_instance=None)

    def modifying(self, pivotal_public_key: str) -> "Server":
        """The server whose engine is to be told pivotal's new key."""
        return replace(self.moved(ServerStatus.MODIFYING), next_pivotal_public_key=pivotal_public_key)

    def modified(self, *, done: bool) -> "Server":
        """The server once the engine has the new key, or keeps the old one; its health is yet to be seen."""
        key = self.next_pivotal_public_key if done and self.next_pivotal_public_key else self.pivotal_public_key
        return replace(self.moved(ServerStatus.RUNNING), pivotal_public_key=key, next_pivotal_public_key=None)

    def failed(self, reason: str) -> "Server":
        """The server whose creation failed for good; what was sealed for the engine is erased."""
        return replace(
            self, status=ServerStatus.FAILED, status_reason=reason, sealed_admin_password=None, new_instance=None
        )


def new_endpoint(name: str, region: str, domain: str, entropy: Entropy) -> str:
    """``<servername lower-cased>-<16 chars [a-z0-9]>.<region>.<domain>``, fresh at every creation (section 9)."""
    return f"{name.lower()}-{entropy.text(ENDPOINT_RANDOM_LENGTH, ENDPOINT_ALPHABET)}.{region}.{domain}"


def check_allowed(server: Server, operation: str) -> None:
    """Refuse an operation that the server's state forbids.

    Raises ApiError InvalidStateException (wording: opsworks-cm fact sheet 2.1).
    """
    allowed = ALLOWED[operation]
    if server.status in allowed:
        return
    if operation == "DeleteServer":
        raise ApiError("InvalidStateException", f"Server {server.name} is already being deleted")
    text = f"Server {server.name} is in state {server.status}"
    if len(allowed) <= _LISTED_STATES:
        names = sorted(allowed)
        needed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        raise ApiError("InvalidStateException", f"{text}; {operation} needs state {needed}")
    raise ApiError("InvalidStateException", f"{text}; {operation} is not possible in this state")

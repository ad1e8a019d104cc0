"""A handshake as a value: what one account asks another, and how that may end. Pure.

Rules (AWS Organizations User Guide; API reference, "Handshake"). An open handshake can be accepted or declined by whom
it was sent to and cancelled by its sender; it expires after 15 days, and is shown for 30 days after it has ended. All
features are enabled by one handshake of the organization with itself, which waits (REQUESTED) until each invited member
has accepted one of his own, and which the master then accepts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

INVITE, ENABLE_ALL_FEATURES, APPROVE_ALL_FEATURES = "INVITE", "ENABLE_ALL_FEATURES", "APPROVE_ALL_FEATURES"
REQUESTED, OPEN = "REQUESTED", "OPEN"
ACCEPTED, DECLINED, CANCELED, EXPIRED = "ACCEPTED", "DECLINED", "CANCELED", "EXPIRED"
ACCOUNT, EMAIL = "ACCOUNT", "EMAIL"

VALID = timedelta(days=15)
SHOWN = timedelta(days=30)
_WAITING = frozenset({REQUESTED, OPEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """One handshake. ``target_type`` and ``target`` are the account or address it was sent to, empty where an
    organization sent it to itself; ``parent_id`` is the ENABLE_ALL_FEATURES that an approval belongs to. ``tags`` are
    those that an invited account gets.
    """

    handshake_id: str
    organization_id: str
    master_account_id: str
    action: str
    state: str
    requested_at: datetime
    expires_at: datetime
    master_email: str = field(repr=False)
    master_name: str = field(repr=False)
    feature_set: str
    closed_at: datetime | None = None
    target_type: str = ""
    target: str = field(default="", repr=False)
    notes: str = field(default="", repr=False)
    parent_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """``arn:aws:organizations::MASTER:handshake/o-ID/invite/h-ID``."""
        rest = f"{self.organization_id}/{self.action.lower()}/{self.handshake_id}"
        return f"arn:aws:organizations::{self.master_account_id}:handshake/{rest}"

    def state_at(self, now: datetime) -> str:
        """The state that it is in by then; who did not answer in time let it expire."""
        return EXPIRED if self.state in _WAITING and now >= self.expires_at else self.state

    def is_waiting(self, now: datetime) -> bool:
        """Whether it can still be answered, or cancelled."""
        return self.state_at(now) in _WAITING

    def is_shown(self, now: datetime) -> bool:
        """Whether the API still shows it."""
        return self.is_waiting(now) or now < (self.closed_at or self.expires_at) + SHOWN

    def is_for(self, account_id: str, email: str) -> bool:
        """Whether it was sent to that account, by its id or its email address."""
        if self.target_type == EMAIL:
            return self.target.lower() == email.lower()
        return self.target_type == ACCOUNT and self.target == account_id

    def has_part(self, account_id: str, email: str) -> bool:
        """Whether that account sent it or was sent it; to others it does not exist."""
        return account_id == self.master_account_id or self.is_for(account_id, email)

    def is_same_request(self, other: "Handshake") -> bool:
        """Whether both ask the same of the same."""
        mine = (self.organization_id, self.action, self.target_type, self.target.lower())
        return mine == (other.organization_id, other.action, other.target_type, other.target.lower())

    def ended(self, state: str, at: datetime) -> "Handshake":
        """Accepted, declined or cancelled."""
        return replace(self, state=state, closed_at=at)

    def opened(self) -> "Handshake":
        """With every answer that it waited for."""
        return replace(self, state=OPEN)

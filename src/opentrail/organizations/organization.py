"""An organization as a value: its accounts, their place in the tree, and what services may do across them. Pure.

Rules (AWS Organizations User Guide). An account is a member of one organization at most; the management account, which
the API calls master, is a member too. The tree has one root; accounts and organizational units hang on the root or on a
unit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

ALL = "ALL"
INVITED: Final = "INVITED"
CREATED: Final = "CREATED"
ACTIVE = "ACTIVE"

JoinedMethod = Literal["INVITED", "CREATED"]


@dataclass(frozen=True, slots=True)
class Member:
    """An account of an organization. ``parent_id`` is the root's or a unit's; empty stands for the root."""

    account_id: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    joined_at: datetime
    joined_method: JoinedMethod
    status: str = ACTIVE
    parent_id: str = ""


@dataclass(frozen=True, slots=True)
class OrganizationalUnit:
    """A branch of the tree; its parent is the root or another unit."""

    unit_id: str
    name: str
    parent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """One organization at one moment. ``feature_set`` is ``ALL`` or ``CONSOLIDATED_BILLING``.

    ``members`` by account id, the master included; ``delegated``: service principal -> accounts that administer it;
    ``trusted_services``: service principals that EnableAWSServiceAccess let in; ``units`` by id.
    """

    organization_id: str
    master_account_id: str
    master_email: str = field(repr=False)
    feature_set: str
    root_id: str
    created_at: datetime
    trusted_services: frozenset[str] = frozenset()
    members: Mapping[str, Member]
    delegated: Mapping[str, frozenset[str]] = field(default_factory=dict)
    units: Mapping[str, OrganizationalUnit] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """``arn:aws:organizations::MASTER:organization/o-ID``."""
        return self._arn("organization", "")

    @property
    def root_arn(self) -> str:
        """``arn:aws:organizations::MASTER:root/o-ID/r-ID``."""
        return self._arn("root", f"/{self.root_id}")

    @property
    def has_all_features(self) -> bool:
        """Whether services and policies can work across the accounts; consolidated billing is less."""
        return self.feature_set == ALL

    def member_arn(self, account_id: str) -> str:
        """``arn:aws:organizations::MASTER:account/o-ID/ACCOUNT``."""
        return self._arn("account", f"/{account_id}")

    def unit_arn(self, unit_id: str) -> str:
        """``arn:aws:organizations::MASTER:ou/o-ID/ou-ID``."""
        return self._arn("ou", f"/{unit_id}")

    def is_trusted(self, service: str) -> bool:
        """Whether a service principal (``cloudtrail.amazonaws.com``) may work across the accounts."""
        return service in self.trusted_services

    def delegates(self, service: str) -> frozenset[str]:
        """The accounts that administer a service for the whole organization, besides the master."""
        return self.delegated.get(service, frozenset())

    def is_delegated(self, account_id: str) -> bool:
        """Whether an account administers any service."""
        return any(account_id in accounts for accounts in self.delegated.values())

    def has_parent(self, parent_id: str) -> bool:
        """Whether that is the root or a unit of this organization."""
        return parent_id == self.root_id or parent_id in self.units

    def parent_of(self, child_id: str) -> str | None:
        """The parent of an account or a unit; None where it is not of this organization."""
        if child_id in self.members:
            return self.members[child_id].parent_id or self.root_id
        unit = self.units.get(child_id)
        return unit.parent_id if unit else None

    def accounts_below(self, parent_id: str) -> list[Member]:
        """The accounts that hang on a parent directly, by id."""
        found = (member for member in self.members.values() if (member.parent_id or self.root_id) == parent_id)
        return sorted(found, key=lambda member: member.account_id)

    def units_below(self, parent_id: str) -> list[OrganizationalUnit]:
        """The units that hang on a parent directly, by id."""
        found = (unit for unit in self.units.values() if unit.parent_id == parent_id)
        return sorted(found, key=lambda unit: unit.unit_id)

    def depth_of(self, parent_id: str) -> int:
        """How many units are on the way from the root to a parent, itself included; 0 for the root."""
        return sum(1 for _ in self._way_up(parent_id)) - 1

    def path_of(self, child_id: str) -> str:
        """``o-ID/r-ID/ou-ID/ou-ID/`` down to a root, a unit or an account, itself included, as the API writes it."""
        return "/".join((self.organization_id, *reversed(list(self._way_up(child_id))), ""))

    def principal_keys(self, account_id: str) -> Mapping[str, tuple[str, ...]]:
        """What the condition keys about the organization of a caller are worth for a member (IAM's reference of global
        condition keys); the path ends with the account's parent.
        """
        return {
            "aws:principalorgid": (self.organization_id,),
            "aws:principalorgmasteraccountid": (self.master_account_id,),
            "aws:principalorgpaths": (self.path_of(self.parent_of(account_id) or self.root_id),),
        }

    def _way_up(self, child_id: str) -> Iterator[str]:
        place: str | None = child_id
        while place is not None:
            yield place
            place = self.parent_of(place)

    def _arn(self, kind: str, rest: str) -> str:
        return f"arn:aws:organizations::{self.master_account_id}:{kind}/{self.organization_id}{rest}"

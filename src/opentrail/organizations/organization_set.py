"""A set of organizations that tells which accounts belong together. Pure and immutable."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from opentrail.organizations.organization import Organization

_NO_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class OrganizationSet:
    """All organizations at one moment, asked by account and by id."""

    def __init__(self, organizations: Iterable[Organization] = ()) -> None:
        """Raises ValueError where an account is a member of two."""
        self._by_id = {found.organization_id: found for found in organizations}
        self._by_account: dict[str, Organization] = {}
        for organization in self._by_id.values():
            for account_id in organization.members:
                if account_id in self._by_account:
                    raise ValueError(f"account {account_id} is a member of two organizations")
                self._by_account[account_id] = organization
        self._principal_keys: dict[str, Mapping[str, tuple[str, ...]]] = {}  # as they are asked for: one per account

    def of(self, account_id: str) -> Organization | None:
        """The organization that an account is a member of."""
        return self._by_account.get(account_id)

    def get(self, organization_id: str) -> Organization | None:
        """The organization of that id."""
        return self._by_id.get(organization_id)

    def every(self) -> tuple[Organization, ...]:
        """All organizations, in no order that means anything."""
        return tuple(self._by_id.values())

    def principal_keys(self, account_id: str) -> Mapping[str, tuple[str, ...]]:
        """The condition keys that follow from a caller's organization; none where his account has none."""
        known = self._principal_keys.get(account_id)
        if known is None:
            organization = self._by_account.get(account_id)
            if organization is None:
                return _NO_KEYS
            known = self._principal_keys[account_id] = organization.principal_keys(account_id)
        return known

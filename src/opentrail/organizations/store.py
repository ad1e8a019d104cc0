"""Where organizations are kept.

Rules. Changes go through a unit of work; whoever decides on the strength of what exists asks ``within(unit)``.
Everybody else, the hot path above all, asks ``snapshot``: an immutable set in memory that is replaced after each
commit.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from opentrail.organizations import tables
from opentrail.organizations.organization import Member, Organization, OrganizationalUnit
from opentrail.organizations.organization_set import OrganizationSet
from opentrail.state.database import Database, Unit
from opentrail.state.instants import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class Delegation:
    """That an account administers a service for its organization, and since when."""

    account_id: str
    service: str
    enabled_at: datetime


class Organizations:
    """The organizations of one HOME. ``on_change``: what to do after each committed change, in order."""

    def __init__(self, database: Database) -> None:
        """Read all organizations; the tables must exist."""
        self.database = database
        self.on_change: list[Callable[[], None]] = []
        self._reloading = threading.Lock()
        self._snapshot = OrganizationSet()
        self.reload()

    @property
    def snapshot(self) -> OrganizationSet:
        """The organizations as of the last commit."""
        return self._snapshot

    def principal_keys(self, account_id: str) -> Mapping[str, tuple[str, ...]]:
        """The condition keys that follow from a caller's organization, as of the last commit."""
        return self._snapshot.principal_keys(account_id)

    def reload(self) -> None:
        """Replace the snapshot by what is committed."""
        with self._reloading, self.database.read() as connection:  # in turns: an older view never replaces a newer one
            self._snapshot = _load(connection)

    def within(self, unit: Unit) -> OrganizationSet:
        """The organizations as the unit's transaction sees them."""
        return _load(unit.connection)

    def create(self, unit: Unit, organization: Organization) -> None:
        """Write a new organization with all that it has; what is since when counts from its creation."""
        unit.execute(
            sa.insert(tables.organizations).values(
                organization_id=organization.organization_id,
                master_account_id=organization.master_account_id,
                feature_set=organization.feature_set,
                root_id=organization.root_id,
                created_at_ms=to_ms(organization.created_at),
            )
        )
        for member in organization.members.values():
            self.put_member(unit, organization.organization_id, member)
        for branch in organization.units.values():
            self.put_unit(unit, organization.organization_id, branch)
        for service in organization.trusted_services:
            self.trust(unit, organization.organization_id, service, organization.created_at)
        for service, accounts in organization.delegated.items():
            for account_id in accounts:
                delegation = Delegation(account_id, service, organization.created_at)
                self.delegate(unit, organization.organization_id, delegation)
        self._changed(unit)

    def set_features(self, unit: Unit, organization_id: str, feature_set: str) -> None:
        """Give an organization another feature set."""
        this = tables.organizations.c.organization_id == organization_id
        unit.execute(sa.update(tables.organizations).where(this).values(feature_set=feature_set))
        self._changed(unit)

    def delete(self, unit: Unit, organization_id: str) -> None:
        """Forget an organization; its accounts stay, on their own."""
        this = tables.organizations.c.organization_id == organization_id
        unit.execute(sa.delete(tables.organizations).where(this))  # what belongs to it goes with it
        self._changed(unit)

    def put_member(self, unit: Unit, organization_id: str, member: Member) -> None:
        """Write a member, new or changed."""
        this = tables.members.c.account_id == member.account_id
        unit.execute(sa.delete(tables.members).where(this))
        row = {name: getattr(member, name) for name in Member.__slots__ if name != "joined_at"}
        row |= {"organization_id": organization_id, "joined_at_ms": to_ms(member.joined_at)}
        unit.execute(sa.insert(tables.members).values(row))
        self._changed(unit)

    def remove_member(self, unit: Unit, account_id: str) -> None:
        """End a membership, what the account administered, and its tags."""
        for table in (tables.members, tables.delegations):
            unit.execute(sa.delete(table).where(table.c.account_id == account_id))
        unit.execute(sa.delete(tables.tags).where(tables.tags.c.resource_id == account_id))
        self._changed(unit)

    def put_unit(self, unit: Unit, organization_id: str, branch: OrganizationalUnit) -> None:
        """Write an organizational unit, new or changed."""
        unit.execute(sa.delete(tables.units).where(tables.units.c.unit_id == branch.unit_id))
        row = {"unit_id": branch.unit_id, "name": branch.name, "parent_id": branch.parent_id}
        unit.execute(sa.insert(tables.units).values(organization_id=organization_id, **row))
        self._changed(unit)

    def remove_unit(self, unit: Unit, unit_id: str) -> None:
        """Forget an organizational unit and its tags; whoever does so has seen that it is empty."""
        unit.execute(sa.delete(tables.units).where(tables.units.c.unit_id == unit_id))
        unit.execute(sa.delete(tables.tags).where(tables.tags.c.resource_id == unit_id))
        self._changed(unit)

    def trust(self, unit: Unit, organization_id: str, service: str, at: datetime) -> None:
        """Let a service principal in that is not in yet."""
        row = {"organization_id": organization_id, "service": service, "enabled_at_ms": to_ms(at)}
        unit.execute(sa.insert(tables.services).values(row))
        self._changed(unit)

    def distrust(self, unit: Unit, organization_id: str, service: str) -> None:
        """Shut a service principal out; whether it was in does not matter."""
        columns = tables.services.c
        here = sa.and_(columns.organization_id == organization_id, columns.service == service)
        unit.execute(sa.delete(tables.services).where(here))
        self._changed(unit)

    def delegate(self, unit: Unit, organization_id: str, delegation: Delegation) -> None:
        """Make an account the administrator of a service that it is not yet."""
        row = {"organization_id": organization_id, "enabled_at_ms": to_ms(delegation.enabled_at)}
        row |= {"service": delegation.service, "account_id": delegation.account_id}
        unit.execute(sa.insert(tables.delegations).values(row))
        self._changed(unit)

    def undelegate(self, unit: Unit, organization_id: str, account_id: str, service: str) -> None:
        """Make an account no administrator of a service."""
        columns = tables.delegations.c
        here = sa.and_(columns.organization_id == organization_id, columns.account_id == account_id)
        unit.execute(sa.delete(tables.delegations).where(here, columns.service == service))
        self._changed(unit)

    def trusted_since(self, organization_id: str) -> Mapping[str, datetime]:
        """When each service principal was let in."""
        query = sa.select(tables.services).where(tables.services.c.organization_id == organization_id)
        with self.database.read() as connection:
            return {row.service: from_ms(row.enabled_at_ms) for row in connection.execute(query)}

    def delegations(self, organization_id: str) -> tuple[Delegation, ...]:
        """Who administers what, and since when."""
        query = sa.select(tables.delegations).where(tables.delegations.c.organization_id == organization_id)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(Delegation(row.account_id, row.service, from_ms(row.enabled_at_ms)) for row in rows)

    def _changed(self, unit: Unit) -> None:
        unit.after_commit(self._committed)

    def _committed(self) -> None:
        self.reload()
        for action in self.on_change:
            action()


def _load(connection: sa.Connection) -> OrganizationSet:
    members: dict[str, dict[str, Member]] = {}
    for row in connection.execute(sa.select(tables.members)).mappings():
        facts = {name: row[name] for name in Member.__slots__ if name != "joined_at"}
        member = Member(**facts, joined_at=from_ms(row["joined_at_ms"]))
        members.setdefault(row["organization_id"], {})[member.account_id] = member
    units: dict[str, dict[str, OrganizationalUnit]] = {}
    for row in connection.execute(sa.select(tables.units)).mappings():
        branch = OrganizationalUnit(row["unit_id"], row["name"], row["parent_id"])
        units.setdefault(row["organization_id"], {})[branch.unit_id] = branch
    trusted: dict[str, set[str]] = {}
    for row in connection.execute(sa.select(tables.services)).mappings():
        trusted.setdefault(row["organization_id"], set()).add(row["service"])
    delegated: dict[str, dict[str, frozenset[str]]] = {}
    for row in connection.execute(sa.select(tables.delegations)).mappings():
        of_service = delegated.setdefault(row["organization_id"], {})
        of_service[row["service"]] = of_service.get(row["service"], frozenset()) | {row["account_id"]}
    return OrganizationSet(
        Organization(
            organization_id=row["organization_id"],
            master_account_id=row["master_account_id"],
            master_email=members[row["organization_id"]][row["master_account_id"]].email,
            feature_set=row["feature_set"],
            root_id=row["root_id"],
            created_at=from_ms(row["created_at_ms"]),
            trusted_services=frozenset(trusted.get(row["organization_id"], ())),
            members=members[row["organization_id"]],
            delegated=delegated.get(row["organization_id"], {}),
            units=units.get(row["organization_id"], {}),
        )
        for row in connection.execute(sa.select(tables.organizations)).mappings()
    )

"""What accounts have on behalf of organizations: email addresses, the requests that made them, and tags.

Rules. An email address belongs to one account at most. An account that nobody gave an address has one that leads
nowhere (RFC 2606: ``.invalid``), because the API shows one for every account.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from opentrail.organizations import tables
from opentrail.state.database import Unit
from opentrail.state.instants import from_ms, to_ms

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
_NOWHERE = "opentrail.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCreation:
    """One CreateAccount: the account that it made, or why it made none."""

    request_id: str
    organization_id: str
    account_name: str = field(repr=False)
    state: str
    requested_at: datetime
    account_id: str = ""
    failure_reason: str = ""


def email_of(connection: sa.Connection, account_id: str) -> str:
    """An account's email address."""
    query = sa.select(tables.emails.c.email).where(tables.emails.c.account_id == account_id)
    return connection.execute(query).scalar() or f"{account_id}@{_NOWHERE}"


def has_email(connection: sa.Connection, email: str) -> bool:
    """Whether an account has that address, in whatever case; those that lead nowhere are taken all."""
    taken = sa.select(tables.emails.c.account_id).where(tables.emails.c.email == email.lower())
    return email.lower().endswith(f"@{_NOWHERE}") or connection.execute(taken).first() is not None


def put_email(unit: Unit, account_id: str, email: str) -> None:
    """Give a new account its address, which no other has."""
    unit.execute(sa.insert(tables.emails).values(account_id=account_id, email=email.lower()))


def put_creation(unit: Unit, creation: AccountCreation) -> None:
    """Write down what became of a request."""
    row = {name: getattr(creation, name) for name in AccountCreation.__slots__ if name != "requested_at"}
    unit.execute(sa.insert(tables.creations).values(requested_at_ms=to_ms(creation.requested_at), **row))


def creations_of(connection: sa.Connection, organization_id: str) -> list[AccountCreation]:
    """Every request of an organization's."""
    query = sa.select(tables.creations).where(tables.creations.c.organization_id == organization_id)
    found = []
    for row in connection.execute(query).mappings():
        facts = {name: row[name] for name in AccountCreation.__slots__ if name != "requested_at"}
        found.append(AccountCreation(**facts, requested_at=from_ms(row["requested_at_ms"])))
    return found


def count_creations(connection: sa.Connection, organization_id: str) -> int:
    """How many requests an organization has made."""
    here = tables.creations.c.organization_id == organization_id
    query = sa.select(sa.func.count()).select_from(tables.creations).where(here)
    return int(connection.execute(query).scalar_one())


def tags_of(connection: sa.Connection, organization_id: str, resource_id: str) -> dict[str, str]:
    """The tags of a root, unit or account."""
    query = sa.select(tables.tags.c.tags).where(_tagged(organization_id, resource_id))
    return dict(connection.execute(query).scalar() or {})


def put_tags(unit: Unit, organization_id: str, resource_id: str, tags: Mapping[str, str]) -> None:
    """Give a root, unit or account these tags and no others."""
    unit.execute(sa.delete(tables.tags).where(_tagged(organization_id, resource_id)))
    if tags:
        row = {"organization_id": organization_id, "resource_id": resource_id, "tags": dict(tags)}
        unit.execute(sa.insert(tables.tags).values(row))


def _tagged(organization_id: str, resource_id: str) -> sa.ColumnElement[bool]:
    columns = tables.tags.c
    return sa.and_(columns.organization_id == organization_id, columns.resource_id == resource_id)

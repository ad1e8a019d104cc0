"""Accounts, and the access keys that prove who calls.

Secret access keys are sealed in the database; only the directory's snapshot in memory holds them in clear.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from opentrail.clock import Entropy
from opentrail.errors import ApiError
from opentrail.identity.directory import Directory
from opentrail.identity.iam_entities import (
    DEFAULT_MAX_SESSION_S,
    Entity,
    Kind,
    change,
    find,
    find_by_id,
    insert,
    new_entity,
)
from opentrail.identity.iam_managed import ADMINISTRATOR_ACCESS
from opentrail.identity.iam_policies import attach
from opentrail.identity.iam_snapshot import Credential, opened, principal_of
from opentrail.identity.iam_tables import access_keys, accounts, entities
from opentrail.identity.principal import Principal
from opentrail.state.database import Database, Unit
from opentrail.state.sealing import Seal

__all__ = ["Account", "Credential", "Identities", "KeyOwner", "KeyUse"]


@dataclass(frozen=True, slots=True)
class Account:
    """One tenant."""

    account_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose access key it is: the account's root, a user, or a session of a role."""

    kind: str
    name: str = ""
    session_name: str = ""

    @classmethod
    def root(cls) -> "KeyOwner":
        """The account itself."""
        return cls("root")

    @classmethod
    def user(cls, name: str) -> "KeyOwner":
        """An IAM user."""
        return cls("user", name)

    @classmethod
    def session(cls, role: str, session_name: str) -> "KeyOwner":
        """A session of a role."""
        return cls("role", role, session_name)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The latest use of an access key, or of a role: when, for which service (signing name), in which region."""

    at: datetime
    service: str
    region: str


class Identities:
    """The store of accounts and access keys of one HOME, and their directory."""

    def __init__(self, database: Database, seal: Seal, entropy: Entropy) -> None:
        self._database = database
        self._seal = seal
        self._entropy = entropy
        self.directory = Directory(database, seal)

    @property
    def database(self) -> Database:
        """Where it is all kept."""
        return self._database

    @property
    def seal(self) -> Seal:
        """What its secrets are sealed with."""
        return self._seal

    def credential(self, access_key_id: str) -> Credential | None:
        """The active access key of that id; None where nobody has it."""
        return self.directory.credential(access_key_id)

    def changed(self, unit: Unit, account_id: str) -> None:
        """The unit changes an account's identities: once it is committed, the directory shows them."""
        unit.after_commit(lambda: self.directory.reload(account_id))

    def list_accounts(self) -> list[Account]:
        """Every account, in order of its id."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.account_id)).all()
        return [Account(row.account_id, row.name, datetime.fromtimestamp(row.created_at, UTC)) for row in rows]

    def account(self, connection: sa.Connection, account_id: str) -> Account | None:
        """The account of that id."""
        row = connection.execute(sa.select(accounts).where(accounts.c.account_id == account_id)).first()
        return None if row is None else Account(row.account_id, row.name, datetime.fromtimestamp(row.created_at, UTC))

    def create_account(self, unit: Unit, account_id: str, name: str, at: datetime) -> Account:
        """Add an account. Raises ApiError AccountAlreadyExistsException where the id is taken."""
        if self._exists(unit, account_id):
            raise ApiError("AccountAlreadyExistsException", f"Account {account_id} already exists")
        row = {"account_id": account_id, "name": name, "created_at": at.timestamp()}
        unit.execute(sa.insert(accounts).values(row))
        self.changed(unit, account_id)
        return Account(account_id, name, at)

    def create_admin_role(self, unit: Unit, account_id: str, name: str, *, trusted: str, at: datetime) -> None:
        """Add a role with AdministratorAccess to a new account, for the principals of the account ``trusted``."""
        facts = {"trust": account_trust(trusted), "max_session_s": DEFAULT_MAX_SESSION_S}
        role = new_entity(self._entropy, account_id, Kind.ROLE, name, at, **facts)
        insert(unit.connection, role)
        attach(unit.connection, role, ADMINISTRATOR_ACCESS)
        self.changed(unit, account_id)

    def import_key(
        self, unit: Unit, account_id: str, owner: KeyOwner, pair: tuple[str, str], **facts: Any
    ) -> Principal:
        """Store an access key pair (id, secret) for an owner, who is made where he does not exist yet.

        ``facts``: ``at`` (datetime, required) and ``admin`` (bool, default False): attach AdministratorAccess. A role
        that is made here always gets it, and a trust policy for its own account. Importing the same pair for the same
        owner again changes nothing else. Raises ApiError AccountNotFoundException, or AccessKeyAlreadyExistsException
        where the id is another owner's or has another secret.
        """
        at: datetime = facts["at"]
        if not self._exists(unit, account_id):
            raise ApiError("AccountNotFoundException", f"Account {account_id} does not exist")
        entity = None
        if owner.kind != "root":
            entity = self._ensure_entity(unit, account_id, owner, admin=facts.get("admin", False), at=at)
        key = {
            "access_key_id": pair[0],
            "account_id": account_id,
            "owner_id": account_id if entity is None else entity.unique_id,
            "session_name": owner.session_name,
        }
        if not self._is_known(unit, key, pair[1]):
            self.insert_key(unit, key, pair[1], at)
        self.changed(unit, account_id)
        found = {} if entity is None else {entity.unique_id: entity}
        return principal_of(key | {"created_at": at.timestamp()}, found)

    def insert_key(self, unit: Unit, key: Mapping[str, Any], secret: str, at: datetime) -> None:
        """Store an active key with its ``access_key_id``, ``account_id``, ``owner_id`` and ``session_name``."""
        sealed = self._seal.seal(secret.encode(), f"access-key/{key['access_key_id']}")
        row = {**key, "sealed_secret": sealed, "status": "Active", "created_at": at.timestamp()}
        unit.execute(sa.insert(access_keys).values(row))

    def note_uses(self, unit: Unit, keys: Mapping[str, KeyUse], roles: Iterable[tuple[str, KeyUse]] = ()) -> None:
        """Write down the latest uses of access keys (by id) and of roles (by unique id)."""
        for access_key_id, use in keys.items():
            values = {"last_used_at": use.at.timestamp(), "last_used_service": use.service}
            here = access_keys.c.access_key_id == access_key_id
            unit.execute(sa.update(access_keys).where(here).values(values | {"last_used_region": use.region}))
        for role_id, use in roles:
            role = find_by_id(unit.connection, role_id)
            if role is not None:
                change(unit.connection, role, last_used_at=use.at.timestamp(), last_used_region=use.region)

    def _is_known(self, unit: Unit, key: Mapping[str, Any], secret: str) -> bool:
        query = sa.select(access_keys).where(access_keys.c.access_key_id == key["access_key_id"])
        found = unit.execute(query).mappings().first()
        if found is None:
            return False
        if all(found[name] == value for name, value in key.items()) and opened(found, self._seal) == secret:
            return True
        raise ApiError(
            "AccessKeyAlreadyExistsException",
            f"Access key {key['access_key_id']} exists already, for another owner or with another secret",
        )

    def _ensure_entity(self, unit: Unit, account_id: str, owner: KeyOwner, *, admin: bool, at: datetime) -> Entity:
        kind = Kind(owner.kind)
        entity = find(unit.connection, account_id, kind, owner.name)
        if entity is None:
            facts = (
                {"trust": account_trust(account_id), "max_session_s": DEFAULT_MAX_SESSION_S}
                if kind is Kind.ROLE
                else {}
            )
            entity = new_entity(self._entropy, account_id, kind, owner.name, at, **facts)
            self._refuse_other_case(unit, entity)
            insert(unit.connection, entity)
            admin = admin or kind is Kind.ROLE
        if admin:
            attach(unit.connection, entity, ADMINISTRATOR_ACCESS)
        return entity

    def _refuse_other_case(self, unit: Unit, entity: Entity) -> None:
        here = sa.and_(entities.c.account_id == entity.account_id, entities.c.kind == entity.kind.value)
        query = sa.select(entities.c.name).where(here, sa.func.lower(entities.c.name) == entity.name.lower())
        taken = unit.execute(query).scalar()
        if taken is not None:
            raise ApiError(
                "ValidationException", f"There is a {entity.kind} called {taken} already; names differ in case only"
            )

    def _exists(self, unit: Unit, account_id: str) -> bool:
        query = sa.select(accounts.c.account_id).where(accounts.c.account_id == account_id)
        return unit.execute(query).first() is not None


def account_trust(account_id: str) -> str:
    """A trust policy that lets an account's principals assume a role, as far as their policies allow it."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

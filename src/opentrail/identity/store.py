"""Accounts, their users and roles, and the access keys that prove them.

Reads are answered from an immutable snapshot in memory, swapped after each commit, because every request needs one.
Secret access keys are sealed in the database; only the snapshot holds them in clear.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from opentrail.clock import Entropy
from opentrail.errors import ApiError
from opentrail.identity import unique_ids
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.state.database import Database, Unit, metadata
from opentrail.state.sealing import Seal

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("account_id", sa.String(12), sa.ForeignKey("accounts.account_id"), primary_key=True),
    sa.Column("kind", sa.String(4), primary_key=True, comment="user or role"),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("unique_id", sa.String(21), nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("access_key_id", sa.String(128), primary_key=True),
    sa.Column("account_id", sa.String(12), sa.ForeignKey("accounts.account_id"), nullable=False),
    sa.Column("kind", sa.String(4), nullable=False, comment="root, user or role"),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("session_name", sa.String(64), nullable=False),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)


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
class Credential:
    """An access key in use: the secret that signatures are checked against, and who signs with it."""

    access_key_id: str
    secret_access_key: str
    principal: Principal


class Identities:
    """The store of accounts and access keys of one HOME."""

    def __init__(self, database: Database, seal: Seal, entropy: Entropy) -> None:
        self._database = database
        self._seal = seal
        self._entropy = entropy
        self._credentials: Mapping[str, Credential] = {}
        self.reload()

    def reload(self) -> None:
        """Read the snapshot anew from the database."""
        with self._database.read() as connection:
            owners = {
                (row["account_id"], row["kind"], row["name"]): row
                for row in connection.execute(sa.select(identities)).mappings()
            }
            keys = list(connection.execute(sa.select(access_keys)).mappings())
        self._credentials = {key["access_key_id"]: self._credential(dict(key), owners) for key in keys}

    def credential(self, access_key_id: str) -> Credential | None:
        """The access key of that id; None where nobody has it."""
        return self._credentials.get(access_key_id)

    def list_accounts(self) -> list[Account]:
        """Every account, in order of its id."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.account_id)).all()
        return [Account(row.account_id, row.name, datetime.fromtimestamp(row.created_at, UTC)) for row in rows]

    def create_account(self, unit: Unit, account_id: str, name: str, at: datetime) -> Account:
        """Add an account. Raises ApiError AccountAlreadyExistsException where the id is taken."""
        if self._exists(unit, account_id):
            raise ApiError("AccountAlreadyExistsException", f"Account {account_id} already exists")
        row = {"account_id": account_id, "name": name, "created_at": at.timestamp()}
        unit.execute(sa.insert(accounts).values(row))
        return Account(account_id, name, at)

    def import_key(
        self, unit: Unit, account_id: str, owner: KeyOwner, pair: tuple[str, str], **facts: Any
    ) -> Principal:
        """Store an access key pair (id, secret) for an owner, who is made where he does not exist yet.

        ``facts``: ``at`` (datetime, required) and ``admin`` (bool, default False; sessions of a role are made with it).
        Importing the same pair for the same owner again changes nothing but ``admin``. Raises ApiError
        AccountNotFoundException, or AccessKeyAlreadyExistsException where the id is another owner's or has another
        secret.
        """
        at: datetime = facts["at"]
        admin: bool = facts.get("admin", False)
        if not self._exists(unit, account_id):
            raise ApiError("AccountNotFoundException", f"Account {account_id} does not exist")
        if owner.kind != "root":
            self._ensure_identity(unit, account_id, owner, admin=admin, at=at)
        self._insert_key(unit, account_id, owner, pair, at)
        unit.after_commit(self.reload)
        names = {(row["account_id"], row["kind"], row["name"]): row for row in self._identity_rows(unit, account_id)}
        return _principal(account_id, owner, pair[0], at, names)

    def _insert_key(self, unit: Unit, account_id: str, owner: KeyOwner, pair: tuple[str, str], at: datetime) -> None:
        access_key_id, secret = pair
        found = (
            unit.execute(sa.select(access_keys).where(access_keys.c.access_key_id == access_key_id)).mappings().first()
        )
        if found is not None:
            same_owner = (found["account_id"], found["kind"], found["name"], found["session_name"]) == (
                account_id, owner.kind, owner.name, owner.session_name,
            )  # fmt: skip
            if same_owner and self._open(dict(found)) == secret:
                return
            raise ApiError(
                "AccessKeyAlreadyExistsException",
                f"Access key {access_key_id} exists already, for another owner or with another secret",
            )
        row = {
            "access_key_id": access_key_id,
            "account_id": account_id,
            "kind": owner.kind,
            "name": owner.name,
            "session_name": owner.session_name,
            "sealed_secret": self._seal.seal(secret.encode(), f"access-key/{access_key_id}"),
            "created_at": at.timestamp(),
        }
        unit.execute(sa.insert(access_keys).values(row))

    def _ensure_identity(self, unit: Unit, account_id: str, owner: KeyOwner, *, admin: bool, at: datetime) -> None:
        here = sa.and_(
            identities.c.account_id == account_id, identities.c.kind == owner.kind, identities.c.name == owner.name
        )
        if unit.execute(sa.update(identities).where(here).values(admin=admin)).rowcount:
            return
        new_id = unique_ids.user_id(self._entropy) if owner.kind == "user" else unique_ids.role_id(self._entropy)
        row = {"account_id": account_id, "kind": owner.kind, "name": owner.name, "unique_id": new_id, "admin": admin}
        unit.execute(sa.insert(identities).values(created_at=at.timestamp(), **row))

    def _identity_rows(self, unit: Unit, account_id: str) -> list[dict[str, Any]]:
        query = sa.select(identities).where(identities.c.account_id == account_id)
        return [dict(row) for row in unit.execute(query).mappings()]

    def _exists(self, unit: Unit, account_id: str) -> bool:
        query = sa.select(accounts.c.account_id).where(accounts.c.account_id == account_id)
        return unit.execute(query).first() is not None

    def _open(self, key: Mapping[str, Any]) -> str:
        return self._seal.open(key["sealed_secret"], f"access-key/{key['access_key_id']}").decode()

    def _credential(self, key: Mapping[str, Any], owners: Mapping[Any, Any]) -> Credential:
        owner = KeyOwner(key["kind"], key["name"], key["session_name"])
        at = datetime.fromtimestamp(key["created_at"], UTC)
        principal = _principal(key["account_id"], owner, key["access_key_id"], at, owners)
        return Credential(key["access_key_id"], self._open(key), principal)


def _principal(account_id: str, owner: KeyOwner, key_id: str, at: datetime, owners: Mapping[Any, Any]) -> Principal:
    """The caller that an access key stands for (cloudtrail fact sheet 2.1)."""
    iam = f"arn:aws:iam::{account_id}"
    if owner.kind == "root":
        return Principal(PrincipalType.ROOT, account_id, account_id, f"{iam}:root", key_id, admin=True)
    row = owners[(account_id, owner.kind, owner.name)]
    unique_id, admin = row["unique_id"], bool(row["admin"])
    if owner.kind == "user":
        arn = f"{iam}:user/{owner.name}"
        return Principal(PrincipalType.IAM_USER, account_id, unique_id, arn, key_id, owner.name, admin=admin)
    issuer = SessionIssuer("Role", unique_id, f"{iam}:role/{owner.name}", account_id, owner.name)
    return Principal(
        PrincipalType.ASSUMED_ROLE,
        account_id,
        f"{unique_id}:{owner.session_name}",
        f"arn:aws:sts::{account_id}:assumed-role/{owner.name}/{owner.session_name}",
        key_id,
        session=SessionContext(created_at=at, issuer=issuer),
        admin=admin,
    )

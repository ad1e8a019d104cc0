"""What the directory knows of one account: read from the database in one go, never changed afterwards."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from opentrail.identity.iam_entities import DEFAULT_MAX_SESSION_S, Entity, Kind, entity_of
from opentrail.identity.iam_mfa import MfaDevice, device_of
from opentrail.identity.iam_policies import ManagedPolicy, policy_of
from opentrail.identity.iam_tables import (
    Row,
    access_keys,
    aliases,
    attachments,
    entities,
    inline_policies,
    members,
    mfa_devices,
    oidc_providers,
    policies,
    profiles,
    saml_providers,
    versions,
)
from opentrail.identity.iam_tags import tags_by_owner
from opentrail.identity.policy import Policy, parse_trust
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.state.sealing import Seal

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user. ``mfa_serials``: the serial numbers of the MFA devices that are enabled for it."""

    account_id: str
    name: str
    path: str
    user_id: str
    arn: str
    tags: Tags = ()
    mfa_serials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """A role. ``trust_text`` is its trust policy as it was stored, ``max_session_s`` the longest session in seconds."""

    account_id: str
    name: str
    path: str
    role_id: str
    arn: str
    trust_text: str
    max_session_s: int = DEFAULT_MAX_SESSION_S
    tags: Tags = ()

    @property
    def trust(self) -> Policy:
        """The trust policy, compiled (``parse_trust`` remembers texts)."""
        return parse_trust(self.trust_text)


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """An OpenID Connect provider; ``url`` is its issuer without ``https://``."""

    arn: str
    account_id: str
    url: str
    client_ids: tuple[str, ...]
    thumbprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SamlProvider:
    """A SAML provider with its metadata document (XML)."""

    arn: str
    account_id: str
    metadata: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key in use: the secret that signatures are checked against, and who signs with it."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    principal: Principal


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """One account's identities. Policy texts are compiled when they are first asked for.

    ``arns`` are found by kind and name; ``tags`` by what they are kept under, which ``tag_owners`` tells of an ARN.
    """

    account_id: str
    alias: str | None
    users: Mapping[str, User]
    roles: Mapping[str, Role]
    entities: Mapping[str, Entity]
    groups_of: Mapping[str, tuple[str, ...]]
    attached: Mapping[str, tuple[str, ...]]
    inline: Mapping[str, tuple[tuple[str, str], ...]]
    policy_texts: Mapping[str, str]
    arns: Mapping[tuple[str, str], str]
    tags: Mapping[str, Tags]
    tag_owners: Mapping[str, str]
    mfa_devices: Mapping[str, MfaDevice]
    oidc_providers: Mapping[str, OidcProvider]
    saml_providers: Mapping[str, SamlProvider]
    credentials: Mapping[str, Credential]


def read_account(connection: sa.Connection, account_id: str, seal: Seal) -> AccountSnapshot:
    """An account as it is in the database. Raises IntegrityError where a sealed secret cannot be opened."""

    def rows(table: sa.Table) -> Iterable[Row]:
        return connection.execute(sa.select(table).where(table.c.account_id == account_id)).mappings()

    found = {row["unique_id"]: entity_of(row) for row in rows(entities)}
    tags = {owner: tuple(own.items()) for owner, own in tags_by_owner(connection, account_id).items()}
    devices = {row["serial"]: device_of(row, seal) for row in rows(mfa_devices)}
    own = {row["policy_id"]: policy_of(row) for row in rows(policies)}
    named = _named(found, own, rows(profiles))
    return AccountSnapshot(
        account_id=account_id,
        alias=next((row["alias"] for row in rows(aliases)), None),
        users={e.name: _user(e, tags, devices) for e in found.values() if e.kind is Kind.USER},
        roles={e.arn: _role(e, tags) for e in found.values() if e.kind is Kind.ROLE},
        entities=found,
        groups_of=_grouped((row["user_id"], row["group_id"]) for row in rows(members)),
        attached=_grouped((row["owner_id"], row["policy_arn"]) for row in rows(attachments)),
        inline=_grouped((row["owner_id"], (row["name"], row["text"])) for row in rows(inline_policies)),
        policy_texts=_default_texts(own, rows(versions)),
        arns={key: arn for key, (arn, _) in named.items()},
        tags=tags,
        tag_owners=dict(named.values()),
        mfa_devices=devices,
        oidc_providers={row["arn"]: _oidc_provider(row) for row in rows(oidc_providers)},
        saml_providers={
            row["arn"]: SamlProvider(row["arn"], account_id, row["metadata_xml"]) for row in rows(saml_providers)
        },
        credentials={
            row["access_key_id"]: Credential(row["access_key_id"], opened(row, seal), principal_of(row, found))
            for row in rows(access_keys)
            if row["status"] == "Active"
        },
    )


def _named(
    found: Mapping[str, Entity], own: Mapping[str, ManagedPolicy], profile_rows: Iterable[Row]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Kind and name of everything that has a path: its ARN and its unique id."""
    named = {(entity.kind.value, entity.name): (entity.arn, entity.unique_id) for entity in found.values()}
    named |= {("policy", policy.name): (policy.arn, policy.policy_id) for policy in own.values()}
    return named | {("instance-profile", row["name"]): (profile_arn(row), row["profile_id"]) for row in profile_rows}


def _default_texts(own: Mapping[str, ManagedPolicy], version_rows: Iterable[Row]) -> dict[str, str]:
    """The texts of the default versions, by the policies' ARNs."""
    texts = {(row["policy_id"], row["version"]): row["text"] for row in version_rows}
    return {policy.arn: texts[policy.policy_id, policy.default_version] for policy in own.values()}


def opened(row: Row, seal: Seal) -> str:
    """An access key row's secret. Raises IntegrityError."""
    return seal.open(row["sealed_secret"], f"access-key/{row['access_key_id']}").decode()


def principal_of(key: Row, found: Mapping[str, Entity]) -> Principal:
    """The caller that an access key row stands for (cloudtrail fact sheet 2.1)."""
    account_id, key_id = key["account_id"], key["access_key_id"]
    if key["owner_id"] == account_id:
        return Principal(PrincipalType.ROOT, account_id, account_id, f"arn:aws:iam::{account_id}:root", key_id)
    owner = found[key["owner_id"]]
    if owner.kind is Kind.USER:
        return Principal(PrincipalType.IAM_USER, account_id, owner.unique_id, owner.arn, key_id, owner.name)
    issuer = SessionIssuer("Role", owner.unique_id, owner.arn, account_id, owner.name)
    return Principal(
        PrincipalType.ASSUMED_ROLE,
        account_id,
        f"{owner.unique_id}:{key['session_name']}",
        f"arn:aws:sts::{account_id}:assumed-role/{owner.name}/{key['session_name']}",
        key_id,
        session=SessionContext(created_at=datetime.fromtimestamp(key["created_at"], UTC), issuer=issuer),
    )


def profile_arn(row: Row) -> str:
    """The ARN of an instance profile's row."""
    return f"arn:aws:iam::{row['account_id']}:instance-profile{row['path']}{row['name']}"


def _user(entity: Entity, tags: Mapping[str, Tags], devices: Mapping[str, MfaDevice]) -> User:
    own = tuple(sorted(serial for serial, device in devices.items() if device.user_id == entity.unique_id))
    named = (entity.account_id, entity.name, entity.path, entity.unique_id, entity.arn)
    return User(*named, tags.get(entity.unique_id, ()), own)


def _role(entity: Entity, tags: Mapping[str, Tags]) -> Role:
    named = (entity.account_id, entity.name, entity.path, entity.unique_id, entity.arn)
    length = entity.max_session_s or DEFAULT_MAX_SESSION_S
    return Role(*named, entity.trust or "", length, tags.get(entity.unique_id, ()))


def _oidc_provider(row: Row) -> OidcProvider:
    clients, prints = tuple(row["client_ids"]), tuple(row["thumbprints"])
    return OidcProvider(row["arn"], row["account_id"], row["url"], clients, prints)


def _grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, tuple[Any, ...]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(sorted(values)) for key, values in found.items()}

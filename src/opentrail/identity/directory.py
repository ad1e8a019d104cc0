"""The directory: every account's identities and what they may do, in memory, because every request needs them.

Rules. What it answers is a snapshot of committed state; a commit that changes an account swaps that account's part, and
readers never wait. An inactive access key is an unknown one. Who was deleted, or deleted and made anew under the same
name, is somebody else: principals are told by unique id. A stored policy that can no longer be read denies everything.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from opentrail.identity.authorization import NamedPolicy, PolicySet
from opentrail.identity.context import Values, principal_context
from opentrail.identity.iam_managed import BUILT_IN
from opentrail.identity.iam_mfa import MfaDevice
from opentrail.identity.iam_snapshot import (
    AccountSnapshot,
    Credential,
    OidcProvider,
    Role,
    SamlProvider,
    Tags,
    User,
    read_account,
)
from opentrail.identity.iam_tables import accounts
from opentrail.identity.policy import Policy, parse_identity, parse_session
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

__all__ = ["Credential", "Directory", "MfaDevice", "OidcProvider", "Role", "SamlProvider", "User"]

log = logging.getLogger(__name__)

_NOTHING = PolicySet(identity=(), boundary=None, session=None)
_EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
_ROOT = PolicySet(identity=(NamedPolicy("root", parse_identity(_EVERYTHING)),), boundary=None, session=None)
_DENY_ALL = parse_identity(_EVERYTHING.replace('"Allow"', '"Deny"'))
_NEVER_DELETED = frozenset({PrincipalType.AWS_SERVICE, PrincipalType.AWS_ACCOUNT})

OrganizationKeys = Callable[[str], Mapping[str, tuple[str, ...]]]
"""Account id to the condition keys that follow from its organization; none where it has none."""


def _no_organization(_account_id: str) -> Values:
    return {}


@dataclass(frozen=True, slots=True)
class _State:
    accounts: Mapping[str, AccountSnapshot] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    compiled: dict[str, PolicySet] = field(default_factory=dict)  # by unique id, so at most one for each identity


class Directory:
    """The identities of one HOME; ``reload`` is called after commits that change them."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self._reloading = threading.Lock()
        self._state = _State()
        self._organization_of: OrganizationKeys = _no_organization
        self.reload_all()

    def reload_all(self) -> None:
        """Read every account anew."""
        with self._reloading, self._database.read() as connection:
            ids = connection.execute(sa.select(accounts.c.account_id)).scalars().all()
            found = {account_id: read_account(connection, account_id, self._seal) for account_id in ids}
            self._swap(found)

    def reload(self, account_id: str) -> None:
        """Read one account anew. Whoever reads last has seen every earlier commit, so order does not matter."""
        with self._reloading, self._database.read() as connection:
            self._swap(dict(self._state.accounts) | {account_id: read_account(connection, account_id, self._seal)})

    def _swap(self, found: Mapping[str, AccountSnapshot]) -> None:
        keys = {key: credential for account in found.values() for key, credential in account.credentials.items()}
        self._state = _State(found, keys)

    def credential(self, access_key_id: str) -> Credential | None:
        """The active long-term access key of that id; None where nobody has it."""
        return self._state.credentials.get(access_key_id)

    def policies_of(self, principal: Principal) -> PolicySet:
        """What a caller's own policies are, compiled: a session's are those of its issuer and its session policies.

        Nobody known has none. A federated user without session policies may do nothing (GetFederationToken).
        """
        state = self._state
        account = state.accounts.get(principal.account_id)
        owner_id = _owner_id(principal)
        if account is None or owner_id is None:
            return _NOTHING
        base = _ROOT if owner_id == account.account_id else state.compiled.get(owner_id)
        if base is None:
            if owner_id not in account.entities:
                return _NOTHING
            base = state.compiled[owner_id] = _policy_set(account, owner_id)
        session = _session_policies(account, principal)
        return base if session is None else PolicySet(base.identity, base.boundary, session)

    def is_alive(self, principal: Principal) -> bool:
        """Whether the user or role behind a caller still exists, with the same unique id."""
        if principal.type in _NEVER_DELETED:
            return True
        account = self._state.accounts.get(principal.account_id)
        owner_id = _owner_id(principal)
        if account is None or owner_id is None:
            return False
        return owner_id == account.account_id or owner_id in account.entities

    def has_account(self, account_id: str) -> bool:
        """Whether the account is one of ours."""
        return account_id in self._state.accounts

    def account_alias(self, account_id: str) -> str | None:
        """The account's alias, where it has one."""
        account = self._state.accounts.get(account_id)
        return account.alias if account else None

    def user(self, account_id: str, name: str) -> User | None:
        """The account's user of that name."""
        account = self._state.accounts.get(account_id)
        return account.users.get(name) if account else None

    def role(self, arn: str) -> Role | None:
        """The role with that ARN."""
        account = self._of(arn)
        return account.roles.get(arn) if account else None

    def tags_of(self, principal: Principal) -> Tags:
        """The tags of the user or role behind a caller; a session's own tags are not among them."""
        account = self._state.accounts.get(principal.account_id)
        return account.tags.get(_owner_id(principal) or "", ()) if account else ()

    def context_of(self, principal: Principal) -> Values:
        """The condition keys that follow from who calls: his own, his tags', and his organization's."""
        found = principal_context(principal, self.tags_of(principal))
        if principal.type is not PrincipalType.AWS_SERVICE:
            found |= self._organization_of(principal.account_id)
        return found

    def ask_organizations(self, organization_of: OrganizationKeys) -> None:
        """Tell which organization accounts belong to; before, none belongs to any."""
        self._organization_of = organization_of

    def arn_of(self, account_id: str, kind: str, name: str) -> str | None:
        """The ARN, path and all, of an account's ``user``, ``group``, ``role``, ``policy`` or ``instance-profile``."""
        account = self._state.accounts.get(account_id)
        return account.arns.get((kind, name)) if account else None

    def tags_of_resource(self, arn: str) -> Tags:
        """The tags of a user, role, policy, instance profile, identity provider or MFA device, by its ARN."""
        account = self._of(arn)
        return account.tags.get(account.tag_owners.get(arn, arn), ()) if account else ()

    def policy_text(self, account_id: str, arn: str) -> str | None:
        """The default version of a managed policy that an account can use: its own, or AWS's."""
        if arn in BUILT_IN:
            return BUILT_IN[arn].text
        account = self._state.accounts.get(account_id)
        return account.policy_texts.get(arn) if account else None

    def oidc_provider(self, arn: str) -> OidcProvider | None:
        """The OpenID Connect provider with that ARN."""
        account = self._of(arn)
        return account.oidc_providers.get(arn) if account else None

    def saml_provider(self, arn: str) -> SamlProvider | None:
        """The SAML provider with that ARN."""
        account = self._of(arn)
        return account.saml_providers.get(arn) if account else None

    def mfa_device(self, serial: str) -> MfaDevice | None:
        """The virtual MFA device with that serial number (its ARN), whoever has it."""
        account = self._of(serial)
        return account.mfa_devices.get(serial) if account else None

    def _of(self, arn: str) -> AccountSnapshot | None:
        parts = arn.split(":", 5)
        return self._state.accounts.get(parts[4]) if len(parts) == 6 else None


def _owner_id(principal: Principal) -> str | None:
    """The unique id of the user or role, or the account id of the root, that a caller's permissions come from."""
    session = principal.session
    if session is not None and session.issuer is not None:
        return session.issuer.principal_id or None
    if principal.type is PrincipalType.ROOT:
        return principal.account_id
    return principal.principal_id if principal.type is PrincipalType.IAM_USER else None


def _policy_set(account: AccountSnapshot, owner_id: str) -> PolicySet:
    """A user's (with its groups') or role's policies and boundary."""
    found: list[NamedPolicy] = []
    for source in (owner_id, *account.groups_of.get(owner_id, ())):
        found += [NamedPolicy(f"inline:{name}", _compiled(text, name)) for name, text in account.inline.get(source, ())]
        found += [_managed(account, arn) for arn in account.attached.get(source, ())]
    boundary = account.entities[owner_id].boundary_arn
    return PolicySet(tuple(found), _managed(account, boundary) if boundary else None, None)


def _session_policies(account: AccountSnapshot, principal: Principal) -> tuple[NamedPolicy, ...] | None:
    session = principal.session
    if session is None or not (session.policies or session.policy_arns):
        return () if principal.type is PrincipalType.FEDERATED_USER else None
    inline = tuple(NamedPolicy("session", _compiled(text, "session", parse_session)) for text in session.policies)
    return (*inline, *(_managed(account, arn) for arn in session.policy_arns))


def _managed(account: AccountSnapshot, arn: str) -> NamedPolicy:
    """A managed policy by its ARN; one that is gone says nothing."""
    text = BUILT_IN[arn].text if arn in BUILT_IN else account.policy_texts.get(arn)
    return NamedPolicy(arn, Policy(()) if text is None else _compiled(text, arn))


def _compiled(text: str, name: str, read: Callable[[str], Policy] = parse_identity) -> Policy:
    try:
        return read(text)
    except ValueError as problem:
        # The reason is all there is to know: no trace.
        log.error("the stored policy %s cannot be read and denies everything: %s", name, problem)  # noqa: TRY400
        return _DENY_ALL

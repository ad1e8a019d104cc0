"""Organizations as boto3 sees them: real protocol, checks and handlers over an in-memory database, without a socket."""

from typing import Any

import sqlalchemy as sa

from opentrail.identity import iam_entities
from opentrail.identity.iam_entities import Kind
from opentrail.identity.iam_tables import attachments
from opentrail.identity.principal import Principal
from opentrail.organizations.organization import Organization
from opentrail.organizations.store import Organizations
from opentrail.services.organizations import OrganizationsService
from opentrail.services.organizations.parts import Parts
from tests.support.iam_world import ACCOUNT, OTHER, START, IamWorld, root_of

__all__ = ["ACCOUNT", "OTHER", "START", "THIRD", "OrganizationsWorld", "root_of"]

THIRD = "333333333333"


class OrganizationsWorld(IamWorld):
    """Three accounts, of which none is in an organization yet."""

    served = "organizations"

    def implementation(self) -> object:
        with self.database.unit() as unit:
            self.identities.create_account(unit, THIRD, "third", START)
        self.organizations = Organizations(self.database)
        return OrganizationsService(Parts(self.organizations, self.identities, self.entropy))

    def of(self, account_id: str) -> Any:
        """A client of that account's root."""
        return self.client(root_of(account_id))

    def founded(self, feature_set: str = "ALL") -> Any:
        """The master's client, after it made an organization."""
        master = self.of(ACCOUNT)
        master.create_organization(FeatureSet=feature_set)
        return master

    def joined(self, account_id: str) -> Any:
        """An account's client, after it was invited and accepted."""
        invited = self.of(ACCOUNT).invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": account_id})
        member = self.of(account_id)
        member.accept_handshake(HandshakeId=invited["Handshake"]["Id"])
        return member

    def new_account(self, account_id: str = "444444444444") -> str:
        """One more account, in no organization; its id."""
        with self.database.unit() as unit:
            self.identities.create_account(unit, account_id, "new", START)
        return account_id

    def trust_text(self, account_id: str, role: str) -> str:
        """A role's trust policy."""
        with self.database.read() as connection:
            found = iam_entities.find(connection, account_id, Kind.ROLE, role)
        assert found is not None
        return found.trust or ""

    def attached(self, account_id: str, role: str) -> list[str]:
        """The managed policies that a role has."""
        with self.database.read() as connection:
            found = iam_entities.find(connection, account_id, Kind.ROLE, role)
            assert found is not None
            query = sa.select(attachments.c.policy_arn).where(attachments.c.owner_id == found.unique_id)
            return list(connection.execute(query).scalars())

    def organization(self, principal: Principal | None = None) -> Organization:
        """The organization of the first account, or of a caller's."""
        found = self.organizations.snapshot.of(principal.account_id if principal else ACCOUNT)
        assert found is not None
        return found

"""Which services may work across an organization, and which accounts administer them."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations.organization import Organization
from opentrail.organizations.store import Delegation
from opentrail.services.operation import operation
from opentrail.services.organizations import limits, refusals, rendering
from opentrail.services.organizations.parts import Surroundings, mastered, member_of, page, readable
from opentrail.state.database import Unit

Request = Mapping[str, Any]

_SERVICE = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.amazonaws\.com")


class TrustOperations(Surroundings):
    """The operations on trusted services and their administrators; a part of ``OrganizationsService``."""

    @operation("EnableAWSServiceAccess", writes=True)
    def enable_aws_service_access(self, call: Call, request: Request, unit: Unit) -> Request:
        """Let a service work across the accounts; doing it again changes nothing."""
        found = mastered(self.parts.organizations.within(unit), call)
        service = _service(request["ServicePrincipal"])
        _refuse_without_features(found)
        if not found.is_trusted(service):
            self.parts.organizations.trust(unit, found.organization_id, service, call.received_at)
        return {}

    @operation("DisableAWSServiceAccess", writes=True)
    def disable_aws_service_access(self, call: Call, request: Request, unit: Unit) -> Request:
        """Shut a service out; one that is not in is no error."""
        found = mastered(self.parts.organizations.within(unit), call)
        service = _service(request["ServicePrincipal"])
        _refuse_without_features(found)
        if found.is_trusted(service):
            self.parts.organizations.distrust(unit, found.organization_id, service)
        return {}

    @operation("ListAWSServiceAccessForOrganization")
    def list_aws_service_access_for_organization(self, call: Call, request: Request) -> Request:
        """The services that may work across the accounts."""
        found = readable(self.parts.organizations.snapshot, call)
        trusted = self.parts.organizations.trusted_since(found.organization_id).items()
        return page(
            request,
            trusted,
            "EnabledServicePrincipals",
            lambda one: one[0],
            lambda one: {"ServicePrincipal": one[0], "DateEnabled": one[1]},
        )

    @operation("RegisterDelegatedAdministrator", writes=True)
    def register_delegated_administrator(self, call: Call, request: Request, unit: Unit) -> Request:
        """Make a member the administrator of a service; it may then read the organization."""
        found = mastered(self.parts.organizations.within(unit), call)
        service = _service(request["ServicePrincipal"])
        account_id = member_of(found, request["AccountId"]).account_id
        _check_delegation(found, account_id, service)
        delegation = Delegation(account_id, service, call.received_at)
        self.parts.organizations.delegate(unit, found.organization_id, delegation)
        return {}

    @operation("DeregisterDelegatedAdministrator", writes=True)
    def deregister_delegated_administrator(self, call: Call, request: Request, unit: Unit) -> Request:
        """Make a member an administrator of a service no longer."""
        found = mastered(self.parts.organizations.within(unit), call)
        service = _service(request["ServicePrincipal"])
        account_id = member_of(found, request["AccountId"]).account_id
        if account_id not in found.delegates(service):
            raise refusals.not_registered()
        self.parts.organizations.undelegate(unit, found.organization_id, account_id, service)
        return {}

    @operation("ListDelegatedAdministrators")
    def list_delegated_administrators(self, call: Call, request: Request) -> Request:
        """The members that administer a service, or any."""
        found = readable(self.parts.organizations.snapshot, call)
        service = request.get("ServicePrincipal")
        since: dict[str, datetime] = {}
        for delegation in self._delegations(found):
            if service in (None, delegation.service):
                earliest = since.get(delegation.account_id, delegation.enabled_at)
                since[delegation.account_id] = min(earliest, delegation.enabled_at)

        def shown(account_id: str) -> Request:
            account = rendering.account(found, found.members[account_id])
            del account["Paths"]
            return {**account, "DelegationEnabledDate": since[account_id]}

        return page(request, since, "DelegatedAdministrators", str, shown)

    @operation("ListDelegatedServicesForAccount")
    def list_delegated_services_for_account(self, call: Call, request: Request) -> Request:
        """The services that a member administers."""
        found = readable(self.parts.organizations.snapshot, call)
        account_id = member_of(found, request["AccountId"]).account_id
        administered = [one for one in self._delegations(found) if one.account_id == account_id]
        if not administered:
            raise refusals.not_registered()
        return page(
            request,
            administered,
            "DelegatedServices",
            lambda one: one.service,
            lambda one: {"ServicePrincipal": one.service, "DelegationEnabledDate": one.enabled_at},
        )

    def _delegations(self, found: Organization) -> list[Delegation]:
        """Who administers what, without accounts that left since the organization was looked up."""
        every = self.parts.organizations.delegations(found.organization_id)
        return [delegation for delegation in every if delegation.account_id in found.members]


def _service(principal: str) -> str:
    """A service principal; which services there are is not our business. Raises ApiError InvalidInput."""
    if not _SERVICE.fullmatch(principal):
        text = "You specified an unrecognized service principal."
        raise refusals.invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", text)
    return principal


def _refuse_without_features(found: Organization) -> None:
    if not found.has_all_features:
        text = "The organization must have all features enabled."
        raise refusals.constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE", text)


def _check_delegation(found: Organization, account_id: str, service: str) -> None:
    """Raise ApiError where an account cannot come to administer a service."""
    _refuse_without_features(found)
    if account_id == found.master_account_id:
        text = "You cannot register the management account as a delegated administrator of your organization."
        raise refusals.constraint("CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR", text)
    if not found.is_trusted(service):
        text = "You must enable service access for the service first."
        raise refusals.constraint("SERVICE_ACCESS_NOT_ENABLED", text)
    if account_id in found.delegates(service):
        text = "The provided account is already a delegated administrator for your organization."
        raise ApiError("AccountAlreadyRegisteredException", text)
    limit = limits.DELEGATED_PER_SERVICE.get(service)
    if limit is not None and len(found.delegates(service)) >= limit:
        text = f"At most {limit} accounts administer {service}."
        raise refusals.constraint("MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED", text)

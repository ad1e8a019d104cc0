"""Trails of organizations: who may have one, and who administers it (cloudtrail fact sheet 6.3). Pure.

Rules. An organization's trail belongs to its management account, whoever made it. Members see it and do not change it;
the management account and CloudTrail's delegated administrators do.
"""

from opentrail.errors import ApiError
from opentrail.organizations.organization import Organization
from opentrail.organizations.organization_set import OrganizationSet

TRUSTED_SERVICE = "cloudtrail.amazonaws.com"
"""The service principal that an organization lets in for its trails to keep its members' events."""


def administered_by(account_id: str, organizations: OrganizationSet) -> Organization:
    """The organization whose trails an account administers.

    Raises ApiError OrganizationsNotInUse-, NotOrganizationMasterAccount-, OrganizationNotInAllFeaturesMode- and
    CloudTrailAccessNotEnabledException.
    """
    organization = _organization_of(account_id, organizations)
    if not _administers(account_id, organization):
        raise _no_administrator(account_id)
    require_usable(organization)
    return organization


def require_administrator(account_id: str, owner_id: str, organizations: OrganizationSet) -> None:
    """Raise ApiError NotOrganizationMasterAccountException where an account may see another's trail only."""
    organization = organizations.of(owner_id)
    if account_id != owner_id and (organization is None or not _administers(account_id, organization)):
        raise _no_administrator(account_id)


def _organization_of(account_id: str, organizations: OrganizationSet) -> Organization:
    organization = organizations.of(account_id)
    if organization is None:
        text = f"Account {account_id} is not a member of an organization."
        raise ApiError("OrganizationsNotInUseException", text)
    return organization


def managed_by(account_id: str, organizations: OrganizationSet) -> Organization:
    """The organization that an account is the management account of.

    Raises ApiError OrganizationsNotInUse- and NotOrganizationManagementAccountException.
    """
    organization = _organization_of(account_id, organizations)
    if organization.master_account_id != account_id:
        text = f"Account {account_id} is not the management account of its organization."
        raise ApiError("NotOrganizationManagementAccountException", text)
    return organization


def _administers(account_id: str, organization: Organization) -> bool:
    return account_id == organization.master_account_id or account_id in organization.delegates(TRUSTED_SERVICE)


def _no_administrator(account_id: str) -> ApiError:
    text = (
        f"Account {account_id} is neither the management account of its organization nor a delegated administrator of "
        "CloudTrail: an organization's trail is made and changed by those."
    )
    return ApiError("NotOrganizationMasterAccountException", text)


def require_usable(organization: Organization) -> None:
    """Raise ApiError OrganizationNotInAllFeaturesMode- or CloudTrailAccessNotEnabledException where an organization has
    no place for trails.
    """
    if not organization.has_all_features:
        text = f"Organization {organization.organization_id} does not have all features enabled."
        raise ApiError("OrganizationNotInAllFeaturesModeException", text)
    if not organization.is_trusted(TRUSTED_SERVICE):
        text = (
            f"Organization {organization.organization_id} does not let CloudTrail in: enable it with Organizations' "
            f"EnableAWSServiceAccess for {TRUSTED_SERVICE}."
        )
        raise ApiError("CloudTrailAccessNotEnabledException", text)


def require_member(organization: Organization, account_id: str) -> None:
    """Raise ApiError AccountNotFoundException."""
    if account_id not in organization.members:
        text = f"Account {account_id} is not a member of organization {organization.organization_id}."
        raise ApiError("AccountNotFoundException", text)

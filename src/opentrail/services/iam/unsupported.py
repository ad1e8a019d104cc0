"""What of IAM is not there, and why; callers are told so plainly instead of being half served."""

from collections.abc import Mapping

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "OpenTrail has no certificates in IAM; TLS is configured with the gateway": (
        "DeleteServerCertificate",
        "DeleteSigningCertificate",
        "GetServerCertificate",
        "ListServerCertificateTags",
        "TagServerCertificate",
        "UntagServerCertificate",
        "UpdateServerCertificate",
        "UpdateSigningCertificate",
        "UploadServerCertificate",
        "UploadSigningCertificate",
    ),
    "there is no CodeCommit, so there are no SSH keys": (
        "DeleteSSHPublicKey",
        "GetSSHPublicKey",
        "UpdateSSHPublicKey",
        "UploadSSHPublicKey",
    ),
    "no service here takes service-specific credentials": (
        "CreateServiceSpecificCredential",
        "DeleteServiceSpecificCredential",
        "ResetServiceSpecificCredential",
        "UpdateServiceSpecificCredential",
    ),
    "services of OpenTrail act as themselves and need no service-linked roles": (
        "CreateServiceLinkedRole",
        "DeleteServiceLinkedRole",
        "GetServiceLinkedRoleDeletionStatus",
    ),
    "passwords follow the rules of an account without a password policy": (
        "DeleteAccountPasswordPolicy",
        "UpdateAccountPasswordPolicy",
    ),
    "`opentrail policy simulate` tells whether a principal may do something, and which statement decides": (
        "GetContextKeysForCustomPolicy",
        "GetContextKeysForPrincipalPolicy",
        "SimulateCustomPolicy",
        "SimulatePrincipalPolicy",
    ),
    "reports of use are made from the event history, not by IAM": (
        "GenerateCredentialReport",
        "GenerateServiceLastAccessedDetails",
        "GetCredentialReport",
        "GetServiceLastAccessedDetails",
        "GetServiceLastAccessedDetailsWithEntities",
        "ListPoliciesGrantingServiceAccess",
        "GetHumanReadableSummary",
    ),
    "OpenTrail has no organization features in IAM": (
        "DisableOrganizationsRootCredentialsManagement",
        "DisableOrganizationsRootSessions",
        "EnableOrganizationsRootCredentialsManagement",
        "EnableOrganizationsRootSessions",
        "GenerateOrganizationsAccessReport",
        "GetOrganizationsAccessReport",
        "ListOrganizationsFeatures",
    ),
    "delegation requests and role templates are AWS's own offers to its partners": (
        "AcceptDelegationRequest",
        "AcquireRole",
        "AssociateDelegationRequest",
        "CreateDelegationRequest",
        "GetDelegationRequest",
        "GetRoleTemplateVersion",
        "ListDelegationRequests",
        "RejectDelegationRequest",
        "SendDelegationToken",
        "UpdateDelegationRequest",
    ),
    "OpenTrail issues no tokens for other issuers' services": (
        "DisableOutboundWebIdentityFederation",
        "EnableOutboundWebIdentityFederation",
        "GetOutboundWebIdentityFederationInfo",
    ),
    "there is nothing to set: session tokens are of one kind, and accounts have no further properties": (
        "GetAccountProperties",
        "PutAccountProperties",
        "SetSecurityTokenServicePreferences",
    ),
}

UNSUPPORTED: Mapping[str, str] = {name: reason for reason, names in _GROUPS.items() for name in names}
"""Operation -> why it is refused."""

"""What of SNS is not there, and why; callers are told so plainly instead of being half served."""

from collections.abc import Mapping

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "OpenTrail sends no text messages": (
        "CheckIfPhoneNumberIsOptedOut",
        "CreateSMSSandboxPhoneNumber",
        "DeleteSMSSandboxPhoneNumber",
        "GetSMSAttributes",
        "GetSMSSandboxAccountStatus",
        "ListOriginationNumbers",
        "ListPhoneNumbersOptedOut",
        "ListSMSSandboxPhoneNumbers",
        "OptInPhoneNumber",
        "SetSMSAttributes",
        "VerifySMSSandboxPhoneNumber",
    ),
    "OpenTrail sends no mobile push notifications": (
        "CreatePlatformApplication",
        "CreatePlatformEndpoint",
        "DeleteEndpoint",
        "DeletePlatformApplication",
        "GetEndpointAttributes",
        "GetPlatformApplicationAttributes",
        "ListEndpointsByPlatformApplication",
        "ListPlatformApplications",
        "SetEndpointAttributes",
        "SetPlatformApplicationAttributes",
    ),
    "messages are not searched for personal data": ("GetDataProtectionPolicy", "PutDataProtectionPolicy"),
}

UNSUPPORTED: Mapping[str, str] = {name: reason for reason, names in _GROUPS.items() for name in names}
"""Operation -> why it is refused."""

"""What of KMS is not there, and why; callers are told so plainly instead of being half served."""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "keys are kept in OpenTrail's own state; there are no custom key stores": (
        "ConnectCustomKeyStore",
        "CreateCustomKeyStore",
        "DeleteCustomKeyStore",
        "DescribeCustomKeyStores",
        "DisconnectCustomKeyStore",
        "UpdateCustomKeyStore",
    ),
    "there are no grants; key policies and IAM policies say who may use a key": (
        "CreateGrant",
        "ListGrants",
        "ListRetirableGrants",
        "RetireGrant",
        "RevokeGrant",
    ),
    "only symmetric encryption keys are kept": (
        "Decapsulate",
        "DeriveSharedSecret",
        "Encapsulate",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "GetPublicKey",
        "Sign",
        "Verify",
        "VerifyMac",
    ),
    "key material is made here and nowhere else": (
        "DeleteImportedKeyMaterial",
        "GetParametersForImport",
        "ImportKeyMaterial",
    ),
    "a key belongs to one region": ("ReplicateKey", "UpdatePrimaryRegion"),
    "what a key was last used for is in the event records, not with the key": ("GetKeyLastUsage",),
}

UNSUPPORTED: Mapping[str, str] = {name: reason for reason, names in _GROUPS.items() for name in names}
"""Operation -> why it is refused."""

_ONLY: Mapping[str, tuple[object, ...]] = {
    "KeyUsage": ("ENCRYPT_DECRYPT",),
    "KeySpec": ("SYMMETRIC_DEFAULT",),
    "CustomerMasterKeySpec": ("SYMMETRIC_DEFAULT",),
    "Origin": ("AWS_KMS",),
    "MultiRegion": (False,),
    "CustomKeyStoreId": (),
    "XksKeyId": (),
}


def refuse_unsupported_keys(request: Mapping[str, Any]) -> None:
    """Raise ApiError UnsupportedOperationException for a CreateKey that asks for another kind of key."""
    for member, allowed in _ONLY.items():
        if member in request and request[member] not in allowed:
            said = f"{member} {request[member]}: OpenTrail keeps symmetric encryption keys of one region only"
            raise ApiError("UnsupportedOperationException", said)


def refuse_unsupported_use(request: Mapping[str, Any]) -> None:
    """Raise ApiError for parameters of cryptographic operations that cannot be honoured."""
    if request.get("GrantTokens"):
        raise ApiError("InvalidGrantTokenException", "OpenTrail has no grants, so no grant token is valid")
    for member in ("Recipient", "CustomKeyStoreId", "DryRunModifiers"):
        if request.get(member):
            raise ApiError("UnsupportedOperationException", f"{member} is not supported by OpenTrail")
    algorithms = ("EncryptionAlgorithm", "SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm")
    for member in algorithms:
        if request.get(member, "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            raise ApiError("InvalidKeyUsageException", f"{member}: the key is a symmetric encryption key")

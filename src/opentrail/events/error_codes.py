"""The ``errorCode`` of a record, where it is not the code that the client was told.

Rules (cloudtrail fact sheet 1.8, trap 40): EC2 says whose fault it was, with ``Client.`` or ``Server.`` before the
code; IAM's records name the error's shape (``NoSuchEntityException``) where the wire has its code (``NoSuchEntity``);
those of Organizations leave the ending away where a caller is denied.
"""

from collections.abc import Mapping
from types import MappingProxyType

_EC2 = "ec2.amazonaws.com"
_EC2_PREFIXES = ("Client.", "Server.")

# Amazon EC2 API Reference, "Error codes", server errors. RequestLimitExceeded stands there too and is left out: records
# call it Client.RequestLimitExceeded.
EC2_SERVER_ERRORS = frozenset(
    {
        "InsufficientAddressCapacity",
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientVolumeCapacity",
        "InternalError",
        "InternalFailure",
        "ServerInternal",
        "ServiceUnavailable",
        "Unavailable",
    }
)

# The codes of IAM's model and the shapes that they stand for, where the two differ; NoSuchEntity is measured
# (cloudtrail fact sheet 1.8). A test holds the table against the model.
IAM_CODES: Mapping[str, str] = MappingProxyType(
    {
        "ConcurrentModification": "ConcurrentModificationException",
        "DeleteConflict": "DeleteConflictException",
        "DuplicateCertificate": "DuplicateCertificateException",
        "DuplicateSSHPublicKey": "DuplicateSSHPublicKeyException",
        "EntityAlreadyExists": "EntityAlreadyExistsException",
        "EntityTemporarilyUnmodifiable": "EntityTemporarilyUnmodifiableException",
        "FeatureDisabled": "FeatureDisabledException",
        "FeatureEnabled": "FeatureEnabledException",
        "InvalidAuthenticationCode": "InvalidAuthenticationCodeException",
        "InvalidCertificate": "InvalidCertificateException",
        "InvalidInput": "InvalidInputException",
        "InvalidPublicKey": "InvalidPublicKeyException",
        "InvalidUserType": "InvalidUserTypeException",
        "KeyPairMismatch": "KeyPairMismatchException",
        "LimitExceeded": "LimitExceededException",
        "MalformedCertificate": "MalformedCertificateException",
        "MalformedPolicyDocument": "MalformedPolicyDocumentException",
        "NameConflict": "NameConflictException",
        "NoSuchEntity": "NoSuchEntityException",
        "NotSupportedService": "ServiceNotSupportedException",
        "OpenIdIdpCommunicationError": "OpenIdIdpCommunicationErrorException",
        "PasswordPolicyViolation": "PasswordPolicyViolationException",
        "PolicyEvaluation": "PolicyEvaluationException",
        "PolicyNotAttachable": "PolicyNotAttachableException",
        "ReportExpired": "CredentialReportExpiredException",
        "ReportInProgress": "CredentialReportNotReadyException",
        "ReportNotPresent": "CredentialReportNotPresentException",
        "ReportGenerationLimitExceeded": "ReportGenerationLimitExceededException",
        "RoleModified": "RoleModifiedException",
        "RoleTemplateDisabled": "RoleTemplateDisabledException",
        "ServiceFailure": "ServiceFailureException",
        "UnmodifiableEntity": "UnmodifiableEntityException",
        "UnrecognizedPublicKeyEncoding": "UnrecognizedPublicKeyEncodingException",
    }
)

_BY_SOURCE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "iam.amazonaws.com": IAM_CODES,
        "organizations.amazonaws.com": {"AccessDeniedException": "AccessDenied"},  # cloudtrail fact sheet 1.8
    }
)


def recorded_error_code(event_source: str, code: str) -> str:
    """The code that a record shows for an error that the client was told as ``code``."""
    if event_source == _EC2 and not code.startswith(_EC2_PREFIXES):
        return f"Server.{code}" if code in EC2_SERVER_ERRORS else f"Client.{code}"
    return _BY_SOURCE.get(event_source, {}).get(code, code)

"""Whether a call only reads, and whether its response belongs into the record.

Rules: a table of exceptions by event source stands above a general rule on the operation's name. What neither names
is a write: a call that is wrongly taken for a write costs an intent, one wrongly taken for a read costs evidence.
"""

_READ_PREFIXES = ("Describe", "Get", "Head", "List", "Lookup", "BatchGet")

_EXCEPTIONS: dict[str, dict[str, bool]] = {
    # opsworks-cm fact sheet 11, after the IAM access levels.
    "opsworks-cm.amazonaws.com": {"ExportServerEngineAttribute": True},
    # cloudtrail fact sheet 2.3; the last two mint credentials as GetSessionToken does and are no reads either.
    "sts.amazonaws.com": {
        "AssumeRole": True,
        "AssumeRoleWithSAML": True,
        "AssumeRoleWithWebIdentity": True,
        "DecodeAuthorizationMessage": True,
        "GetFederationToken": False,
        "GetSessionToken": False,
        "GetDelegatedAccessToken": False,
        "GetWebIdentityToken": False,
    },
    "cloudtrail.amazonaws.com": {"SearchSampleQueries": True},
    # Our own reads whose names the general rule does not know; each leaves everything as it was.
    "opentrail.amazonaws.com": {
        "SearchEvents": True,
        "CountEvents": True,
        "TailEvents": True,
        "PreviewSelectors": True,
        "SimulatePolicy": True,
    },
    "s3.amazonaws.com": {"SelectObjectContent": True, "PreflightRequest": True},
    # Cryptography that changes nothing: log entries of the AWS KMS Developer Guide.
    "kms.amazonaws.com": {
        "Decrypt": True,
        "Encrypt": True,
        "ReEncrypt": True,
        "GenerateDataKey": True,
        "GenerateDataKeyPair": True,
        "GenerateDataKeyPairWithoutPlaintext": True,
        "GenerateDataKeyWithoutPlaintext": True,
        "GenerateMac": True,
        "GenerateRandom": True,
        "Sign": True,
        "Verify": True,
        "VerifyMac": True,
    },
}

_READS_WITH_RESPONSE = frozenset({"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})


def is_read_only(event_source: str, event_name: str) -> bool:
    """Whether an operation leaves everything as it was (the record's ``readOnly``)."""
    exception = _EXCEPTIONS.get(event_source, {}).get(event_name)
    return event_name.startswith(_READ_PREFIXES) if exception is None else exception


def records_response(event_source: str, event_name: str, *, read_only: bool) -> bool:
    """Whether ``responseElements`` is filled in for a call that succeeded.

    It is for writes, and for the AssumeRole family although that is read-only (cloudtrail fact sheet 1.2 "Null
    conventions", 2.3).
    """
    return not read_only or (event_name in _READS_WITH_RESPONSE and event_source == "sts.amazonaws.com")

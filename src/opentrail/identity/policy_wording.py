"""What IAM refuses in a policy that is well-formed, and the words it says it in (MalformedPolicyDocument).

Rules: the texts are AWS's, as its clients see them. Vendors and actions that nobody offers pass, as on AWS.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_VENDOR = re.compile(r"[A-Za-z0-9.-]+")
_TRUST_ACTION = re.compile(r"sts:[A-Za-z*?]+", re.IGNORECASE)
_IAM_PATHS = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)
_PARTITION = re.compile(r"aws(?:-[a-z]+)*|\*")


class AwsReason(ValueError):
    """A refusal whose text is AWS's own."""


def check_sids(sids: Sequence[str]) -> None:
    """Raises AwsReason where a Sid of an identity policy is not alphanumeric or stands twice."""
    if len(set(sids)) != len(sids):
        raise AwsReason("Statement IDs (SID) in a single policy must be unique.")
    if not all(sid.isascii() and sid.isalnum() for sid in sids):
        raise AwsReason(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )


def check_no_principal(statement: Mapping[str, Any]) -> None:
    """Raises AwsReason where a statement of an identity policy says whom it is about: it is about its owner."""
    if "Principal" in statement or "NotPrincipal" in statement:
        raise AwsReason("Policy document should not specify a principal.")


def check_identity_action(action: str) -> None:
    """Raises AwsReason for an action of an identity policy that names no vendor, or more than one."""
    vendor, *rest = action.split(":")
    if not rest and vendor != "*":
        raise AwsReason("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if len(rest) > 1:
        raise AwsReason("Actions/Condition can contain only one colon.")
    if vendor != "*" and not _VENDOR.fullmatch(vendor):
        raise AwsReason(f"Vendor {vendor[:100]} is not valid")


def check_trust_action(action: str) -> None:
    """Raises AwsReason for an action of a trust policy that is none of STS."""
    if not _TRUST_ACTION.fullmatch(action):
        raise AwsReason("AssumeRole policy may only specify STS AssumeRole actions.")


def check_identity_resource(resource: str) -> None:
    """Raises AwsReason for a resource of an identity policy that is neither ``*`` nor an ARN."""
    if resource == "*" or resource.startswith("${"):
        return
    scheme, *parts = resource.split(":", 5)
    if scheme != "arn" or not parts:
        if scheme.startswith("arn*"):
            return
        raise AwsReason(f'Resource {resource[:200]} must be in ARN format or "*".')
    partition, vendor, region, account, path = [*parts, *["*"] * (5 - len(parts))]
    if not _PARTITION.fullmatch(partition):
        shown = f"arn:{partition}:{vendor}:{region}:{account}:{path}"[:300]
        raise AwsReason(f'Partition "{partition[:100]}" is not valid for resource "{shown}".')
    if len(parts) < 2:
        raise AwsReason("Resource vendor must be fully qualified and cannot contain regexes.")
    if vendor == "iam" and len(parts) > 2 and region not in ("", "*"):
        raise AwsReason(f"IAM resource {resource[:200]} cannot contain region information.")
    if vendor == "s3" and len(parts) > 2 and region not in ("", "*"):
        raise AwsReason(f"Resource {resource[:200]} can not contain region information.")
    if vendor == "iam" and len(parts) == 5 and not _is_iam_path(path):
        raise AwsReason(f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.')


def _is_iam_path(path: str) -> bool:
    return path in ("*", "root") or path.startswith(_IAM_PATHS)

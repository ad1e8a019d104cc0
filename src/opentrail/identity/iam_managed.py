"""AWS's own managed policies, as far as OpenTrail serves what they speak of. They exist in every account.

The documents grant what the names promise, in our own data; AWS's texts change with its services. Ids are derived
from the names.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
PUBLISHED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""When the documents in this file were written."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One policy of AWS's."""

    name: str
    path: str
    policy_id: str
    description: str
    text: str


def _allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"} | more


_READS = ("Describe*", "Get*", "List*")
_READABLE = ("cloudtrail", "opsworks-cm", "iam", "sns", "kms", "opentrail", "organizations", "tag")
_CONTENT_READS = ("s3:GetObject*", "s3:GetBucket*", "s3:List*", "sts:GetCallerIdentity", "sts:GetAccessKeyInfo")
_LOG_BUCKETS = ("s3:CreateBucket", "s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:ListAllMyBuckets", "s3:GetObject")

_DOCUMENTS: tuple[tuple[str, str, str, list[dict[str, Any]]], ...] = (
    ("AdministratorAccess", "/", "Provides full access to all services and resources.", [_allow("*")]),
    (
        "PowerUserAccess",
        "/",
        "Provides full access to services and resources, but does not allow management of users and groups.",
        [
            {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
            _allow("iam:ListRoles", "organizations:DescribeOrganization", "account:GetAccountInformation"),
        ],
    ),
    (
        "ReadOnlyAccess",
        "/",
        "Provides read-only access to services and resources.",
        [
            _allow(
                *(f"{service}:{verb}" for service in _READABLE for verb in _READS),
                *("cloudtrail:LookupEvents", "opentrail:SearchEvents", "opentrail:CountEvents", "opentrail:TailEvents"),
                *("iam:GenerateCredentialReport", "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy"),
                *_CONTENT_READS,
            )
        ],
    ),
    ("IAMFullAccess", "/", "Provides full access to IAM.", [_allow("iam:*", "organizations:DescribeAccount")]),
    (
        "IAMReadOnlyAccess",
        "/",
        "Provides read-only access to IAM.",
        [_allow("iam:Get*", "iam:List*", "iam:GenerateCredentialReport", "iam:Simulate*")],
    ),
    (
        "IAMUserChangePassword",
        "/",
        "Lets a user change its own password.",
        [
            _allow("iam:ChangePassword", Resource="arn:aws:iam::*:user/${aws:username}"),
            _allow("iam:GetAccountPasswordPolicy"),
        ],
    ),
    (
        "SecurityAudit",
        "/",
        "Lets an auditor read the configuration of services and the history of calls, not the data they hold.",
        [
            _allow(
                *(f"{service}:{verb}" for service in _READABLE for verb in _READS),
                *("cloudtrail:LookupEvents", "iam:GenerateCredentialReport", "s3:GetBucket*", "s3:ListAllMyBuckets"),
                *("s3:Get*Configuration", "sts:GetCallerIdentity", "ec2:DescribeRegions"),
            )
        ],
    ),
    (
        "AWSCloudTrail_FullAccess",
        "/",
        "Provides full access to CloudTrail, and to buckets, topics and keys as far as trails need them.",
        [
            _allow("cloudtrail:*"),
            _allow(*_LOG_BUCKETS, Resource="arn:aws:s3:::aws-cloudtrail-logs*"),
            _allow("s3:ListAllMyBuckets", "sns:ListTopics", "kms:ListKeys", "kms:ListAliases", "iam:ListRoles"),
            _allow("sns:CreateTopic", "sns:SetTopicAttributes", Resource="arn:aws:sns:*:*:aws-cloudtrail-logs*"),
            _allow(
                "iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "cloudtrail.amazonaws.com"}}
            ),
        ],
    ),
    (
        "AWSCloudTrail_ReadOnlyAccess",
        "/",
        "Provides read-only access to CloudTrail.",
        [_allow("cloudtrail:Get*", "cloudtrail:Describe*", "cloudtrail:List*", "cloudtrail:LookupEvents")],
    ),
    (
        "AWSOpsWorksCMServiceRole",
        "/service-role/",
        "What OpsWorks CM needs in an account: a bucket for backups, and to read the role and tags of its servers.",
        [
            _allow("s3:CreateBucket", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject",
                   Resource=["arn:aws:s3:::aws-opsworks-cm-*", "arn:aws:s3:::aws-opsworks-cm-*/*"]),
            _allow("tag:TagResources", "tag:UntagResources", "opsworks-cm:DescribeServers"),
            _allow("iam:PassRole", Resource="arn:aws:iam::*:role/aws-opsworks-cm-*"),
        ],
    ),
    (
        "AWSOpsWorksCMInstanceProfileRole",
        "/",
        "What the machine of an OpsWorks CM server needs: to read and write its backups.",
        [
            _allow("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListAllMyBuckets", "s3:ListBucket",
                   "s3:ListMultipartUploadParts", "s3:PutObject", Resource="arn:aws:s3:::aws-opsworks-cm-*"),
        ],
    ),
)  # fmt: skip


def _made(name: str, path: str, description: str, statements: list[dict[str, Any]]) -> BuiltIn:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
    suffix = hashlib.sha256(name.encode()).hexdigest().upper()[:17]
    return BuiltIn(name, path, f"ANPA{suffix}", description, text)


BUILT_IN: Mapping[str, BuiltIn] = {f"arn:aws:iam::aws:policy{row[1]}{row[0]}": _made(*row) for row in _DOCUMENTS}
"""AWS's policies by ARN."""

"""Identity, session and trust policy documents: what is refused, in AWS's words."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from opentrail.identity.policy import parse_identity, parse_session, parse_trust, size_chars

ACCOUNT = "111111111111"
IDENTITY = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}

SID_RULE = (
    "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
)


def own(version: str | None = "2012-10-17", **changes: Any) -> str:
    """An identity policy with one statement; None as a value leaves the element out."""
    kept = {name: value for name, value in {**IDENTITY, **changes}.items() if value is not None}
    return json.dumps({"Statement": [kept]} | ({"Version": version} if version else {}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Syntax errors in policy."),
        (own(Effect="allow"), "Syntax errors in policy."),
        (own(Condition={"StringSounds": {"a": "b"}}), "Syntax errors in policy."),
        (own(NotAction="s3:*"), "Syntax errors in policy."),
        (own(Principal="*"), "Policy document should not specify a principal."),
        (own(version=None), "Policy document must be version 2012-10-17 or greater."),
        (own(version="2008-10-17"), "Policy document must be version 2012-10-17 or greater."),
        (own(Action=None), "Policy statement must contain actions."),
        (own(Action=[]), "Policy statement must contain actions."),
        (own(Resource=None), "Policy statement must contain resources."),
        (own(Action="GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (own(Action="s3:Get:Object"), "Actions/Condition can contain only one colon."),
        (own(Action="s3$:Get"), "Vendor s3$ is not valid"),
        (own(Sid="a b"), SID_RULE),
        (json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "a", **IDENTITY}, {"Sid": "a", **IDENTITY}]}),
         "Statement IDs (SID) in a single policy must be unique."),
        (own(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        (own(Resource="arn:moon:s3:::b"), 'Partition "moon" is not valid for resource "arn:moon:s3:::b".'),
        (own(Resource="arn:aws:iam:eu-west-1:1:user/a"),
         "IAM resource arn:aws:iam:eu-west-1:1:user/a cannot contain region information."),
        (own(Resource="arn:aws:s3:eu::b"), "Resource arn:aws:s3:eu::b can not contain region information."),
        (own(Resource="arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
    ],
)  # fmt: skip
def test_identity_policies_are_refused_in_aws_s_words(text: str, reason: str) -> None:
    """MalformedPolicyDocument carries AWS's own reason; session policies differ only in the version they may omit."""
    with pytest.raises(ValueError) as refused:
        parse_identity(text)
    assert str(refused.value) == reason
    if "version" in reason:
        assert parse_session(text).statements
        return
    with pytest.raises(ValueError) as refused:
        parse_session(text)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Principal": None}, "Missing required field Principal"),
        ({"Principal": None, "NotPrincipal": "*"}, "Has prohibited field NotPrincipal"),
        ({"Resource": "*"}, "Has prohibited field Resource"),
        ({"Action": None}, "Missing required field Action"),
        ({"Effect": None}, "Missing required field Effect"),
        ({"Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Action": "*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Principal": {"AWS": "bob"}}, 'Invalid principal in policy: "AWS":"bob"'),
        ({"Principal": {"Federated": "*"}}, 'Invalid principal in policy: "Federated":"*"'),
    ],
)
def test_trust_policies_are_refused_in_aws_s_words(changes: Mapping[str, Any], reason: str) -> None:
    """A trust policy names principals and STS actions, and no resource."""
    base = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    statement = {name: value for name, value in {**base, **changes}.items() if value is not None}
    with pytest.raises(ValueError) as refused:
        parse_trust(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    assert str(refused.value) == reason
    assert parse_trust(json.dumps({"Version": "2012-10-17", "Statement": base})).statements
    with pytest.raises(ValueError, match="This policy contains invalid Json"):
        parse_trust("nothing")


def test_a_text_is_compiled_once() -> None:
    """The same document is the same policy, and quotas count what is not white space."""
    assert parse_identity(own()) is parse_identity(own())
    assert size_chars(' { "a" :\n\t1 } ') == 7

"""Bucket policies: who is meant, what is matched, and what is refused before it is stored."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from opentrail.clock import SystemClock
from opentrail.identity.context import principal_context
from opentrail.identity.policy import AccessRequest, Decision, evaluate, parse
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType, SessionContext, SessionIssuer

ACCOUNT, OTHER = "111111111111", "222222222222"
ROOT = Principal(PrincipalType.ROOT, ACCOUNT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
USER = Principal(PrincipalType.IAM_USER, ACCOUNT, "AIDA1", f"arn:aws:iam::{ACCOUNT}:user/ada", user_name="ada")
STRANGER = Principal(PrincipalType.IAM_USER, OTHER, "AIDA3", f"arn:aws:iam::{OTHER}:user/bob", user_name="bob")
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/r"
SESSION = Principal(
    PrincipalType.ASSUMED_ROLE,
    ACCOUNT,
    "AROA1:s",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
    session=SessionContext(SystemClock().now(), issuer=SessionIssuer("Role", "AROA1", ROLE_ARN, ACCOUNT, "r")),
)
TRAIL_SERVICE = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
OBJECT = "arn:aws:s3:::b/k"


def document(*, version: str = "2012-10-17", **changes: Any) -> str:
    """A policy with one statement; None as a value leaves the element out."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": OBJECT}
    statement.update(changes)
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": version, "Statement": [kept]})


def decide(
    text: str,
    principal: Principal = USER,
    action: str = "s3:GetObject",
    resource: str = OBJECT,
    context: Mapping[str, tuple[str, ...]] | None = None,
) -> Decision:
    """What a policy says of a request whose context is the principal's and what is given."""
    known = {**principal_context(principal), **(context or {})}
    return evaluate(parse(text), AccessRequest(principal, action, resource, known))


@pytest.mark.parametrize(
    ("named", "principal", "meant"),
    [
        ("*", ANONYMOUS, True),
        ({"AWS": "*"}, STRANGER, True),
        ({"AWS": ACCOUNT}, ROOT, True),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, USER, False),
        ({"AWS": ACCOUNT}, STRANGER, False),
        ({"AWS": ACCOUNT}, ANONYMOUS, False),
        ({"AWS": [f"arn:aws:iam::{ACCOUNT}:user/ada"]}, USER, True),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"}, ROOT, False),
        ({"AWS": ROLE_ARN}, SESSION, True),
        ({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s"}, SESSION, True),
        ({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/t"}, SESSION, False),
        ({"Service": "cloudtrail.amazonaws.com"}, TRAIL_SERVICE, True),
        ({"Service": "config.amazonaws.com"}, TRAIL_SERVICE, False),
        ({"Service": "cloudtrail.amazonaws.com"}, ROOT, False),
        ({"AWS": ACCOUNT, "Service": "cloudtrail.amazonaws.com"}, TRAIL_SERVICE, True),
    ],
)
def test_a_statement_is_about_the_principals_it_names(named: Any, principal: Principal, meant: bool) -> None:
    """An Allow reaches exactly the callers that its Principal element names."""
    expected = Decision.ALLOW if meant else Decision.IMPLICIT_DENY
    assert decide(document(Principal=named), principal) is expected


def test_a_deny_to_an_account_reaches_everybody_in_it() -> None:
    """What delegates when it allows refuses every user when it denies."""
    text = document(Effect="Deny", Principal={"AWS": ACCOUNT})
    assert decide(text, USER) is Decision.EXPLICIT_DENY
    assert decide(text, STRANGER) is Decision.IMPLICIT_DENY


def test_not_principal_is_everybody_else() -> None:
    """A Deny with NotPrincipal spares those it names and nobody else."""
    text = document(Effect="Deny", Principal=None, NotPrincipal={"AWS": [USER.arn, ACCOUNT]})
    assert decide(text, USER) is Decision.IMPLICIT_DENY
    assert decide(text, STRANGER) is Decision.EXPLICIT_DENY
    assert decide(text, ANONYMOUS) is Decision.EXPLICIT_DENY


def test_a_deny_beats_an_allow_in_any_order() -> None:
    """An explicit Deny wins whether it stands before or after the Allow."""
    allow, deny = json.loads(document())["Statement"][0], json.loads(document(Effect="Deny"))["Statement"][0]
    for statements in ([allow, deny], [deny, allow]):
        assert decide(json.dumps({"Statement": statements})) is Decision.EXPLICIT_DENY


@pytest.mark.parametrize(
    ("element", "pattern", "value", "matches"),
    [
        ("Action", "s3:*", "s3:PutObject", True),
        ("Action", "S3:getobject", "s3:GetObject", True),
        ("Action", "s3:Get?bject", "s3:GetObject", True),
        ("Action", "s3:GetObject", "s3:GetObjectAcl", False),
        ("NotAction", "s3:Delete*", "s3:GetObject", True),
        ("NotAction", "s3:Get*", "s3:GetObject", False),
        ("Resource", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a/b/c", True),
        ("Resource", "arn:aws:s3:::b/?", "arn:aws:s3:::b/ab", False),
        ("Resource", "arn:aws:s3:::b/*.gz", "arn:aws:s3:::b/x.gz.gz", True),
        ("Resource", "arn:aws:s3:::b", "arn:aws:s3:::b/k", False),
        ("Resource", "arn:aws:s3:::B/k", "arn:aws:s3:::b/k", False),
        ("NotResource", "arn:aws:s3:::b/secret/*", "arn:aws:s3:::b/open", True),
        ("NotResource", "arn:aws:s3:::b/secret/*", "arn:aws:s3:::b/secret/x", False),
    ],
)
def test_actions_and_resources_match_by_pattern(element: str, pattern: str, value: str, matches: bool) -> None:
    """Wildcards work in actions (whatever their case) and resources (case counts), inverted too."""
    plain = element.removeprefix("Not")
    changes: dict[str, Any] = {plain: None, element: pattern}
    text = document(**changes)
    asked = {"action" if plain == "Action" else "resource": value}
    assert (decide(text, **asked) is Decision.ALLOW) is matches  # type: ignore[arg-type] # one of two str parameters


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"s3:x-amz-acl": "private"}}, {"s3:x-amz-acl": ("private",)}, True),
        ({"StringEquals": {"s3:x-amz-acl": ["a", "private"]}}, {"s3:x-amz-acl": ("private",)}, True),
        ({"StringEquals": {"s3:x-amz-acl": "priv*"}}, {"s3:x-amz-acl": ("private",)}, False),
        ({"StringEquals": {"s3:x-amz-acl": "private"}}, {}, False),
        ({"StringEqualsIfExists": {"s3:x-amz-acl": "private"}}, {}, True),
        ({"StringNotEquals": {"s3:x-amz-acl": "private"}}, {}, True),
        ({"StringNotEquals": {"s3:x-amz-acl": ["a", "private"]}}, {"s3:x-amz-acl": ("private",)}, False),
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": ("a", "b")}, False),
        ({"StringNotEquals": {"k": "c"}}, {"k": ("a", "b")}, False),
        ({"StringEquals": {"aws:TagKeys": "a"}}, {"aws:tagkeys": ("a",)}, False),
        ({"StringLike": {"aws:PrincipalOrgPaths": "o-a/*"}}, {"aws:principalorgpaths": ("o-a/r-b/",)}, False),
        (
            {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a/*"}},
            {"aws:principalorgpaths": ("o-a/r-b/",)},
            True,
        ),
        ({"StringNotEquals": {"k": "${nobody:knows}"}}, {"k": ("a",)}, True),
        ({"ForAnyValue:StringEqualsIfExists": {"k": "a"}}, {}, False),
        ({"ForAnyValue:StringNotEquals": {"k": ["a", "b"]}}, {"k": ("a", "c")}, True),
        ({"ForAllValues:StringNotLike": {"k": "a*"}}, {"k": ("b", "ab")}, False),
        ({"ArnEquals": {"k": "${aws:principalarn}"}}, {"k": (f"arn:aws:iam::{ACCOUNT}:user/ada",)}, True),
        ({"DateEquals": {"k": "1712010100000"}}, {"k": ("1712010100000",)}, True),
        ({"StringEqualsIgnoreCase": {"k": "ABC"}}, {"k": ("abc",)}, True),
        ({"StringNotEqualsIgnoreCase": {"k": "ABC"}}, {"k": ("abc",)}, False),
        ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, {"s3:prefix": ("home/ada/x",)}, True),
        ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, {"s3:prefix": ("home/bob/x",)}, False),
        ({"StringLike": {"s3:prefix": "home/${nobody:knows}/*"}}, {"s3:prefix": ("home//x",)}, False),
        ({"StringLike": {"k": "${nobody:knows, 'd*'}"}}, {"k": ("dx",)}, False),
        ({"StringNotLike": {"k": "a*"}}, {"k": ("b",)}, True),
        ({"StringEquals": {"AWS:SourceAccount": ACCOUNT}}, {"aws:sourceaccount": (ACCOUNT,)}, True),
        ({"ArnLike": {"k": "arn:aws:cloudtrail:*:1:trail/*"}}, {"k": ("arn:aws:cloudtrail:eu:1:trail/t",)}, True),
        ({"ArnLike": {"k": "arn:aws:*:1:trail/t"}}, {"k": ("arn:aws:cloudtrail:eu:1:trail/t",)}, None),
        ({"ArnEquals": {"k": "arn:aws:s3:::b"}}, {"k": ("arn:aws:s3:::b",)}, True),
        ({"ArnNotEquals": {"k": "arn:aws:s3:::b"}}, {"k": ("arn:aws:s3:::b",)}, False),
        ({"ArnNotLike": {"k": "arn:aws:s3:::*"}}, {"k": ("arn:aws:sns:::b",)}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:securetransport": ("false",)}, True),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws:securetransport": ("false",)}, False),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"Null": {"k": "false"}}, {"k": ("v",)}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ("10.1.2.3",)}, True),
        ({"IpAddress": {"aws:SourceIp": ["2001:db8::/32", "10.0.0.0/8"]}}, {"aws:sourceip": ("11.0.0.1",)}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ("::ffff:10.0.0.1",)}, True),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ("10.1.2.3",)}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": 10}}, {"s3:max-keys": ("10",)}, True),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3:max-keys": ("10",)}, False),
        ({"NumericGreaterThan": {"s3:max-keys": "10"}}, {"s3:max-keys": ("x",)}, False),
        ({"NumericNotEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": ("11",)}, True),
        ({"DateGreaterThan": {"k": "2026-01-01T00:00:00Z"}}, {"k": ("2026-06-01T00:00:00+00:00",)}, True),
        ({"DateLessThan": {"k": "1767225600"}}, {"k": ("2026-06-01T00:00:00Z",)}, False),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ("a", "b")}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ("a", "c")}, False),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}, {"k": ("c", "b")}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}, {}, False),
        ({"StringEquals": {"a": "1", "b": "2"}}, {"a": ("1",), "b": ("3",)}, False),
        ({"StringEquals": {"a": "1"}, "Null": {"b": "true"}}, {"a": ("1",)}, True),
    ],
)
def test_conditions_hold_as_iam_says(
    condition: Any, context: Mapping[str, tuple[str, ...]], holds: bool | None
) -> None:
    """Every operator, qualifier and the absence of keys; None: the policy is refused when it is read."""
    text = document(Condition=condition)
    if holds is None:
        with pytest.raises(ValueError, match="not an ARN"):
            parse(text)
        return
    assert (decide(text, context=context) is Decision.ALLOW) is holds


def test_a_variable_s_value_is_no_pattern() -> None:
    """A user named ``*`` does not reach everybody's folder, and variables are plain text in the old version."""
    star = Principal(PrincipalType.IAM_USER, ACCOUNT, "AIDA9", f"arn:aws:iam::{ACCOUNT}:user/star", user_name="*")
    text = document(Resource="arn:aws:s3:::b/${aws:username}/*")
    assert decide(text, star, resource="arn:aws:s3:::b/ada/x") is Decision.IMPLICIT_DENY
    assert decide(text, star, resource="arn:aws:s3:::b/*/x") is Decision.ALLOW
    assert decide(text, USER, resource="arn:aws:s3:::b/ada/x") is Decision.ALLOW
    old = document(version="2008-10-17", Resource="arn:aws:s3:::b/${aws:username}/*")
    assert decide(old, USER, resource="arn:aws:s3:::b/ada/x") is Decision.IMPLICIT_DENY


def test_what_a_variable_without_value_excludes_is_not_given_away() -> None:
    """NotResource with an unknown variable: an Allow does not apply, a Deny applies to everything."""
    unknown = "arn:aws:s3:::b/${aws:principaltag/team}/*"
    allow = document(Resource=None, NotResource=unknown)
    assert decide(allow) is Decision.IMPLICIT_DENY
    assert decide(allow, context={"aws:principaltag/team": ("x",)}) is Decision.ALLOW
    assert decide(document(Effect="Deny", Resource=None, NotResource=unknown)) is Decision.EXPLICIT_DENY


def test_the_policy_that_cloudtrail_needs_says_what_it_should() -> None:
    """The documented trail policy allows the service's two calls for the trail, and nothing else."""
    trail = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/t"
    write = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": [trail]}}
    resource = f"arn:aws:s3:::b/AWSLogs/{ACCOUNT}/*"
    text = document(
        Principal={"Service": "cloudtrail.amazonaws.com"}, Action="s3:PutObject", Resource=resource, Condition=write
    )
    key = f"arn:aws:s3:::b/AWSLogs/{ACCOUNT}/CloudTrail/x"
    context = {"s3:x-amz-acl": ("bucket-owner-full-control",), "aws:sourcearn": (trail,)}
    assert decide(text, TRAIL_SERVICE, "s3:PutObject", key, context) is Decision.ALLOW
    assert decide(text, TRAIL_SERVICE, "s3:PutObject", key, {**context, "aws:sourcearn": ("x",)}) is not Decision.ALLOW
    assert decide(text, ROOT, "s3:PutObject", key, context) is Decision.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        ("[]", "JSON object"),
        ('{"Statement":[]}', "at least one"),
        ('{"Statement":[1]}', "must be an object"),
        ('{"Version":"2020-01-01","Statement":[]}', "version"),
        ('{"Statement":[],"Extra":1}', "unknown policy element"),
        ('{"Statement":[{"Effect":"Allow","Effect":"Deny"}]}', "twice"),
        ("[" * 15_000, "nested too deeply|not valid JSON"),
        ('{"Statement":NaN}', "NaN"),
        (" " * 21_000, "larger than"),
        (document(Effect="allow"), "Effect"),
        (document(Principal=None), "Principal"),
        (document(Principal={"AWS": "arn:aws:iam::111111111111:user/a*", "x": 1}), "not supported"),
        (document(Principal={"AWS": "bob"}), "invalid principal"),
        (document(Principal={"Federated": "x"}), "not supported"),
        (document(Action=None), "either Action"),
        (document(Action=[]), "string or a list"),
        (document(Action="GetObject"), "invalid action"),
        (document(Resource=None), "either Resource"),
        (document(NotResource="x"), "either Resource"),
        (document(Resource="arn:aws:s3:::b/${aws:username"), "not closed"),
        (document(Condition={"StringSounds": {"a": "b"}}), "unknown condition operator"),
        (document(Condition={"ForEveryone:StringEquals": {"a": "b"}}), "unknown qualifier"),
        (document(Condition={"StringEquals": {}}), "object of condition keys"),
        (document(Condition={"StringEquals": {"a": []}}), "1 to"),
        (document(Condition={"StringEquals": {"a": {"b": 1}}}), "must be strings"),
        (document(Condition={"IpAddress": {"a": "10.0.0.0/99"}}), "CIDR"),
        (document(Condition={"NumericEquals": {"a": "ten"}}), "number"),
        (document(Condition={"Bool": {"a": "yes"}}), "boolean"),
        (document(Condition={"Null": {"a": "yes"}}), "Null"),
        (document(Principal={"AWS": "arn:aws:iam::111111111111:user/a*"}), "invalid principal"),
        (document(Statement=1), "unknown statement element"),
        (document(Sid=1), "Sid"),
    ],
)
def test_what_the_grammar_does_not_know_is_refused(text: str, reason: str) -> None:
    """A policy that could be misread is not stored, and the reason says what is wrong."""
    with pytest.raises(ValueError, match=reason):
        parse(text)

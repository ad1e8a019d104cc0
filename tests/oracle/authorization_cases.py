"""Generated policies and requests for two evaluators: ours, and npm's @cloud-copilot/iam-simulate.

Deterministic: the same seed gives the same cases. Patterns are made from the request and then bent, so that about half
of them match; policies are combined with boundaries, session policies and resource policies for every kind of caller.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opentrail.identity.authorization import (
    NamedPolicy,
    PolicySet,
    ResourcePolicy,
    Verdict,
    assume_verdict,
    authorize,
)
from opentrail.identity.policy import parse, parse_identity, parse_session, parse_trust
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.statements import AccessRequest

HOME, AWAY = "111111111111", "222222222222"
Document = dict[str, Any]
_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_ALL: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

USER = Principal(PrincipalType.IAM_USER, HOME, "AIDA1", f"arn:aws:iam::{HOME}:user/ada", user_name="ada")
ROOT = Principal(PrincipalType.ROOT, HOME, HOME, f"arn:aws:iam::{HOME}:root")
ROLE_ARN = f"arn:aws:iam::{HOME}:role/ops"
SESSION = Principal(
    PrincipalType.ASSUMED_ROLE,
    HOME,
    "AROA1:night",
    f"arn:aws:sts::{HOME}:assumed-role/ops/night",
    session=SessionContext(_NOON, issuer=SessionIssuer("Role", "AROA1", ROLE_ARN, HOME, "ops")),
)
FEDERATED = Principal(
    PrincipalType.FEDERATED_USER,
    HOME,
    f"{HOME}:ada",
    f"arn:aws:sts::{HOME}:federated-user/ada",
    session=SessionContext(_NOON, issuer=SessionIssuer("IAMUser", "AIDA1", USER.arn, HOME, "ada")),
)
SERVICE = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
_CALLERS = [USER] * 6 + [SESSION] * 6 + [FEDERATED] * 3 + [SERVICE, SERVICE, ANONYMOUS, ROOT]

# Action, resource, and whether the resource can have a policy.
_TARGETS = [
    ("s3:GetObject", "arn:aws:s3:::logs/AWSLogs/2026/x.gz"),
    ("s3:PutObject", "arn:aws:s3:::logs/home/ada/notes.txt"),
    ("s3:ListBucket", "arn:aws:s3:::logs"),
    ("sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{HOME}:jobs"),
    ("dynamodb:GetItem", f"arn:aws:dynamodb:us-east-1:{HOME}:table/orders"),
    ("cloudtrail:StopLogging", f"arn:aws:cloudtrail:us-east-1:{HOME}:trail/audit"),
    ("cloudtrail:LookupEvents", "*"),
    ("opsworks-cm:DescribeServers", "*"),
    ("iam:CreateAccessKey", f"arn:aws:iam::{HOME}:user/team/ada"),
    ("sts:AssumeRole", f"arn:aws:iam::{HOME}:role/target"),
]
_WITHOUT_POLICY = ("cloudtrail:", "iam:", "opsworks-cm:")


@dataclass(frozen=True, slots=True)
class Case:
    """One request with everything that decides about it."""

    principal: Principal
    action: str
    resource: str
    owner: str
    context: Mapping[str, str | list[str]]
    identity: list[Document]
    boundary: Document | None
    session: Document | None
    at_resource: Document | None

    @property
    def documents(self) -> list[Document]:
        """Every policy of the case."""
        extra = [self.boundary, self.session, self.at_resource]
        return self.identity + [document for document in extra if document is not None]

    def statements(self) -> list[Document]:
        """Every statement of the case."""
        return [statement for document in self.documents for statement in document["Statement"]]


def cases(count: int, seed: int) -> list[Case]:
    """That many cases."""
    chance = random.Random(seed)
    return [_case(chance) for _ in range(count)]


def ours(case: Case) -> Verdict:
    """What OpenTrail decides."""
    context = {key.lower(): tuple(v) if isinstance(v, list) else (v,) for key, v in case.context.items()}
    request = AccessRequest(case.principal, case.action, case.resource, context)
    named = tuple(NamedPolicy(f"p{n}", parse_identity(json.dumps(d))) for n, d in enumerate(case.identity))
    boundary = NamedPolicy("boundary", parse_identity(json.dumps(case.boundary))) if case.boundary else None
    session = (NamedPolicy("session", parse_session(json.dumps(case.session))),) if case.session else None
    policies = PolicySet(named, boundary, session)
    if case.action == "sts:AssumeRole" and case.at_resource is not None:
        return assume_verdict(request, parse_trust(json.dumps(case.at_resource)), policies, case.owner)
    policy = parse(json.dumps(case.at_resource)) if case.at_resource else None
    return authorize(request, policies, resource=ResourcePolicy(case.owner, policy))


def simulation(case: Case) -> Document:
    """The case as the other evaluator takes it."""
    principal: Any = case.principal.arn or case.principal.service
    found: Document = {
        "request": {
            "principal": {"type": "Anonymous"} if case.principal.is_anonymous else principal,
            "action": case.action,
            "resource": {"resource": case.resource, "accountId": case.owner},
            "contextVariables": case.context,
        },
        "identityPolicies": [{"name": f"p{n}", "policy": d} for n, d in enumerate(case.identity)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [{"orgIdentifier": "root", "policies": []}],
        "additionalSettings": {"s3": {"bucketAbacEnabled": True}},
    }
    if not case.principal.is_anonymous:
        allow_all = {"orgIdentifier": "root", "policies": [{"name": "FullAWSAccess", "policy": _ALL}]}
        found["serviceControlPolicies"] = [allow_all]
    if case.boundary is not None:
        found["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": case.boundary}]
    if case.session is not None:
        found["sessionPolicy"] = case.session
    if case.at_resource is not None:
        found["resourcePolicy"] = case.at_resource
    return found


def _case(chance: random.Random) -> Case:
    principal = chance.choice(_CALLERS)
    action, resource = chance.choice(_TARGETS)
    if principal is ROOT and action == "sts:AssumeRole":
        action, resource = _TARGETS[0]
    owner = HOME if resource == "*" or chance.random() < 0.7 else AWAY
    resource = resource.replace(HOME, owner)
    context = _context(chance, principal, action)
    maker = _Maker(chance, principal, action, resource, context)
    has_policies = bool(principal.account_id)
    identity = [maker.own() for _ in range(chance.randint(0, 2))] if has_policies else []
    if principal is ROOT:
        identity = [_ALL]
    limited = has_policies and principal is not ROOT
    sessions = principal in (SESSION, FEDERATED)
    boundary = maker.own() if limited and chance.random() < 0.25 else None
    session = maker.own() if sessions and chance.random() < (0.9 if principal is FEDERATED else 0.35) else None
    at_resource = None
    if not action.startswith(_WITHOUT_POLICY) and (chance.random() < 0.6 or action == "sts:AssumeRole"):
        at_resource = maker.at_resource()
    return Case(principal, action, resource, owner, context, identity, boundary, session, at_resource)


def _context(chance: random.Random, principal: Principal, action: str) -> dict[str, str | list[str]]:
    possible: dict[str, str | list[str]] = {
        "aws:SourceIp": chance.choice(["10.1.2.3", "203.0.113.9", "2001:db8::7"]),
        "aws:SecureTransport": chance.choice(["true", "false"]),
        "aws:MultiFactorAuthPresent": chance.choice(["true", "false"]),
        "aws:MultiFactorAuthAge": str(chance.choice([0, 59, 3600, 7200])),
        "aws:PrincipalTag/team": chance.choice(["red", "blue", "Red"]),
        "aws:ResourceTag/team": chance.choice(["red", "blue"]),
        "aws:RequestTag/team": chance.choice(["red", "blue"]),
        "aws:TagKeys": chance.choice([["team"], ["team", "cost"], ["other"]]),
        "aws:RequestedRegion": chance.choice(["us-east-1", "eu-west-1"]),
        "aws:CurrentTime": chance.choice(["2026-11-23T12:00:00Z", "2024-02-29T23:59:59Z"]),
        "aws:TokenIssueTime": chance.choice(["2026-11-23T11:00:00Z", "2026-11-23T12:30:00Z"]),
        "aws:UserAgent": chance.choice(["aws-cli/2.31.0", "Boto3/1.44"]),
        "aws:SourceIdentity": chance.choice(["ada", "agent-7"]),
        "aws:SourceArn": chance.choice([f"arn:aws:cloudtrail:us-east-1:{HOME}:trail/audit", "arn:aws:s3:::logs"]),
        "aws:SourceAccount": chance.choice([HOME, AWAY]),
        "aws:PrincipalAccount": principal.account_id or AWAY,
    }
    if principal is USER:
        possible["aws:username"] = "ada"
    if action == "s3:ListBucket":
        possible["s3:prefix"] = chance.choice(["home/ada/", "home/bob/", ""]) or "x"
    return {key: value for key, value in possible.items() if chance.random() < 0.7}


class _Maker:
    """Makes policies that have something to do with one request."""

    def __init__(
        self,
        chance: random.Random,
        principal: Principal,
        action: str,
        resource: str,
        context: Mapping[str, str | list[str]],
    ) -> None:
        self.chance = chance
        self.principal = principal
        self.action = action
        self.resource = resource
        self.context = context

    def own(self) -> Document:
        """An identity, session or boundary policy."""
        if self.chance.random() < 0.15:
            return _ALL
        statements = [self._statement() for _ in range(self.chance.randint(1, 3))]
        return {"Version": "2012-10-17", "Statement": statements}

    def at_resource(self) -> Document:
        """A resource-based policy, or a trust policy."""
        made = []
        for _ in range(self.chance.randint(1, 3)):
            statement = self._statement(trust=self.action == "sts:AssumeRole")
            element = "Principal"
            if statement["Effect"] == "Deny" and self.action != "sts:AssumeRole" and self.chance.random() < 0.25:
                element = "NotPrincipal"
            made.append({**statement, element: self._principal()})
        return {"Version": "2012-10-17", "Statement": made}

    def _statement(self, *, trust: bool = False) -> Document:
        pick = self.chance.random
        statement: Document = {"Effect": "Allow" if pick() < 0.75 else "Deny"}
        actions = [self._action(trust=trust) for _ in range(self.chance.randint(1, 2))]
        statement["Action" if trust or pick() < 0.85 else "NotAction"] = actions if pick() < 0.7 else actions[0]
        if not trust:
            resources = [self._resource() for _ in range(self.chance.randint(1, 2))]
            statement["Resource" if pick() < 0.85 else "NotResource"] = resources if pick() < 0.7 else resources[0]
        if pick() < 0.55:
            conditions: Document = {}
            for _ in range(self.chance.randint(1, 2)):
                operator, key, values = self._condition()
                conditions.setdefault(operator, {})[key] = values
            statement["Condition"] = conditions
        return statement

    def _action(self, *, trust: bool) -> str:
        service, name = self.action.split(":")
        near = [self.action, self.action.lower(), f"{service}:*", f"{service}:{name[:3]}*", f"{service}:*{name[-4:]}"]
        near += [f"{service}:{name[:-1]}?"]
        if trust:
            return self.chance.choice([*near, "sts:TagSession", "sts:*"])
        return self.chance.choice([*near, "*", "s3:*", "iam:Get*", f"{service}:Other*"])

    def _resource(self) -> str:
        if self.resource == "*":
            return self.chance.choice(["*", "*", f"arn:aws:s3:::{self.chance.choice('ab')}"])
        head, tail = self.resource.rsplit(":", 1)
        cut = self.chance.randint(1, len(tail) - 1) if ":" not in tail and len(tail) > 1 else 1
        if "/" in tail and not self.resource.startswith("arn:aws:s3"):
            cut = max(cut, tail.index("/") + 1)  # the type of a resource is never a pattern
        near = [self.resource, "*", f"{head}:{tail[:cut]}*", f"{head}:{tail[:cut]}?{tail[cut + 1 :]}"]
        if self.resource.startswith("arn:aws:s3"):
            near += ["arn:aws:s3:::*", "arn:aws:s3:::logs/*", "arn:aws:s3:::logs/home/${aws:username}/*"]
            near += ["arn:aws:s3:::logs/home/${aws:username, 'nobody'}/*", "arn:aws:s3:::*/AWSLogs/*.gz"]
        else:
            parts = self.resource.split(":", 5)
            near += [":".join([*parts[:3], "*", "*", parts[5]]), ":".join([*parts[:4], AWAY, parts[5]])]
        return self.chance.choice([*near, "arn:aws:s3:::other/*"])

    def _principal(self) -> Any:
        away_user = f"arn:aws:iam::{AWAY}:user/bob"
        near: list[Any] = ["*", {"AWS": "*"}, {"AWS": HOME}, {"AWS": f"arn:aws:iam::{HOME}:root"}, {"AWS": away_user}]
        near += [{"AWS": [USER.arn, AWAY]}, {"AWS": ROLE_ARN}, {"AWS": SESSION.arn}, {"AWS": FEDERATED.arn}]
        near += [{"AWS": f"arn:aws:sts::{HOME}:assumed-role/ops/day"}, {"Service": "cloudtrail.amazonaws.com"}]
        near += [{"AWS": self.principal.arn or "*"}] * 4
        return self.chance.choice(near)

    def _condition(self) -> tuple[str, str, str | Sequence[str]]:
        operator, key, values = self.chance.choice(_CONDITIONS)(self.chance)
        roll = self.chance.random()
        if roll < 0.15 and operator != "Null":
            operator += "IfExists"
        if operator != "Null" and self.chance.random() < (0.9 if key == "aws:TagKeys" else 0.05):
            operator = self.chance.choice(["ForAllValues:", "ForAnyValue:"]) + operator
        key = key.lower() if self.chance.random() < 0.1 else key
        return operator, key, values


_STRINGS = ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"]
_LIKES = ["StringLike", "StringNotLike"]
_ARNS = ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"]
_COMPARE = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
Condition = tuple[str, str, str | Sequence[str]]


def _tag(chance: random.Random) -> Condition:
    key = chance.choice(["aws:PrincipalTag/team", "aws:ResourceTag/team", "aws:RequestTag/team"])
    values = chance.choice(["red", ["red", "blue"], "RED", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/x, 'red'}"])
    return chance.choice(_STRINGS), key, values


def _tag_keys(chance: random.Random) -> Condition:
    return chance.choice(_STRINGS[:2]), "aws:TagKeys", chance.choice(["team", ["team", "cost"], ["x"]])


def _like(chance: random.Random) -> Condition:
    key = chance.choice(["aws:UserAgent", "aws:SourceIdentity", "s3:prefix", "aws:RequestedRegion"])
    values = chance.choice(["aws-cli/*", "*", "home/${aws:username}/*", "us-*-1", ["a*", "B*"], "agent-?", "ada"])
    return chance.choice(_LIKES), key, values


def _arn(chance: random.Random) -> Condition:
    values = chance.choice(
        [
            f"arn:aws:cloudtrail:*:{HOME}:trail/*",
            "arn:aws:s3:::logs",
            ["arn:aws:s3:::x", "arn:aws:cloudtrail:us-*:*:trail/audit"],
            "arn:aws:sns:*:*:*",
        ]
    )
    return chance.choice(_ARNS), "aws:SourceArn", values


def _number(chance: random.Random) -> Condition:
    return f"Numeric{chance.choice(_COMPARE)}", "aws:MultiFactorAuthAge", chance.choice(["59", "3600", ["0", "60"]])


def _date(chance: random.Random) -> Condition:
    key = chance.choice(["aws:CurrentTime", "aws:TokenIssueTime"])
    values = chance.choice(["2026-11-23T12:00:00Z", "2024-02-29T23:59:59Z", "2026-01-01", "1795435200"])
    return f"Date{chance.choice(_COMPARE)}", key, values


def _boolean(chance: random.Random) -> Condition:
    key = chance.choice(["aws:SecureTransport", "aws:MultiFactorAuthPresent"])
    return "Bool", key, chance.choice(["true", "false", "True"])


def _address(chance: random.Random) -> Condition:
    values = chance.choice(["10.0.0.0/8", ["203.0.113.0/24", "2001:db8::/32"], "203.0.113.9", "10.1.2.3/32"])
    return chance.choice(["IpAddress", "NotIpAddress"]), "aws:SourceIp", values


def _null(chance: random.Random) -> Condition:
    key = chance.choice(["aws:MultiFactorAuthPresent", "aws:TokenIssueTime", "aws:PrincipalTag/team", "aws:TagKeys"])
    return "Null", key, chance.choice(["true", "false"])


def _account(chance: random.Random) -> Condition:
    key = chance.choice(["aws:SourceAccount", "aws:PrincipalAccount"])
    return chance.choice(_STRINGS[:2]), key, chance.choice([HOME, AWAY, [HOME, AWAY]])


_CONDITIONS = [_tag, _tag_keys, _like, _arn, _number, _date, _boolean, _address, _null, _account]

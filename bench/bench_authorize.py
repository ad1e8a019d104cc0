"""What it costs to know who calls and that he may, against signing the same request with botocore.

Ours is the whole way of one call by a typical caller: a role session whose request carries a session token. The
Authorization header is read, the token opened, the signature verified, the condition context built, and eleven
statements of four policies (two of the role, its boundary, a session policy) are evaluated, with variables and
conditions. The other side is what the client pays for the same request: one botocore signature with temporary
credentials. Rounds are interleaved and measured in CPU time of this process; the result is the median of the ratios.

    python -m bench.bench_authorize [--check]        --check: exit 1 where ours costs more than the signature
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from statistics import median
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue, Operation
from opentrail.aws.sigv4 import Scope, SigningKey, sign
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.events.call import Call
from opentrail.gateway.admit import Admission, Dialect
from opentrail.gateway.authorise import authorise
from opentrail.identity.authorization import NamedPolicy, PolicySet
from opentrail.identity.context import Values, principal_context
from opentrail.identity.policy import Policy, parse_identity
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.sealing_keys import SealingKeys
from opentrail.identity.session_tokens import SessionTokens
from opentrail.state.database import Database, metadata
from opentrail.state.sealing import Seal

TARGET_RATIO = 1.0
ROUNDS = 15
PASSES = 20
_ACCOUNT, _REGION = "123456789012", "us-east-1"
_KEY_ID, _SECRET = "ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_HOST = "opsworks-cm.us-east-1.amazonaws.com"
_TARGET = "OpsWorksCM_V2016_11_01.DescribeServers"
_BODY = b'{"ServerName":"automate-06"}'


class OneRole:
    """A directory that knows one role with its policies."""

    def __init__(self) -> None:
        self._policies = PolicySet(
            (NamedPolicy("inline:operators", _operators()), NamedPolicy("managed", _guard_rails())),
            NamedPolicy("boundary", _boundary()),
            (NamedPolicy("session", _boundary()),),
        )

    def policies_of(self, _principal: Principal) -> PolicySet:
        """The role's policies and the session's."""
        return self._policies

    def context_of(self, principal: Principal) -> Values:
        """With the role's tags."""
        return principal_context(principal, (("team", "operations"), ("cost-centre", "17")))

    def arn_of(self, _account_id: str, _kind: str, _name: str) -> str | None:
        """No user, group or role is looked up here."""
        return None

    def tags_of_resource(self, _arn: str) -> tuple[tuple[str, str], ...]:
        """Nor are tags."""
        return ()

    def credential(self, _access_key_id: str) -> None:
        """There are no long-term keys."""

    def is_alive(self, _principal: Principal) -> bool:
        """The role exists."""
        return True

    def account_alias(self, _account_id: str) -> str | None:
        """The account has no alias."""
        return None


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that exists before the first request."""

    admission: Admission
    directory: OneRole
    operation: Operation
    token: str
    sample: Sequence[RequestHead]


def prepared(count: int = 64) -> Setup:
    """A session, its token, and that many requests signed with it, a second apart."""
    clock, entropy = SystemClock(), SystemEntropy()
    database = Database(None)
    metadata.create_all(database.engine)
    tokens = SessionTokens(SealingKeys(database, Seal(entropy.token(32), entropy), clock, entropy))
    now = clock.now()
    token = tokens.issue(_session(now), _SECRET)
    directory = OneRole()
    scope = Scope(now.strftime("%Y%m%d"), _REGION, "opsworks-cm")
    heads = [_request(token, scope, now - timedelta(seconds=number)) for number in range(count)]
    operation = Catalogue().service("opsworkscm").operation("DescribeServers")
    same_day = [head for head in heads if head.headers["x-amz-date"][:8] == scope.date]
    return Setup(Admission(directory, tokens, clock, entropy), directory, operation, token, same_day)


def with_opentrail(setup: Setup) -> None:
    """Authenticate and authorise every request."""
    for head in setup.sample:
        claim = setup.admission.claim(head, Dialect.JSON)
        caller = setup.admission.admit(head, claim, sha256(_BODY).hexdigest(), Dialect.JSON)
        call = Call(
            request_id="9f4f2ab0-0000-4000-8000-000000000000",
            received_at=datetime.now(UTC),
            account_id=_ACCOUNT,
            region=_REGION,
            principal=caller.principal,
            event_source="opsworks-cm.amazonaws.com",
            event_name="DescribeServers",
            read_only=True,
            operation=setup.operation,
            parameters={"ServerName": "automate-06"},
            source_ip=head.peer,
            user_agent=head.headers["user-agent"],
        )
        authorise(call, setup.directory)


def with_botocore(setup: Setup) -> None:
    """Sign every request once, as its client did."""
    credentials = Credentials(_KEY_ID, _SECRET, setup.token)
    for head in setup.sample:
        headers = {name: head.headers[name] for name in ("host", "content-type", "x-amz-target", "user-agent")}
        request: Any = AWSRequest(method="POST", url=f"https://{_HOST}/", headers=headers, data=_BODY)
        SigV4Auth(credentials, "opsworks-cm", _REGION).add_auth(request)


def run(*, rounds: int = ROUNDS, passes: int = PASSES, report: Callable[[str], None] | None = None) -> dict[str, float]:
    """Measure; returns the median CPU microseconds per request of both, and ``ratio``, ours divided by botocore's."""
    setup = prepared()
    with_opentrail(setup)
    with_botocore(setup)
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        theirs.append(_cpu_us(lambda: with_botocore(setup), max(passes // 4, 1)) / len(setup.sample))
        ours.append(_cpu_us(lambda: with_opentrail(setup), passes) / len(setup.sample))
        if report is not None:
            ratio = ours[-1] / theirs[-1]
            report(f"round {number + 1}: botocore signs {theirs[-1]:.1f} us, ours {ours[-1]:.1f} us, ratio {ratio:.2f}")
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {"botocore_us": median(theirs), "opentrail_us": median(ours), "ratio": median(ratios)}


def _session(now: datetime) -> Principal:
    role = f"arn:aws:iam::{_ACCOUNT}:role/operators"
    issuer = SessionIssuer("Role", "AROAIOSFODNN7EXAMPLE1", role, _ACCOUNT, "operators")
    return Principal(
        PrincipalType.ASSUMED_ROLE,
        _ACCOUNT,
        "AROAIOSFODNN7EXAMPLE1:night-shift",
        f"arn:aws:sts::{_ACCOUNT}:assumed-role/operators/night-shift",
        _KEY_ID,
        session=SessionContext(
            now,
            issuer=issuer,
            expires_at=now + timedelta(hours=1),
            mfa_at=now,
            source_identity="ada",
            tags=(("team", "operations"), ("run", "2026-11-23-7")),
        ),
    )


def _request(token: str, scope: Scope, signed_at: datetime) -> RequestHead:
    headers = {
        "host": _HOST,
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": _TARGET,
        "x-amz-security-token": token,
    }
    if signed_at.strftime("%Y%m%d") != scope.date:
        return RequestHead("POST", "/", "", {**headers, "x-amz-date": signed_at.strftime("%Y%m%d")})
    added = sign(
        "POST",
        "/",
        "",
        headers,
        key=SigningKey(_SECRET, scope),
        access_key_id=_KEY_ID,
        scope=scope,
        signed_at=signed_at,
        payload_hash=sha256(_BODY).hexdigest(),
    )
    return RequestHead("POST", "/", "", {**headers, **added, "user-agent": "aws-cli/2.31.0 md/awscrt#0.27.6"})


def _policy(*statements: dict[str, Any]) -> Policy:
    return parse_identity(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def _operators() -> Policy:
    servers = f"arn:aws:opsworks-cm:*:{_ACCOUNT}:server/*"
    same_team = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    return _policy(
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::${aws:username}/*"},
        {"Effect": "Allow", "Action": ["cloudtrail:Get*", "cloudtrail:LookupEvents"], "Resource": "*"},
        {"Effect": "Allow", "Action": "opsworks-cm:DeleteServer", "Resource": servers, "Condition": same_team},
        {"Effect": "Allow", "Action": ["opsworks-cm:Describe*", "opsworks-cm:List*"], "Resource": servers},
    )


def _guard_rails() -> Policy:
    inside = {"NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]}}
    return _policy(
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": inside},
        {
            "Effect": "Deny",
            "NotAction": ["iam:*", "sts:*"],
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}},
        },
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}},
        },
    )


def _boundary() -> Policy:
    return _policy(
        {"Effect": "Allow", "Action": ["s3:*", "cloudtrail:*", "opsworks-cm:*"], "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
    )


def _cpu_us(work: Callable[[], None], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times * 1e6


if __name__ == "__main__":
    result = run(report=print)
    print(f"authenticate and authorise: {result['ratio']:.2f} of the CPU of one botocore signature (target < 1.0)")
    if "--check" in sys.argv[1:] and result["ratio"] >= TARGET_RATIO:
        sys.exit(1)

"""STS for tests: real tokens, keys and policies over a directory in memory; calls cross botocore's own wire code."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import botocore.session
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import protocol_of
from opentrail.aws.validate import check
from opentrail.clock import SystemEntropy
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.authorization import NamedPolicy, PolicySet
from opentrail.identity.context import Values, principal_context
from opentrail.identity.directory import Credential, MfaDevice, OidcProvider, Role, SamlProvider
from opentrail.identity.policy import parse_identity
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType
from opentrail.identity.sealing_keys import SealingKeys
from opentrail.identity.session_tokens import SessionTokens
from opentrail.identity.web_identity import VerificationKeys
from opentrail.services.answer import Answer
from opentrail.services.operation import handlers_of
from opentrail.services.sts.denials import DenialMessages
from opentrail.services.sts.parts import Parts
from opentrail.services.sts.service import StsService
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE = "111111111111"
THERE = "222222222222"
STS = Catalogue().service("sts")
ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


class SteeredClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def forward(self, **by: float) -> None:
        """Let time pass, as for ``timedelta``."""
        self.at += timedelta(**by)


@dataclass
class MemoryDirectory:
    """What STS asks the directory, from dictionaries."""

    roles: dict[str, Role] = field(default_factory=dict)
    policies: dict[str, PolicySet] = field(default_factory=dict)  # by the unique id of user or role
    oidc: dict[str, OidcProvider] = field(default_factory=dict)
    saml: dict[str, SamlProvider] = field(default_factory=dict)
    devices: dict[str, MfaDevice] = field(default_factory=dict)
    managed: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Credential] = field(default_factory=dict)

    def has_account(self, account_id: str) -> bool:
        return account_id in (HERE, THERE)

    def credential(self, access_key_id: str) -> Credential | None:
        return self.keys.get(access_key_id)

    def policies_of(self, principal: Principal) -> PolicySet:
        issuer = principal.session.issuer if principal.session else None
        return self.policies.get(issuer.principal_id if issuer else principal.principal_id, PolicySet())

    def role(self, arn: str) -> Role | None:
        return self.roles.get(arn)

    def policy_text(self, account_id: str, arn: str) -> str | None:
        return self.managed.get(arn)

    def oidc_provider(self, arn: str) -> OidcProvider | None:
        return self.oidc.get(arn)

    def saml_provider(self, arn: str) -> SamlProvider | None:
        return self.saml.get(arn)

    def mfa_device(self, serial: str) -> MfaDevice | None:
        return self.devices.get(serial)

    def context_of(self, principal: Principal) -> Values:
        return principal_context(principal)

    def add_role(self, name: str, trust: str, account_id: str = HERE, **facts: Any) -> Role:
        """A role with a trust policy."""
        path = facts.pop("path", "/")
        arn = f"arn:aws:iam::{account_id}:role{path}{name}"
        role = Role(account_id, name, path, f"AROA{account_id[:4]}{name.upper():X<13}"[:21], arn, trust, **facts)
        self.roles[arn] = role
        return role

    def allow(self, principal_id: str, *texts: str) -> None:
        """Give a user or role identity policies."""
        named = tuple(NamedPolicy(f"inline:{number}", parse_identity(text)) for number, text in enumerate(texts))
        self.policies[principal_id] = PolicySet(named)


class NoKeys:
    """Verification keys where no test needs any."""

    def find(self, issuer: str, key_id: str | None) -> list[Any]:
        raise AssertionError("nobody should ask for keys")


class StsWorld:
    """An STS service with a clock that can be moved and a directory that can be filled."""

    def __init__(self, provider_keys: VerificationKeys | None = None) -> None:
        self.clock = SteeredClock()
        self.entropy = SystemEntropy()
        self.directory = MemoryDirectory()
        self.database = Database(None)
        self.database.create_tables()
        seal = Seal(b"k" * 32, self.entropy)
        self.keys = SealingKeys(self.database, seal, self.clock, self.entropy)
        self.tokens = SessionTokens(self.keys)
        self.denials = DenialMessages(self.keys)
        self.parts = Parts(
            directory=self.directory,
            tokens=self.tokens,
            denials=self.denials,
            clock=self.clock,
            entropy=self.entropy,
            provider_keys=provider_keys or NoKeys(),
        )
        self.service = StsService(self.parts)
        self.answer: Answer | None = None  # what the last handler answered, with the facts for its record

    def ask(self, operation: str, who: Principal, **parameters: Any) -> dict[str, Any]:
        """A call, over the wire format and back with botocore's parser. Raises ApiError for refusals."""
        call = self.call(operation, who, **parameters)
        if call.operation is None or call.parameters is None:
            raise AssertionError("a call has both")
        check(call.operation, call.parameters, error_code="ValidationError")
        result = handlers_of(self.service)[operation].method(call, call.parameters)
        self.answer = result if isinstance(result, Answer) else None
        reply = protocol_of(STS).serialise(call.operation, result, "id-1")
        return parsed(operation, reply)

    def call(self, operation: str, who: Principal, **parameters: Any) -> Call:
        """A call whose parameters were serialised by botocore and parsed by us."""
        model = STS.operation(operation)
        body = urlencode(_serialised(operation, parameters)).encode()
        return Call(
            request_id="id-1",
            received_at=self.clock.now(),
            account_id=who.account_id,
            region="us-east-1",
            principal=who,
            event_source="sts.amazonaws.com",
            event_name=operation,
            read_only=True,
            operation=model,
            parameters=protocol_of(STS).parse(model, RequestHead("POST", "/", "", {}), body),
            source_ip="192.0.2.7",
            user_agent="aws-cli/2",
        )

    def session(self, answer: dict[str, Any]) -> Principal:
        """Who calls with the credentials of an answer."""
        credentials = answer["Credentials"]
        opened = self.tokens.open(credentials["SessionToken"], credentials["AccessKeyId"], self.clock.now())
        assert opened.secret_access_key == credentials["SecretAccessKey"]
        return opened.principal

    def assume(self, who: Principal, role: Role, **parameters: Any) -> Principal:
        """The session of a role that a caller assumed."""
        given = {"RoleArn": role.arn, "RoleSessionName": "work"} | parameters
        return self.session(self.ask("AssumeRole", who, **given))


def user(name: str = "alice", account_id: str = HERE) -> Principal:
    """An IAM user with long-term credentials."""
    unique_id = f"AIDA{account_id[:4]}{name.upper():X<13}"[:21]
    arn = f"arn:aws:iam::{account_id}:user/{name}"
    return Principal(PrincipalType.IAM_USER, account_id, unique_id, arn, "AKIAEXAMPLEEXAMPLE00", name)


def root(account_id: str = HERE) -> Principal:
    """An account's root."""
    arn = f"arn:aws:iam::{account_id}:root"
    return Principal(PrincipalType.ROOT, account_id, account_id, arn, "AKIAEXAMPLEEXAMPLE01")


NOBODY = replace(ANONYMOUS)
"""Who calls without a signature."""


def trusting(*principals: str, action: str | list[str] = "sts:AssumeRole", **condition: Any) -> str:
    """A trust policy for AWS principals, or (``Federated:ARN``) for an identity provider."""
    federated = [name.removeprefix("Federated:") for name in principals if name.startswith("Federated:")]
    named = {"Federated": federated} if federated else {"AWS": list(principals)}
    statement = {"Effect": "Allow", "Principal": named, "Action": action} | (
        {"Condition": condition["condition"]} if condition else {}
    )
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def parsed(operation: str, reply: Reply) -> dict[str, Any]:
    """A reply as botocore's parser reads it."""
    model = botocore.session.get_session().get_service_model("sts").operation_model(operation)
    response = {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body}
    found: dict[str, Any] = create_parser("query").parse(response, model.output_shape)
    return found


def error_of(error: ApiError) -> tuple[str, int]:
    """Code and status of a refusal, as botocore's parser reads them from the wire."""
    reply = protocol_of(STS).serialise_error(STS, error, "id-1")
    response = {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body}
    found: dict[str, Any] = create_parser("query").parse(response, None)
    return found["Error"]["Code"], reply.status


def _serialised(operation: str, parameters: dict[str, Any]) -> dict[str, str]:
    model = botocore.session.get_session().get_service_model("sts").operation_model(operation)
    body: dict[str, str] = create_serializer("query", include_validation=False).serialize_to_request(parameters, model)[
        "body"
    ]
    return body

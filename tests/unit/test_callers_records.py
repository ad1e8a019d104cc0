"""Records that depend on who called: delegation, denied roles, copies for other accounts."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.aws.model import Catalogue
from opentrail.events.call import Call, Outcome
from opentrail.events.record import build
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer

ACCOUNT, OTHER = "123456789012", "210987654321"
AT = datetime(2026, 11, 23, 18, 30, 31, tzinfo=UTC)
STS = Catalogue().service("sts")
ROLE_ARN = f"arn:aws:iam::{OTHER}:role/Ops"
ISSUER = SessionIssuer("Role", "AROA1", f"arn:aws:iam::{ACCOUNT}:role/Agents", ACCOUNT, "Agents")
AGENT = Principal(
    PrincipalType.ASSUMED_ROLE,
    ACCOUNT,
    "AROA1:bot",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/Agents/bot",
    "ASIA1",
    session=SessionContext(AT, issuer=ISSUER, tags=(("agent", "deployer"), ("run", "r-17"), ("team", "x"))),
)
CREDENTIALS = {
    "AccessKeyId": "ASIA2",
    "SecretAccessKey": "the-secret-access-key",
    "SessionToken": "the-session-token",
    "Expiration": AT,
}


def _call(name: str, parameters: dict[str, Any], principal: Principal = AGENT) -> Call:
    return Call(
        request_id="r-1",
        received_at=AT,
        account_id=principal.account_id,
        region="us-east-1",
        principal=principal,
        event_source=STS.event_source,
        event_name=name,
        read_only=name.startswith("Assume"),
        operation=STS.operation(name),
        parameters=parameters,
    )


def _record(call: Call, outcome: Outcome, recipient: str = ACCOUNT) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(build(call, outcome, event_id="e", recipient_account_id=recipient))
    return found


ASSUME = {"RoleArn": ROLE_ARN, "RoleSessionName": "night", "DurationSeconds": 900}


def test_delegation_stands_in_the_callers_copy_only() -> None:
    """The caller's tags are told to its own account, beside what the service adds; others do not see them."""
    outcome = Outcome(completed_at=AT, additional_event_data={"explicitTrustGrant": True})
    call = _call("AssumeRole", ASSUME)
    assert _record(call, outcome)["additionalEventData"] == {
        "explicitTrustGrant": True,
        "delegation": {"agent": "deployer", "run": "r-17"},
    }
    assert _record(call, outcome, OTHER)["additionalEventData"] == {"explicitTrustGrant": True}


def test_a_denied_assume_role_shows_no_parameters() -> None:
    """AccessDenied: requestParameters null. Other refusals of AssumeRole show what was asked for."""
    call = _call("AssumeRole", ASSUME)
    denied = _record(call, Outcome(completed_at=AT, error_code="AccessDenied", error_message="no"))
    assert denied["requestParameters"] is None
    invalid = _record(call, Outcome(completed_at=AT, error_code="ValidationError", error_message="no"))
    assert invalid["requestParameters"]["roleArn"] == ROLE_ARN
    policy = _call("GetFederationToken", {"Name": "bob"})
    other = _record(policy, Outcome(completed_at=AT, error_code="AccessDenied", error_message="no"))
    assert other["requestParameters"] == {"name": "bob"}


@pytest.mark.parametrize("name", ["AssumeRole", "GetSessionToken", "GetFederationToken"])
def test_neither_secret_nor_session_token_is_ever_shown(name: str) -> None:
    """The response shows the key id and the expiration; the secret is dropped, the token hidden (unlike AWS's)."""
    requests: dict[str, dict[str, Any]] = {"AssumeRole": ASSUME, "GetFederationToken": {"Name": "bob"}}
    call = _call(name, requests.get(name, {}))
    text = json.dumps(_record(call, Outcome(completed_at=AT, response={"Credentials": CREDENTIALS})))
    assert "ASIA2" in text
    assert "the-secret-access-key" not in text
    assert "the-session-token" not in text


def test_the_roles_account_sees_an_account_and_the_response() -> None:
    """Cross-account AssumeRole: AWSAccount with id and account, the same request and response."""
    call = _call("AssumeRole", ASSUME)
    outcome = Outcome(completed_at=AT, response={"Credentials": CREDENTIALS})
    found = _record(call, outcome, OTHER)
    assert found["userIdentity"] == {"type": "AWSAccount", "principalId": "AROA1:bot", "accountId": ACCOUNT}
    assert found["recipientAccountId"] == OTHER
    assert found["responseElements"]["credentials"]["accessKeyId"] == "ASIA2"
    assert found["requestParameters"]["roleArn"] == ROLE_ARN


def test_a_web_identity_is_shown_as_such_in_the_roles_account() -> None:
    """The record in the role's account names the provider's user, who has no account."""
    user = Principal(PrincipalType.WEB_IDENTITY_USER, "", "i:a:u1", user_name="u1", identity_provider="i")
    call = replace(
        _call("AssumeRoleWithWebIdentity", {"RoleArn": ROLE_ARN, "WebIdentityToken": "tok-tok"}), principal=user
    )
    found = _record(call, Outcome(completed_at=AT), OTHER)
    assert found["userIdentity"]["type"] == "WebIdentityUser"
    assert "sharedEventID" not in found
    assert "tok-tok" not in json.dumps(found)

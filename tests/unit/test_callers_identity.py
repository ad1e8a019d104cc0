"""What a record says about its caller: every type of userIdentity and each part of it (cloudtrail fact sheet 2)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.events.delegation import delegation
from opentrail.events.user_identity import as_other_account, service_identity, user_identity
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType, SessionContext, SessionIssuer

ACCOUNT = "123456789012"
AT = datetime(2026, 11, 23, 18, 30, 31, 987_654, UTC)
STAMP = "2026-11-23T18:30:31Z"
ROLE = SessionIssuer("Role", "AROAEXAMPLE", f"arn:aws:iam::{ACCOUNT}:role/path/Ops", ACCOUNT, "Ops")
USER_ISSUER = SessionIssuer("IAMUser", "AIDAEXAMPLE", f"arn:aws:iam::{ACCOUNT}:user/ada", ACCOUNT, "ada")
ROOT_ISSUER = SessionIssuer("Root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "")
ASSUMED = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/night"
ROLE_ELEMENT = {
    "type": "Role",
    "principalId": "AROAEXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:role/path/Ops",
    "accountId": ACCOUNT,
    "userName": "Ops",
}
PLAIN = {"creationDate": STAMP, "mfaAuthenticated": "false"}
WITH_MFA = {"creationDate": STAMP, "mfaAuthenticated": "true"}


def _assumed(**session: Any) -> Principal:
    context = SessionContext(AT, **{"issuer": ROLE, **session})
    return Principal(PrincipalType.ASSUMED_ROLE, ACCOUNT, "AROAEXAMPLE:night", ASSUMED, "ASIAEXAMPLE", session=context)


def _context(issuer: dict[str, str], attributes: dict[str, str], **more: Any) -> dict[str, Any]:
    web = more.pop("web", {})
    shown = {"webIdFederationData": web} if web or issuer.get("type") != "Role" else {}
    return {"sessionIssuer": issuer, **shown, "attributes": attributes, **more}


OIDC = f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp.example.org"
FACTS = (("idp.example.org:aud", "app"), ("idp.example.org:sub", "u1"))
ASSUMED_KEYS = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:night",
    "arn": ASSUMED,
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAEXAMPLE",
}

CASES: dict[str, tuple[Principal, dict[str, Any]]] = {
    "root": (
        Principal(PrincipalType.ROOT, ACCOUNT, ACCOUNT, ROOT_ISSUER.arn, "AKIA"),
        {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": ROOT_ISSUER.arn,
            "accountId": ACCOUNT,
            "accessKeyId": "AKIA",
        },
    ),
    "root of an account with an alias": (
        Principal(PrincipalType.ROOT, ACCOUNT, ACCOUNT, ROOT_ISSUER.arn, "AKIA", "acme"),
        {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": ROOT_ISSUER.arn,
            "accountId": ACCOUNT,
            "accessKeyId": "AKIA",
            "userName": "acme",
        },
    ),
    "root session": (
        Principal(PrincipalType.ROOT, ACCOUNT, ACCOUNT, ROOT_ISSUER.arn, "ASIA", session=SessionContext(AT)),
        {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": ROOT_ISSUER.arn,
            "accountId": ACCOUNT,
            "accessKeyId": "ASIA",
            "sessionContext": _context({}, PLAIN),
        },
    ),
    "user session with MFA": (
        Principal(
            PrincipalType.IAM_USER,
            ACCOUNT,
            "AIDAEXAMPLE",
            USER_ISSUER.arn,
            "ASIA",
            "ada",
            SessionContext(AT, mfa_at=AT),
        ),
        {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLE",
            "arn": USER_ISSUER.arn,
            "accountId": ACCOUNT,
            "accessKeyId": "ASIA",
            "userName": "ada",
            "sessionContext": _context({}, WITH_MFA),
        },
    ),
    "assumed role": (_assumed(), ASSUMED_KEYS | {"sessionContext": _context(ROLE_ELEMENT, PLAIN)}),
    "assumed role with a source identity": (
        _assumed(source_identity="ada"),
        ASSUMED_KEYS | {"sessionContext": _context(ROLE_ELEMENT, PLAIN, sourceIdentity="ada")},
    ),
    "assumed role through OIDC": (
        _assumed(provider=OIDC, provider_attributes=FACTS),
        ASSUMED_KEYS
        | {"sessionContext": _context(ROLE_ELEMENT, PLAIN, web={"federatedProvider": OIDC, "attributes": dict(FACTS)})},
    ),
    "assumed role through SAML": (
        _assumed(provider=f"arn:aws:iam::{ACCOUNT}:saml-provider/corp", provider_attributes=(("sub", "u1"),)),
        ASSUMED_KEYS | {"sessionContext": _context(ROLE_ELEMENT, PLAIN)},
    ),
    "service that uses a role": (
        replace(_assumed(), access_key_id="", service="opsworks-cm.amazonaws.com"),
        {key: value for key, value in ASSUMED_KEYS.items() if key != "accessKeyId"}
        | {"sessionContext": _context(ROLE_ELEMENT, PLAIN), "invokedBy": "opsworks-cm.amazonaws.com"},
    ),
    "federated user of a root": (
        Principal(
            PrincipalType.FEDERATED_USER,
            ACCOUNT,
            f"{ACCOUNT}:bob",
            f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
            "ASIA",
            session=SessionContext(AT, issuer=ROOT_ISSUER),
        ),
        {
            "type": "FederatedUser",
            "principalId": f"{ACCOUNT}:bob",
            "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
            "accountId": ACCOUNT,
            "accessKeyId": "ASIA",
            "sessionContext": _context(
                {"type": "Root", "principalId": ACCOUNT, "arn": ROOT_ISSUER.arn, "accountId": ACCOUNT}, PLAIN
            ),
        },
    ),
    "SAML user": (
        Principal(PrincipalType.SAML_USER, ACCOUNT, "q:u1", "x", user_name="u1", identity_provider="q"),
        {"type": "SAMLUser", "principalId": "q:u1", "userName": "u1", "identityProvider": "q"},
    ),
    "web identity user": (
        Principal(PrincipalType.WEB_IDENTITY_USER, "", "i:a:u1", user_name="u1", identity_provider=OIDC),
        {"type": "WebIdentityUser", "principalId": "i:a:u1", "userName": "u1", "identityProvider": OIDC},
    ),
    "identity centre user": (
        Principal(
            PrincipalType.IDENTITY_CENTER_USER, ACCOUNT, "u-1", "arn:aws:identitystore::1:identitystore/d-1", "cred-1"
        ),
        {
            "type": "IdentityCenterUser",
            "accountId": ACCOUNT,
            "onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn:aws:identitystore::1:identitystore/d-1"},
            "credentialId": "cred-1",
        },
    ),
    "service": (
        Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com"),
        {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"},
    ),
    "other account": (
        Principal(PrincipalType.AWS_ACCOUNT, ACCOUNT, "AIDAEXAMPLE", "x", "AKIA"),
        {"type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": ACCOUNT},
    ),
    "anonymous": (ANONYMOUS, {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}),
    "unproven key": (
        Principal(PrincipalType.UNKNOWN, ACCOUNT, "AIDAEXAMPLE", "x", "AKIA"),
        {"type": "Unknown", "principalId": "AIDAEXAMPLE", "accountId": ACCOUNT, "accessKeyId": "AKIA"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_type_has_exactly_its_keys_in_their_order(name: str) -> None:
    """Keys, values and their order are those of the table; nothing else of the principal is shown."""
    principal, expected = CASES[name]
    found = user_identity(principal)
    assert list(found.items()) == list(expected.items())
    if "sessionContext" in expected:
        assert list(found["sessionContext"]) == list(expected["sessionContext"])


def test_every_type_has_a_case() -> None:
    """No type of principal is left untried."""
    assert {principal.type for principal, _ in CASES.values()} == set(PrincipalType)


@pytest.mark.parametrize("name", ["SAML user", "web identity user", "service"])
def test_whoever_belongs_to_no_account_is_shown_as_himself_everywhere(name: str) -> None:
    """The role's account sees the SAMLUser, not an AWSAccount without a number."""
    principal, expected = CASES[name]
    assert as_other_account(principal) == expected


def test_another_account_sees_no_more_than_id_and_account() -> None:
    """Session, key, ARN and tags of a caller stay in the caller's account."""
    assert as_other_account(_assumed(source_identity="ada")) == {
        "type": "AWSAccount",
        "principalId": "AROAEXAMPLE:night",
        "accountId": ACCOUNT,
    }


def test_service_events_have_an_identity_without_type() -> None:
    """accountId and invokedBy, nothing else."""
    assert service_identity(ACCOUNT, "AWS Internal") == {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}


def test_long_texts_are_cut_at_one_kilobyte() -> None:
    """A session name or an attribute that somebody chose cannot make a record grow."""
    found = user_identity(
        _assumed(source_identity="é" * 4000, provider="p" * 4000, provider_attributes=(("k", "v" * 4000),))
    )
    context = found["sessionContext"]
    assert len(context["sourceIdentity"].encode()) <= 1024
    assert len(context["webIdFederationData"]["federatedProvider"]) <= 1024
    assert len(context["webIdFederationData"]["attributes"]["k"]) <= 1024


def test_delegation_names_agent_run_and_person() -> None:
    """The three tags are carried whatever their case, in one order; other tags and empty values are not."""
    tags = (("Run", "r-17"), ("team", "x"), ("agent", "deployer"), ("on-behalf-of", "ada@example.org"))
    found = delegation(_assumed(tags=tags))
    assert list(found.items()) == [("agent", "deployer"), ("run", "r-17"), ("on-behalf-of", "ada@example.org")]
    assert delegation(_assumed(tags=(("agent", ""), ("team", "x")))) == {}
    assert delegation(ANONYMOUS) == {}

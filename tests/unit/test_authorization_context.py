"""Condition keys: what is there for which caller, and what is absent on purpose."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from opentrail.identity.context import (
    RequestFacts,
    principal_context,
    request_context,
    request_tag_context,
    resource_tag_context,
    session_age,
    sts_context,
    tag_keys,
    tag_pairs,
)
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType, SessionContext, SessionIssuer

HOME = "111111111111"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
USER = Principal(PrincipalType.IAM_USER, HOME, "AIDA1", f"arn:aws:iam::{HOME}:user/ada", user_name="ada")
ROLE_ARN = f"arn:aws:iam::{HOME}:role/ops"
SESSION = Principal(
    PrincipalType.ASSUMED_ROLE,
    HOME,
    "AROA1:night",
    f"arn:aws:sts::{HOME}:assumed-role/ops/night",
    session=SessionContext(
        NOON,
        issuer=SessionIssuer("Role", "AROA1", ROLE_ARN, HOME, "ops"),
        mfa_at=NOON - timedelta(seconds=90),
        source_identity="ada",
        provider="id.example.org",
        tags=(("Team", "red"),),
    ),
)


def test_long_term_keys_have_no_mfa_keys() -> None:
    """A policy can tell 'no MFA' from 'cannot have MFA': the keys are absent, not false."""
    found = principal_context(USER, {"Team": "blue"})
    assert found == {
        "aws:principalaccount": (HOME,),
        "aws:principalarn": (USER.arn,),
        "aws:userid": ("AIDA1",),
        "aws:username": ("ada",),
        "aws:principaltype": ("User",),
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
        "aws:principaltag/team": ("blue",),
    }
    assert session_age(USER, NOON) == {}


def test_sessions_say_when_how_and_for_whom_they_were_made() -> None:
    """The role's ARN is the principal's, session tags go before the role's, times are in UTC."""
    found = principal_context(SESSION, [("team", "blue"), ("cost", "7")])
    assert found["aws:principalarn"] == (ROLE_ARN,)
    assert found["aws:principaltype"] == ("AssumedRole",)
    assert found["aws:userid"] == ("AROA1:night",)
    assert found["aws:tokenissuetime"] == ("2026-11-23T12:00:00Z",)
    assert found["aws:multifactorauthpresent"] == ("true",)
    assert found["aws:sourceidentity"] == ("ada",)
    assert found["aws:federatedprovider"] == ("id.example.org",)
    assert (found["aws:principaltag/team"], found["aws:principaltag/cost"]) == (("red",), ("7",))
    assert "aws:username" not in found
    assert session_age(SESSION, NOON) == {"aws:multifactorauthage": ("90",)}
    plain = replace(SESSION, session=SessionContext(NOON))
    assert principal_context(plain)["aws:multifactorauthpresent"] == ("false",)


def test_services_and_nobody_are_told_apart() -> None:
    """A service has its name; a call that a service makes for somebody says so; nobody has next to nothing."""
    service = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
    assert principal_context(service)["aws:principalservicename"] == ("cloudtrail.amazonaws.com",)
    forwarded = principal_context(replace(USER, service="opsworks-cm.amazonaws.com"))
    assert forwarded["aws:viaawsservice"] == ("true",)
    assert "aws:principalservicename" not in forwarded
    assert principal_context(ANONYMOUS) == {
        "aws:principaltype": ("Anonymous",),
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
    }


def test_request_facts() -> None:
    """Where from, when, how; unknown facts are absent."""
    local = NOON.astimezone(timezone(timedelta(hours=2)))
    found = request_context(RequestFacts(at=local, source_ip="10.0.0.1", secure=True, region="eu-west-1"))
    assert found == {
        "aws:currenttime": ("2026-11-23T12:00:00Z",),
        "aws:epochtime": ("1795435200",),
        "aws:securetransport": ("true",),
        "aws:sourceip": ("10.0.0.1",),
        "aws:requestedregion": ("eu-west-1",),
    }


@pytest.mark.parametrize(
    "raw",
    [
        [{"Key": "Team", "Value": "red"}, {"Key": "bare"}],
        [{"key": "Team", "value": "red"}, {"key": "bare"}],
        [{"TagKey": "Team", "TagValue": "red"}, {"TagKey": "bare", "TagValue": None}],
        {"Team": "red", "bare": ""},
        {"Items": [{"Key": "Team", "Value": "red"}, {"Key": "bare"}]},
    ],
)
def test_tags_are_read_in_every_form_that_services_take_them_in(raw: Any) -> None:
    """Lists of objects, KMS's names, the maps of SQS and Lambda, CloudFront's items."""
    assert list(tag_pairs(raw)) == [("Team", "red"), ("bare", "")]


def test_what_is_no_tag_is_none_and_breaks_nothing() -> None:
    """Requests to services behind us are not validated: whatever stands there must not stop the decision."""
    for raw in (
        None,
        "text",
        7,
        ["text", 7, {}, {"Value": "v"}, {"Key": 7}, {"Key": "k", "Value": {}}],
        {"Items": [None]},
    ):
        assert list(tag_pairs(raw)) == []
    assert list(tag_pairs({"Items": "a tag", "list": []})) == [("Items", "a tag")]
    assert tag_keys(["a", 7]) == tag_keys({"Items": ["a", None]}) == ("a",)
    assert tag_keys(None) == tag_keys("text") == tag_keys({}) == ()


def test_tags_of_requests_and_resources() -> None:
    """Given tags have values, taken ones only keys; a service has its own prefix for its resources' tags."""
    given = list(tag_pairs([{"Key": "Team", "Value": "red"}, {"Key": "bare"}]))
    found = request_tag_context(given, ["old"])
    assert found["aws:requesttag/team"] == ("red",)
    assert found["aws:tagkeys"] == ("Team", "bare", "old")
    assert request_tag_context(()) == {}
    assert resource_tag_context([("Team", "red")], "opsworks-cm") == {
        "aws:resourcetag/team": ("red",),
        "opsworks-cm:resourcetag/team": ("red",),
    }


def test_sts_keys() -> None:
    """What a role's trust policy may ask for; a source identity that the caller has sticks."""
    found = sts_context(
        {"ExternalId": "x", "RoleSessionName": "s", "DurationSeconds": 900, "TransitiveTagKeys": ["a", "b"]}, "ada"
    )
    assert found == {
        "sts:externalid": ("x",),
        "sts:rolesessionname": ("s",),
        "sts:sourceidentity": ("ada",),
        "sts:durationseconds": ("900",),
        "sts:transitivetagkeys": ("a", "b"),
    }
    assert sts_context({"SourceIdentity": "eve"}, "ada")["sts:sourceidentity"] == ("eve",)

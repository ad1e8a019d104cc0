"""AssumeRole: who gets which role, for how long, with what; every call crosses the wire both ways."""

import json
from datetime import timedelta
from typing import Any

import pytest

from opentrail.errors import ApiError
from opentrail.identity.directory import MfaDevice, Role
from opentrail.identity.iam_mfa import code_of, step_of
from opentrail.identity.principal import Principal, PrincipalType
from tests.support.sts_world import ALLOW_ALL, HERE, NOON, THERE, StsWorld, error_of, root, trusting, user

ALICE = user()
SEED = b"s" * 40
DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
TAGGING = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


@pytest.fixture
def world() -> StsWorld:
    """An STS with nobody in it."""
    return StsWorld()


def refused(world: StsWorld, who: Principal, role: Role | str, **parameters: Any) -> ApiError:
    """The refusal of an attempt to assume a role."""
    arn = role if isinstance(role, str) else role.arn
    with pytest.raises(ApiError) as caught:
        world.ask("AssumeRole", who, **({"RoleArn": arn, "RoleSessionName": "work"} | parameters))
    return caught.value


def tags(**pairs: str) -> list[dict[str, str]]:
    """Session tags as a request has them."""
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def chain(world: StsWorld, **first: Any) -> tuple[Principal, Role]:
    """A session of role A, and a role B that it may assume."""
    role_a = world.directory.add_role("a", trusting(ALICE.arn, action=TAGGING), path="/ops/")
    session = world.assume(ALICE, role_a, **first)
    role_b = world.directory.add_role("b", trusting(role_a.arn, action=TAGGING), max_session_s=43_200)
    return session, role_b


def test_a_role_that_names_the_user_gives_him_a_session(world: StsWorld) -> None:
    """The answer and the session are AWS's: names, ids, an hour, and the role in the record."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn), path="/ops/")
    answer = world.ask("AssumeRole", ALICE, RoleArn=role.arn, RoleSessionName="work")
    arn = f"arn:aws:sts::{HERE}:assumed-role/deploy/work"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role.role_id}:work", "Arn": arn}
    assert answer["Credentials"]["Expiration"] == NOON + timedelta(hours=1)
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert set(answer) == {"AssumedRoleUser", "Credentials", "ResponseMetadata"}
    session = world.session(answer)
    assert session.type is PrincipalType.ASSUMED_ROLE
    assert (session.arn, session.account_id, session.user_name) == (arn, HERE, "")
    assert session.session is not None
    assert session.session.issuer is not None
    assert session.session.issuer.arn == role.arn
    assert session.session.issuer.user_name == "deploy"
    assert not session.session.mfa_authenticated
    assert world.answer is not None
    assert world.answer.also_for == ()
    assert world.answer.caller is None
    assert list(world.answer.resources[0].items()) == [
        ("accountId", HERE),
        ("type", "AWS::IAM::Role"),
        ("ARN", role.arn),
    ]


def test_a_role_that_names_the_account_needs_the_user_s_own_policy(world: StsWorld) -> None:
    """Naming the account delegates to its identity policies."""
    role = world.directory.add_role("deploy", trusting(f"arn:aws:iam::{HERE}:root"))
    assert error_of(refused(world, ALICE, role)) == ("AccessDenied", 403)
    world.directory.allow(ALICE.principal_id, ALLOW_ALL)
    world.assume(ALICE, role)


def test_another_account_s_role_needs_both_sides_and_gives_it_a_copy(world: StsWorld) -> None:
    """Across accounts the trust policy alone is not enough; the role's account sees the call."""
    role = world.directory.add_role("audit", trusting(ALICE.arn), account_id=THERE)
    assert error_of(refused(world, ALICE, role)) == ("AccessDenied", 403)
    world.directory.allow(ALICE.principal_id, ALLOW_ALL)
    assert world.assume(ALICE, role).account_id == THERE
    assert world.answer is not None
    assert world.answer.also_for == (THERE,)


def test_an_unknown_role_is_denied_in_the_words_of_a_known_one(world: StsWorld) -> None:
    """The refusal does not tell which roles exist."""
    role = world.directory.add_role("deploy", trusting("*", condition={"Bool": {"aws:SecureTransport": "true"}}))
    world.directory.allow(ALICE.principal_id, ALLOW_ALL)
    known, unknown = refused(world, ALICE, role), refused(world, ALICE, f"arn:aws:iam::{HERE}:role/missing")
    assert known.message.replace("deploy", "X") == unknown.message.replace("missing", "X")
    assert known.message == (f"User: {ALICE.arn} is not authorized to perform: sts:AssumeRole on resource: {role.arn}")
    assert error_of(refused(world, ALICE, "arn:aws:s3:::some-bucket-name"))[0] == "ValidationError"


def test_an_explicit_deny_wins_over_trust(world: StsWorld) -> None:
    """Even where the trust policy names the user."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    world.directory.allow(ALICE.principal_id, DENY_ALL)
    assert error_of(refused(world, ALICE, role)) == ("AccessDenied", 403)


def test_root_and_federated_users_assume_no_roles(world: StsWorld) -> None:
    """As on AWS, whatever the trust policy says."""
    role = world.directory.add_role("deploy", trusting("*"))
    assert refused(world, root(), role).message == "Roles may not be assumed by root accounts."
    federated = world.session(world.ask("GetFederationToken", ALICE, Name="bob"))
    assert error_of(refused(world, federated, role)) == ("AccessDenied", 403)


def test_an_external_id_must_be_the_one_that_is_asked_for(world: StsWorld) -> None:
    """The condition sts:ExternalId."""
    condition = {"StringEquals": {"sts:ExternalId": "secret-42"}}
    role = world.directory.add_role("vendor", trusting(ALICE.arn, condition=condition))
    refused(world, ALICE, role)
    refused(world, ALICE, role, ExternalId="secret-43")
    world.assume(ALICE, role, ExternalId="secret-42")


@pytest.mark.parametrize("name", ["x", "a b", "a" * 65, "a/b"])
def test_a_session_name_has_a_pattern(world: StsWorld, name: str) -> None:
    """Names become part of ARNs."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    assert error_of(refused(world, ALICE, role, RoleSessionName=name))[0] == "ValidationError"


def test_durations_are_bounded_by_the_role(world: StsWorld) -> None:
    """From a quarter of an hour to the role's own maximum, in AWS's words."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn), max_session_s=7200)
    session = world.assume(ALICE, role, DurationSeconds=7200).session
    assert session is not None
    assert session.expires_at == NOON + timedelta(hours=2)
    error = refused(world, ALICE, role, DurationSeconds=7201)
    assert error.code == "ValidationError"
    assert error.message == "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    for outside, word in ((899, "greater than or equal to 900"), (43_201, "less than or equal to 43200")):
        error = refused(world, ALICE, role, DurationSeconds=outside)
        assert f"Value '{outside}' at 'durationSeconds'" in error.message
        assert word in error.message


def test_a_stranger_does_not_learn_a_role_s_longest_session(world: StsWorld) -> None:
    """Trust is asked before the duration."""
    role = world.directory.add_role("deploy", trusting(user("bob").arn))
    assert error_of(refused(world, ALICE, role, DurationSeconds=43_200)) == ("AccessDenied", 403)


def test_chained_roles_get_an_hour_at_most(world: StsWorld) -> None:
    """However long the role's own maximum is."""
    session, role_b = chain(world)
    error = refused(world, session, role_b, DurationSeconds=3601)
    assert error.message == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    )
    world.assume(session, role_b, DurationSeconds=3600)


def test_tags_need_a_permission_of_their_own(world: StsWorld) -> None:
    """sts:TagSession, in the trust policy."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    error = refused(world, ALICE, role, Tags=tags(agent="codex"))
    assert error.message.startswith(f"User: {ALICE.arn} is not authorized to perform: sts:TagSession on resource: ")
    role = world.directory.add_role("tagged", trusting(ALICE.arn, action=["sts:AssumeRole", "sts:TagSession"]))
    session = world.assume(ALICE, role, Tags=tags(agent="codex", run="42")).session
    assert session is not None
    assert session.tags == (("agent", "codex"), ("run", "42"))


def test_trust_policies_see_the_tags(world: StsWorld) -> None:
    """aws:RequestTag and aws:TagKeys are those of the request."""
    condition = {
        "StringEquals": {"aws:RequestTag/agent": "codex"},
        "ForAllValues:StringEquals": {"aws:TagKeys": "agent"},
    }
    role = world.directory.add_role("deploy", trusting(ALICE.arn, action=TAGGING, condition=condition))
    refused(world, ALICE, role)
    refused(world, ALICE, role, Tags=tags(agent="other"))
    refused(world, ALICE, role, Tags=tags(agent="codex", run="1"))
    world.assume(ALICE, role, Tags=tags(agent="codex"))


def test_transitive_tags_go_on_and_cannot_be_changed(world: StsWorld) -> None:
    """The others stay behind."""
    session, role_b = chain(world, Tags=tags(agent="codex", run="42"), TransitiveTagKeys=["agent"])
    next_session = world.assume(session, role_b, Tags=tags(team="blue")).session
    assert next_session is not None
    assert next_session.tags == (("agent", "codex"), ("team", "blue"))
    assert next_session.transitive_tag_keys == ("agent",)
    assert error_of(refused(world, session, role_b, Tags=tags(AGENT="human"))) == ("ValidationError", 400)


@pytest.mark.parametrize(
    "parameters",
    [
        {"Tags": tags(a="1", A="2")},
        {"Tags": tags(**{"aws:x": "1"})},
        {"Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]},
        {"Tags": tags(a="1"), "TransitiveTagKeys": ["b"]},
        {"Tags": [{"Key": "k" * 129, "Value": ""}]},
        {"Tags": [{"Key": "k", "Value": "v" * 257}]},
        {
            "ProvidedContexts": [
                {"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": "x" * 9}
            ]
        },
    ],
)
def test_what_cannot_be_in_a_session_is_refused(world: StsWorld, parameters: dict[str, Any]) -> None:
    """ValidationError, before anybody is asked."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn, action=TAGGING))
    assert error_of(refused(world, ALICE, role, **parameters)) == ("ValidationError", 400)


def test_a_source_identity_sticks(world: StsWorld) -> None:
    """It is set once, with a permission, and seen by every later role."""
    session, role_b = chain(world, SourceIdentity="alice@example.com")
    answer = world.ask("AssumeRole", session, RoleArn=role_b.arn, RoleSessionName="work")
    assert answer["SourceIdentity"] == "alice@example.com"
    error = refused(world, session, role_b, SourceIdentity="mallory")
    assert error_of(error) == ("ValidationError", 400)
    plain = world.directory.add_role("plain", trusting(role_b.arn, f"arn:aws:iam::{HERE}:role/ops/a"))
    error = refused(world, session, plain)
    assert "sts:SetSourceIdentity" in error.message
    only = {"StringEquals": {"sts:SourceIdentity": "alice@example.com"}}
    picky = world.directory.add_role(
        "picky", trusting(f"arn:aws:iam::{HERE}:role/ops/a", action=TAGGING, condition=only)
    )
    world.assume(session, picky)


def test_session_policies_travel_with_the_session(world: StsWorld) -> None:
    """Inline and managed ones, and how much of the space they take."""
    arn = f"arn:aws:iam::{HERE}:policy/readers"
    world.directory.managed[arn] = ALLOW_ALL
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    given = {"Policy": ALLOW_ALL, "PolicyArns": [{"arn": arn}]}
    answer = world.ask("AssumeRole", ALICE, RoleArn=role.arn, RoleSessionName="work", **given)
    assert 1 <= answer["PackedPolicySize"] <= 20
    session = world.session(answer).session
    assert session is not None
    assert (session.policies, session.policy_arns) == ((ALLOW_ALL,), (arn,))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
        ({"Policy": "not json"}, "MalformedPolicyDocument"),
        ({"Policy": ALLOW_ALL.ljust(2049)}, "ValidationError"),
        ({"PolicyArns": [{"arn": f"arn:aws:iam::{HERE}:policy/missing"}]}, "ValidationError"),
        ({"PolicyArns": [{"arn": f"arn:aws:iam::{THERE}:policy/theirs"}]}, "ValidationError"),
        ({"PolicyArns": [{"arn": "arn:aws:s3:::bucket-of-mine"}]}, "ValidationError"),
        ({"PolicyArns": [{"arn": f"arn:aws:iam::{HERE}:policy/p{number}"} for number in range(11)]}, "ValidationError"),
    ],
)
def test_session_policies_that_are_none_are_refused(world: StsWorld, parameters: dict[str, Any], code: str) -> None:
    """With AWS's codes; another account's policies do not exist."""
    world.directory.managed[f"arn:aws:iam::{THERE}:policy/theirs"] = ALLOW_ALL
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    assert error_of(refused(world, ALICE, role, **parameters))[0] == code


def test_a_stranger_does_not_learn_which_policies_an_account_has(world: StsWorld) -> None:
    """Session policies are looked for when the role trusts the caller, and not before."""
    world.directory.managed[f"arn:aws:iam::{HERE}:policy/known"] = ALLOW_ALL
    role = world.directory.add_role("deploy", trusting(user("bob").arn))
    errors = [
        refused(world, ALICE, role, PolicyArns=[{"arn": f"arn:aws:iam::{HERE}:policy/{name}"}])
        for name in ("known", "missing")
    ]
    assert {error.code for error in errors} == {"AccessDenied"}


def test_too_much_for_one_token_is_refused(world: StsWorld) -> None:
    """Fifty long tags are allowed one by one, but not together."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn, action=TAGGING))
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=._:/@"
    many = [{"Key": f"key{number}", "Value": world.entropy.text(256, alphabet)} for number in range(50)]
    error = refused(world, ALICE, role, Tags=many)
    assert error_of(error) == ("PackedPolicyTooLarge", 400)
    assert "% of allotted space" in error.message


def test_whatever_packs_into_a_hundred_percent_fits_into_a_token(world: StsWorld) -> None:
    """The limit leaves room for the longest names."""
    trust = trusting(ALICE.arn, action=TAGGING)
    role = world.directory.add_role("n" * 64, trust, path=f"/{'p' * 510}/")
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=._:/@"
    many = [{"Key": f"key{number}", "Value": world.entropy.text(256, alphabet)} for number in range(10)]
    given = {"RoleSessionName": "s" * 64, "SourceIdentity": "i" * 64, "Tags": many}
    answer = world.ask("AssumeRole", ALICE, RoleArn=role.arn, **given)
    assert 80 < answer["PackedPolicySize"] <= 100
    assert len(answer["Credentials"]["SessionToken"]) <= 4096


def test_a_longer_token_can_be_asked_for(world: StsWorld) -> None:
    """Its size and share are told then."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    answer = world.ask("AssumeRole", ALICE, RoleArn=role.arn, RoleSessionName="work", MinimumSessionTokenSize=2048)
    assert answer["SessionTokenSize"] == len(answer["Credentials"]["SessionToken"]) == 2048
    assert answer["SessionTokenUtilization"] == 50


def test_mfa_opens_a_role_that_wants_it(world: StsWorld) -> None:
    """With the caller's own device and a code that was not used before; the session remembers it."""
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}, "NumericLessThan": {"aws:MultiFactorAuthAge": "300"}}
    role = world.directory.add_role("careful", trusting(ALICE.arn, condition=condition))
    serial = f"arn:aws:iam::{HERE}:mfa/alice"
    world.directory.devices[serial] = MfaDevice(serial, HERE, SEED, NOON, ALICE.principal_id, NOON)
    refused(world, ALICE, role)
    code = code_of(SEED, step_of(NOON))
    session = world.assume(ALICE, role, SerialNumber=serial, TokenCode=code).session
    assert session is not None
    assert session.mfa_at == NOON
    error = refused(world, ALICE, role, SerialNumber=serial, TokenCode=code)
    assert error.message == "MultiFactorAuthentication failed with invalid MFA one time pass code. "
    user_session = world.session(
        world.ask("GetSessionToken", ALICE, SerialNumber=serial, TokenCode=code_of(SEED, step_of(NOON) + 1))
    )
    world.clock.forward(seconds=200)
    assert world.assume(user_session, role).session is not None
    world.clock.forward(seconds=200)
    refused(world, user_session, role)


def test_json_texts_of_trust_are_real(world: StsWorld) -> None:
    """The tests' own trust policies are JSON that IAM would take."""
    assert json.loads(trusting(ALICE.arn))["Statement"][0]["Principal"] == {"AWS": [ALICE.arn]}

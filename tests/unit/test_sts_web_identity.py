"""AssumeRoleWithWebIdentity: real tokens, signed with test keys, and everything that is wrong with others."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.identity import web_identity
from opentrail.identity.directory import OidcProvider, Role
from opentrail.identity.principal import PrincipalType
from opentrail.services.answer import DeniedCaller
from tests.support.sts_world import HERE, NOBODY, NOON, THERE, StsWorld, error_of, trusting

ISSUER = "https://id.example.com/realms/ci"
HOST = "id.example.com/realms/ci"
PROVIDER = f"arn:aws:iam::{HERE}:oidc-provider/{HOST}"
ACTIONS = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = "repo:example/app:ref:refs/heads/main"


def jwks() -> list[Mapping[str, Any]]:
    """The issuer's public keys."""
    rsa_key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key())) | {"kid": "r1", "use": "sig"}
    ec_key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key())) | {"kid": "e1"}
    return [rsa_key, ec_key]


class Issuer:
    """Verification keys as the issuer publishes them."""

    def find(self, issuer: str, key_id: str | None) -> list[Mapping[str, Any]]:
        assert issuer == ISSUER
        return [key for key in jwks() if key_id in (None, key["kid"])]


@pytest.fixture
def world() -> StsWorld:
    """An STS where the issuer is registered."""
    world = StsWorld(Issuer())
    world.directory.oidc[PROVIDER] = OidcProvider(PROVIDER, HERE, HOST, ("sts.amazonaws.com", "app-1"), ())
    return world


@pytest.fixture
def role(world: StsWorld) -> Role:
    """A role for the main branch."""
    condition = {"StringEquals": {f"{HOST}:sub": SUBJECT, f"{HOST}:aud": "sts.amazonaws.com"}}
    return world.directory.add_role("ci", trusting(f"Federated:{PROVIDER}", action=ACTIONS, condition=condition))


def token(key: Any = RSA_KEY, algorithm: Any = "RS256", kid: Any = "r1", **changes: Any) -> str:
    """A signed ID token; ``changes`` replace claims, or remove them where None."""
    claims = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": "sts.amazonaws.com",
        "iat": int(NOON.timestamp()),
        "exp": int(NOON.timestamp()) + 600,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def assume(world: StsWorld, role: Role, text: str, **parameters: Any) -> dict[str, Any]:
    """The answer to a call with that token."""
    given = {"RoleArn": role.arn, "RoleSessionName": "build-7", "WebIdentityToken": text} | parameters
    return world.ask("AssumeRoleWithWebIdentity", NOBODY, **given)


def refused(world: StsWorld, role: Role, text: str, **parameters: Any) -> ApiError:
    """The refusal of a call with that token."""
    with pytest.raises(ApiError) as caught:
        assume(world, role, text, **parameters)
    assert text not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "r1"), (RSA_KEY, "RS512", None), (EC_KEY, "ES256", "e1")]
)
def test_a_genuine_token_gives_a_session(
    world: StsWorld, role: Role, key: Any, algorithm: str, kid: str | None
) -> None:
    """The answer, the session and the record's caller are AWS's."""
    answer = assume(world, role, token(key, algorithm, kid))
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert (answer["Provider"], answer["Audience"]) == (PROVIDER, "sts.amazonaws.com")
    session = world.session(answer)
    assert session.type is PrincipalType.ASSUMED_ROLE
    assert session.arn == f"arn:aws:sts::{HERE}:assumed-role/ci/build-7"
    assert session.session is not None
    assert session.session.provider == PROVIDER
    assert (f"{HOST}:sub", SUBJECT) in session.session.provider_attributes
    assert world.answer is not None
    caller = world.answer.caller
    assert caller is not None
    assert (caller.type, caller.account_id) == (PrincipalType.WEB_IDENTITY_USER, HERE)
    assert (caller.user_name, caller.identity_provider) == (SUBJECT, PROVIDER)
    assert caller.principal_id == f"{PROVIDER}:sts.amazonaws.com:{SUBJECT}"
    assert world.answer.resources[0]["ARN"] == role.arn


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (token(OTHER_RSA_KEY), "InvalidIdentityToken"),
        (token(kid="unknown"), "InvalidIdentityToken"),
        (token(exp=int(NOON.timestamp())), "ExpiredTokenException"),
        (token(exp=int(NOON.timestamp()) - 9999), "ExpiredTokenException"),
        (token(OTHER_RSA_KEY, exp=1), "InvalidIdentityToken"),
        (token(exp=None), "InvalidIdentityToken"),
        (token(exp=True), "InvalidIdentityToken"),
        (token(iat=int(NOON.timestamp()) + 120), "InvalidIdentityToken"),
        (token(iat=None), "InvalidIdentityToken"),
        (token(nbf=int(NOON.timestamp()) + 120), "InvalidIdentityToken"),
        (token(sub=None), "InvalidIdentityToken"),
        (token(sub=""), "InvalidIdentityToken"),
        (token(sub=17), "InvalidIdentityToken"),
        (token(aud="somebody-else"), "InvalidIdentityToken"),
        (token(aud=None), "InvalidIdentityToken"),
        (token(aud=[1]), "InvalidIdentityToken"),
        (token(azp="somebody-else"), "InvalidIdentityToken"),
        (token(amr={"x": 1}), "InvalidIdentityToken"),
        (token(iss="https://evil.example.com"), "InvalidIdentityToken"),
        (token(iss="http://id.example.com/realms/ci"), "InvalidIdentityToken"),
        (token(iss=None), "InvalidIdentityToken"),
        (token("x" * 64, "HS256"), "InvalidIdentityToken"),
        (token(**{"https://aws.amazon.com/tags": {"principal_tags": {"a": ["1", "2"]}}}), "InvalidIdentityToken"),
        (token(**{"https://aws.amazon.com/tags": "x"}), "InvalidIdentityToken"),
        (token(**{"https://aws.amazon.com/source_identity": "has space"}), "InvalidIdentityToken"),
        ("four", "InvalidIdentityToken"),
        ("a.b.c", "InvalidIdentityToken"),
    ],
)
def test_a_wrong_token_is_refused(world: StsWorld, role: Role, text: str, code: str) -> None:
    """Signature, times, audience, subject, issuer, algorithm, claims: STS's code for each."""
    assert error_of(refused(world, role, text)) == (code, 400)


def test_an_unsigned_token_is_refused(world: StsWorld, role: Role) -> None:
    """The algorithm ``none`` does not exist here."""
    body = token().split(".")[1]
    head = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    assert refused(world, role, f"{head}.{body}.AAAA").code == "InvalidIdentityToken"


def test_a_public_key_is_never_a_shared_secret(world: StsWorld, role: Role) -> None:
    """The old trick: a token signed by HMAC with the public key's bytes."""
    head = urlsafe_b64encode(b'{"alg":"HS256","kid":"r1"}').decode().rstrip("=")
    assert refused(world, role, f"{head}.{token().split('.')[1]}.AAAA").code == "InvalidIdentityToken"


def test_every_part_of_a_token_is_protected(world: StsWorld, role: Role) -> None:
    """A changed head, body or signature is refused."""
    text = token()
    for place in range(0, len(text), 11):
        if text[place] == ".":
            continue
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert refused(world, role, changed).code == "InvalidIdentityToken", place


def test_the_trust_policy_decides_who_of_the_provider_s_users(world: StsWorld, role: Role) -> None:
    """A denial is AccessDenied and names the verified user for the record."""
    for changes in ({"sub": "repo:example/app:ref:refs/heads/evil"}, {"aud": "app-1"}):
        error = refused(world, role, token(**changes))
        assert error_of(error) == ("AccessDenied", 403)
        assert error.message == "Not authorized to perform sts:AssumeRoleWithWebIdentity"
        assert isinstance(error, DeniedCaller)
        assert error.caller.user_name == changes.get("sub", SUBJECT)


def test_azp_stands_for_the_audience(world: StsWorld, role: Role) -> None:
    """Where a token has one, it must be a registered client id, and is what the condition sees."""
    assert assume(world, role, token(aud="whoever", azp="sts.amazonaws.com"))["Audience"] == "sts.amazonaws.com"
    assert refused(world, role, token(azp="app-1")).code == "AccessDenied"


def test_amr_can_be_asked_for(world: StsWorld) -> None:
    """As a condition of many values."""
    condition = {"ForAnyValue:StringEquals": {f"{HOST}:amr": "mfa"}}
    role = world.directory.add_role("careful", trusting(f"Federated:{PROVIDER}", action=ACTIONS, condition=condition))
    refused(world, role, token())
    refused(world, role, token(amr=["pwd"]))
    assume(world, role, token(amr=["pwd", "mfa"]))


def test_a_role_that_does_not_exist_or_trusts_others_denies(world: StsWorld, role: Role) -> None:
    """In the same words."""
    other = world.directory.add_role("other", trusting(f"Federated:{PROVIDER}x", action=ACTIONS))
    user_role = world.directory.add_role("users", trusting("*", action=ACTIONS))
    missing = f"arn:aws:iam::{HERE}:role/missing"
    errors = {refused(world, role, token(), RoleArn=arn).message for arn in (other.arn, user_role.arn, missing)}
    assert errors == {"Not authorized to perform sts:AssumeRoleWithWebIdentity"}


def test_the_provider_must_be_of_the_role_s_account(world: StsWorld) -> None:
    """Another account's provider is no provider, and its issuer is not asked for anything."""
    role = world.directory.add_role("ci", trusting(f"Federated:{PROVIDER}", action=ACTIONS), account_id=THERE)
    error = refused(world, role, token())
    assert error.code == "InvalidIdentityToken"
    assert error.message == f"No OpenIDConnect provider found in your account for {ISSUER}"


def test_tags_and_source_identity_come_from_the_token(world: StsWorld, role: Role) -> None:
    """As AWS's claims have them; each with its permission."""
    claims = {
        "https://aws.amazon.com/tags": {"principal_tags": {"agent": ["codex"]}, "transitive_tag_keys": ["agent"]},
        "https://aws.amazon.com/source_identity": "octocat",
    }
    session = world.session(assume(world, role, token(**claims))).session
    assert session is not None
    assert session.tags == (("agent", "codex"),)
    assert session.transitive_tag_keys == ("agent",)
    assert session.source_identity == "octocat"
    bare = trusting(f"Federated:{PROVIDER}", action="sts:AssumeRoleWithWebIdentity")
    assert refused(world, world.directory.add_role("bare", bare), token(**claims)).code == "AccessDenied"


def test_durations_and_access_tokens(world: StsWorld, role: Role) -> None:
    """The role's maximum counts; ProviderId is for access tokens, which are not taken."""
    session = world.session(assume(world, role, token(), DurationSeconds=900)).session
    assert session is not None
    assert session.expires_at == NOON + timedelta(seconds=900)
    assert refused(world, role, token(), DurationSeconds=3601).code == "ValidationError"
    assert refused(world, role, token(), ProviderId="www.amazon.com").code == "ValidationError"


def test_an_issuer_with_a_slash_at_its_end_is_found_either_way() -> None:
    """IAM may have stored it with or without."""
    assert web_identity.provider_names("https://t.example.com/") == ("t.example.com/", "t.example.com")
    assert web_identity.provider_names("https://t.example.com") == ("t.example.com",)
    assert web_identity.provider_names("http://t.example.com") == ()


def _encoded(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.sampled_from(["RS256", ISSUER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["alg", "kid", "iss", "crit"]), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=100), st.tuples(_JSON, _JSON).map(lambda t: f"{_encoded(t[0])}.{_encoded(t[1])}.AA")))
def test_no_text_is_too_strange(text: str) -> None:
    """Anything but a token is refused with one code."""
    try:
        web_identity.read(text)
    except ApiError as error:
        assert error.code == "InvalidIdentityToken"


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "amr"]), _JSON, max_size=5))
def test_no_signed_claims_are_too_strange(changes: dict[str, Any]) -> None:
    """Even what the issuer signs is only believed in its proper form."""
    claims = {"iss": ISSUER, "sub": "s", "aud": "app-1", "iat": 1, "exp": 2e9} | changes
    text = jwt.encode({"iss": ISSUER}, EC_KEY, algorithm="ES256", headers={"kid": "e1"})
    signed = jwt.api_jws.encode(json.dumps(claims).encode(), EC_KEY, algorithm="ES256", headers={"kid": "e1"})
    assert text != signed
    try:
        web_identity.verify(web_identity.read(signed), jwks(), frozenset({"app-1"}), NOON)
    except ApiError as error:
        assert error.code in ("InvalidIdentityToken", "ExpiredTokenException")

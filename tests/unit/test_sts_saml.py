"""AssumeRoleWithSAML: real assertions, signed with test keys, and everything that is wrong with others."""

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types

from opentrail.errors import ApiError
from opentrail.identity import saml
from opentrail.identity.directory import Role, SamlProvider
from opentrail.identity.principal import PrincipalType
from opentrail.services.answer import DeniedCaller
from tests.support.sts_saml import (
    CERTIFICATE,
    ENTITY,
    KEY,
    OTHER_CERTIFICATE,
    OTHER_KEY,
    PROVIDER,
    ROLE,
    SAML,
    attribute,
    certificate,
    encoded,
    metadata,
    response,
    signed,
)
from tests.support.sts_world import HERE, NOBODY, NOON, THERE, StsWorld, error_of, trusting

ACTIONS = ["sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"]
Change = Callable[[str], str]


@pytest.fixture
def world() -> StsWorld:
    """An STS where the provider and a role for its users exist."""
    world = StsWorld()
    world.directory.saml[PROVIDER] = SamlProvider(PROVIDER, HERE, metadata(OTHER_CERTIFICATE, CERTIFICATE))
    condition = {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml", "saml:sub_type": "persistent"}}
    trust = trusting(f"Federated:{PROVIDER}", action=ACTIONS, condition=condition)
    world.directory.add_role("staff", trust, max_session_s=43_200)
    return world


@pytest.fixture
def role(world: StsWorld) -> Role:
    """That role."""
    return world.directory.roles[ROLE]


def assume(world: StsWorld, root: Any, **parameters: Any) -> dict[str, Any]:
    """The answer to a call with that response."""
    given = {"RoleArn": ROLE, "PrincipalArn": PROVIDER, "SAMLAssertion": encoded(root)} | parameters
    return world.ask("AssumeRoleWithSAML", NOBODY, **given)


def refused(world: StsWorld, root: Any, **parameters: Any) -> ApiError:
    """The refusal of a call with that response."""
    with pytest.raises(ApiError) as caught:
        assume(world, root, **parameters)
    return caught.value


@pytest.mark.parametrize("whole", [False, True])
def test_a_genuine_assertion_gives_a_session(world: StsWorld, whole: bool) -> None:
    """Signed itself, or inside a signed response; answer, session and record are AWS's."""
    answer = assume(world, signed(response(), whole=whole))
    assert (answer["Subject"], answer["SubjectType"]) == ("alice@corp", "persistent")
    assert (answer["Issuer"], answer["Audience"]) == (ENTITY, "https://signin.aws.amazon.com/saml")
    session = world.session(answer)
    assert session.arn == f"arn:aws:sts::{HERE}:assumed-role/staff/alice"
    assert session.session is not None
    assert session.session.provider == PROVIDER
    assert session.session.expires_at == NOON + timedelta(hours=1)
    assert world.answer is not None
    caller = world.answer.caller
    assert caller is not None
    assert caller.type is PrincipalType.SAML_USER
    assert caller.principal_id == f"{answer['NameQualifier']}:alice@corp"
    assert (caller.user_name, caller.identity_provider) == ("alice@corp", answer["NameQualifier"])
    assert [entry["type"] for entry in world.answer.resources] == ["AWS::IAM::Role", "AWS::IAM::SAMLProvider"]


def test_the_name_qualifier_is_aws_s_hash() -> None:
    """BASE64(SHA1(issuer + account + "/" + provider)), the example of the IAM User Guide."""
    made = saml.name_qualifier("https://example.com/saml", "123456789012", "MySAMLIdP")
    assert made == base64.b64encode(hashlib.sha1(b"https://example.com/saml123456789012/MySAMLIdP").digest()).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("alice@corp", "root@corp"),
        lambda text: text.replace(">alice<", ">mallory<"),
        lambda text: text.replace(ROLE, ROLE + "x", 1),
        lambda text: text.replace("persistent", "transient"),
        lambda text: text.replace('NotOnOrAfter="2026-11-23T12:05:00Z"', 'NotOnOrAfter="2026-11-23T13:05:00Z"', 1),
        lambda text: text.replace(
            "<saml:AttributeStatement>", "<saml:AttributeStatement>" + attribute("PrincipalTag:x", "y")
        ),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_nothing_that_is_signed_can_be_changed(world: StsWorld, change: Change, whole: bool) -> None:
    """A changed assertion has no valid signature."""
    text = etree.tostring(signed(response(), whole=whole)).decode()
    assert change(text) != text
    error = refused(world, change(text).encode())
    assert (error.code, error.message) == ("InvalidIdentityToken", "Response signature invalid")


def test_a_stranger_s_signature_counts_for_nothing(world: StsWorld) -> None:
    """Nor does the certificate that he sends along, nor none at all."""
    world.directory.saml[PROVIDER] = SamlProvider(PROVIDER, HERE, metadata(CERTIFICATE))
    assert refused(world, signed(response(), key=OTHER_KEY)).message == "Response signature invalid"
    assert refused(world, response().encode()).message == "Response signature invalid"


def test_an_expired_certificate_counts_for_nothing(world: StsWorld) -> None:
    """By our clock."""
    world.directory.saml[PROVIDER] = SamlProvider(PROVIDER, HERE, metadata(certificate(KEY, days=20)))
    world.clock.forward(days=30)
    root = signed(response(now=world.clock.now()))
    assert refused(world, root).message == "Response signature invalid"


def test_weak_algorithms_are_refused(world: StsWorld) -> None:
    """SHA-1 proves nothing any more."""
    text = etree.tostring(signed(response())).decode()
    weak = text.replace(
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
    )
    assert weak != text
    assert refused(world, weak.encode()).message == "Response signature invalid"


def _wrapped_beside(root: Any) -> Any:
    """The signed assertion moved aside, an evil one in its place."""
    good = root.find(f"{SAML}Assertion")
    evil = etree.fromstring(etree.tostring(good).replace(b"alice", b"mallory").replace(b'"_a1"', b'"_evil"'))
    evil.remove(evil.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    root.insert(0, evil)
    return root


def _wrapped_around(root: Any) -> Any:
    """The signed assertion inside an evil one, which carries its signature."""
    good = root.find(f"{SAML}Assertion")
    evil = etree.fromstring(etree.tostring(good).replace(b"alice", b"mallory").replace(b'"_a1"', b'"_evil"'))
    root.replace(good, evil)
    evil.append(good)
    return root


def _wrapped_below(root: Any) -> Any:
    """The signed assertion hidden in the evil one's signature."""
    good = root.find(f"{SAML}Assertion")
    evil = etree.fromstring(etree.tostring(good).replace(b"alice", b"mallory"))
    place = etree.SubElement(
        evil.find("{http://www.w3.org/2000/09/xmldsig#}Signature"), "{http://www.w3.org/2000/09/xmldsig#}Object"
    )
    root.replace(good, evil)
    place.append(good)
    return root


@pytest.mark.parametrize("wrap", [_wrapped_beside, _wrapped_around, _wrapped_below])
def test_signature_wrapping_helps_nobody(world: StsWorld, wrap: Callable[[Any], Any]) -> None:
    """A second assertion anywhere is refused, with the genuine one still in the document."""
    assert refused(world, wrap(signed(response()))).code == "InvalidIdentityToken"


def test_a_comment_does_not_cut_a_name(world: StsWorld) -> None:
    """Whoever inserts one into a signed name gets the whole name, not its beginning."""
    text = etree.tostring(signed(response().replace("alice@corp", "alice@corp.evil.example"))).decode()
    answer = assume(world, text.replace("alice@corp.evil", "alice@corp<!-- -->.evil").encode())
    assert answer["Subject"] == "alice@corp.evil.example"


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><r>&b;</r>',
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r/>',
        b"<r><?php x ?></r>",
        b"<r>",
        b"",
        b"<r/>",
        b"<samlp:Response xmlns:samlp='urn:oasis:names:tc:SAML:2.0:protocol'/>",
    ],
)
def test_bombs_and_nonsense_are_refused(world: StsWorld, document: bytes) -> None:
    """No document type, no entity, no instruction is ever looked at."""
    assert refused(world, document or b"    ").code == "InvalidIdentityToken"
    assert refused(world, b"", SAMLAssertion="no base64!").message == "Invalid base64 SAMLResponse"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace("urn:amazon:webservices", "urn:somebody:else"), "InvalidIdentityToken"),
        (
            lambda text: text.replace('Recipient="https://signin.aws', 'Recipient="https://other'),
            "InvalidIdentityToken",
        ),
        (lambda text: text.replace("cm:bearer", "cm:holder-of-key"), "InvalidIdentityToken"),
        (lambda text: text.replace(f"<saml:Issuer>{ENTITY}", "<saml:Issuer>https://other"), "InvalidIdentityToken"),
        (lambda text: text.replace("status:Success", "status:Requester"), "IDPRejectedClaim"),
        (lambda text: text.replace("T12:05:00Z", "T11:59:59Z"), "ExpiredTokenException"),
        (lambda text: text.replace("T12:05:00Z", "T12:00:00Z"), "ExpiredTokenException"),
        (lambda text: text.replace("T12:05:00Z", "never"), "InvalidIdentityToken"),
        (
            lambda text: text.replace('NotBefore="2026-11-23T11:59:55Z"', 'NotBefore="2026-11-23T12:02:00Z"'),
            "InvalidIdentityToken",
        ),
        (
            lambda text: text.replace('IssueInstant="2026-11-23T12:00:00Z"', 'IssueInstant="2026-11-23T11:54:59Z"'),
            "ExpiredTokenException",
        ),
        (
            lambda text: text.replace('IssueInstant="2026-11-23T12:00:00Z"', 'IssueInstant="2026-11-23T12:02:00Z"'),
            "InvalidIdentityToken",
        ),
        (lambda text: text.replace("T20:00:00Z", "T12:00:00Z"), "ExpiredTokenException"),
        (lambda text: text.replace(attribute("RoleSessionName", "alice"), ""), "InvalidIdentityToken"),
        (lambda text: text.replace(">alice<", ">has space<"), "InvalidIdentityToken"),
        (lambda text: text.replace(">alice@corp<", "> <"), "InvalidIdentityToken"),
        (lambda text: text.replace(attribute("Role", f"{ROLE},{PROVIDER}"), ""), "AccessDenied"),
        (lambda text: text.replace(PROVIDER, PROVIDER + "2"), "AccessDenied"),
    ],
)
def test_a_genuine_assertion_for_somebody_or_somewhen_else_is_refused(
    world: StsWorld, change: Change, code: str
) -> None:
    """Audience, recipient, issuer, times and attributes are all looked at."""
    text = response()
    assert change(text) != text
    assert error_of(refused(world, signed(change(text))))[0] == code


def test_an_assertion_is_good_for_one_session(world: StsWorld) -> None:
    """A second use is refused, even while it would still be valid."""
    root = signed(response())
    assume(world, root)
    assert refused(world, root).message == "The SAML assertion was used before"
    assume(world, signed(response().replace("_a1", "_a2")))


def test_a_refused_assertion_is_not_used_up(world: StsWorld) -> None:
    """Whoever asked for too long may ask again."""
    root = signed(response())
    world.directory.add_role("staff", world.directory.roles[ROLE].trust_text, max_session_s=3600)
    assert refused(world, root, DurationSeconds=7200).code == "ValidationError"
    assume(world, root)


def test_the_pair_may_be_written_either_way(world: StsWorld) -> None:
    """Role first or provider first; several roles, one is asked for."""
    text = response().replace(f"{ROLE},{PROVIDER}", f"{PROVIDER}, {ROLE}")
    assume(world, signed(text))


def test_a_denial_names_the_verified_user(world: StsWorld) -> None:
    """As the record will: by the provider's hash, not its ARN."""
    world.directory.add_role("staff", trusting("*", action=ACTIONS))
    error = refused(world, signed(response()))
    assert error.message == "Not authorized to perform sts:AssumeRoleWithSAML"
    assert isinstance(error, DeniedCaller)
    assert error.caller.type is PrincipalType.SAML_USER
    assert not error.caller.identity_provider.startswith("arn:")


def test_the_provider_must_exist_in_the_role_s_account(world: StsWorld) -> None:
    """And be able to sign."""
    assert refused(world, signed(response()), PrincipalArn=PROVIDER + "2").message == "Specified provider doesn't exist"
    other = f"arn:aws:iam::{THERE}:role/staff"
    assert refused(world, signed(response()), RoleArn=other).message == "Specified provider doesn't exist"
    world.directory.saml[PROVIDER] = SamlProvider(PROVIDER, HERE, metadata())
    assert refused(world, signed(response())).code == "InvalidIdentityToken"


def test_durations_tags_and_source_identity_come_from_the_assertion(world: StsWorld) -> None:
    """Unless the request has a duration; the provider's own session is the end of ours."""
    more = [
        attribute("SessionDuration", "1800"),
        attribute("PrincipalTag:agent", "codex"),
        attribute("TransitiveTagKeys", "agent"),
        attribute("SourceIdentity", "alice.corp"),
    ]
    session = world.session(assume(world, signed(response(*more)))).session
    assert session is not None
    assert session.expires_at == NOON + timedelta(seconds=1800)
    assert session.tags == (("agent", "codex"),)
    assert session.transitive_tag_keys == ("agent",)
    assert session.source_identity == "alice.corp"
    again = signed(response(*more).replace("_a1", "_a2"))
    asked = world.session(assume(world, again, DurationSeconds=43_200)).session
    assert asked is not None
    assert asked.expires_at == NOON + timedelta(hours=8)
    for text in ("0", "43201", "x", "-900"):
        wrong = signed(response(attribute("SessionDuration", text)))
        assert refused(world, wrong).code == "InvalidIdentityToken"
    assert refused(world, signed(response(attribute("RoleSessionName", "second")))).code == "InvalidIdentityToken"


@pytest.mark.parametrize(
    "text", ["", "<x/>", "<!DOCTYPE x><x/>", "\ud800", f'<EntityDescriptor xmlns="urn:x" entityID="{ENTITY}"/>']
)
def test_metadata_that_is_none_is_refused(text: str) -> None:
    """It must name an entity and a signing certificate."""
    with pytest.raises(ValueError, match=r"metadata|XML"):
        saml.read_metadata(text)


_METADATA = saml.read_metadata(metadata(CERTIFICATE))
_GENUINE = base64.b64decode(encoded(signed(response())))
_ACCEPTED = frozenset({saml.SIGN_IN, "urn:amazon:webservices"})


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.binary(max_size=120).map(lambda raw: base64.b64encode(raw).decode())))
def test_no_text_is_too_strange(text: str) -> None:
    """One code for everything that is no response."""
    with pytest.raises(ApiError, match="InvalidIdentityToken"):
        saml.verify(text, _METADATA, _ACCEPTED, NOON)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(_GENUINE) - 1), st.integers(0, len(_GENUINE) - 1), st.binary(max_size=12))
def test_no_mutation_of_a_genuine_response_says_anything_new(start: int, end: int, inserted: bytes) -> None:
    """Bytes cut and inserted anywhere: refused, or still the very same assertion."""
    first, last = sorted((start, end))
    mutant = _GENUINE[:first] + inserted + _GENUINE[last if last - first < 40 else first :]
    genuine = saml.verify(base64.b64encode(_GENUINE).decode(), _METADATA, _ACCEPTED, NOON)
    try:
        found = saml.verify(base64.b64encode(mutant).decode(), _METADATA, _ACCEPTED, NOON)
    except ApiError as error:
        assert error.code in ("InvalidIdentityToken", "ExpiredTokenException", "IDPRejectedClaim")
    else:
        assert found == genuine

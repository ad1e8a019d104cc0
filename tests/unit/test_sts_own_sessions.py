"""GetSessionToken, GetFederationToken, GetCallerIdentity, GetAccessKeyInfo and DecodeAuthorizationMessage."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.identity.directory import Credential, MfaDevice
from opentrail.identity.iam_mfa import code_of, step_of
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.services.operation import handlers_of
from opentrail.services.sts.denials import MAX_MESSAGE_CHARS, Denial
from opentrail.services.sts.mfa import MAX_WRONG_CODES, OneTimeCodes
from opentrail.services.sts.service import OPEN_TO_ALL, UNSIGNED, UNSUPPORTED
from opentrail.services.sts.single_use import SingleUse
from tests.support.sts_world import ALLOW_ALL, HERE, NOON, STS, THERE, StsWorld, error_of, root, trusting, user

ALICE = user()
SERIAL = f"arn:aws:iam::{HERE}:mfa/alice"
SEED = b"s" * 40


@pytest.fixture
def world() -> StsWorld:
    """An STS where alice has an MFA device."""
    world = StsWorld()
    world.directory.devices[SERIAL] = MfaDevice(SERIAL, HERE, SEED, NOON, ALICE.principal_id, NOON)
    return world


def refused(world: StsWorld, operation: str, who: Principal, **parameters: Any) -> ApiError:
    """The refusal of a call."""
    with pytest.raises(ApiError) as caught:
        world.ask(operation, who, **parameters)
    return caught.value


def test_every_operation_of_the_model_is_answered_or_refused_with_a_reason() -> None:
    """No third way."""
    handled = set(handlers_of(StsWorld().service))
    names = set(STS.operation_names)
    assert handled | set(UNSUPPORTED) == names
    assert not handled & set(UNSUPPORTED)
    assert handled >= OPEN_TO_ALL
    model = botocore.session.get_session().get_service_model("sts")
    assert {name for name in names if model.operation_model(name).auth_type == "none"} == UNSIGNED


def test_an_answer_is_its_response_and_never_shows_it(world: StsWorld) -> None:
    """Whoever only wants the response may take the answer for it; logs do not get the secret."""
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    response = world.ask("AssumeRole", ALICE, RoleArn=role.arn, RoleSessionName="work")
    assert world.answer is not None
    assert set(world.answer) == {"Credentials", "AssumedRoleUser"}
    assert len(world.answer) == 2
    for hidden in ("SecretAccessKey", "SessionToken"):
        assert response["Credentials"][hidden] not in repr(world.answer)


def test_caller_identity(world: StsWorld) -> None:
    """Whoever asks is told who he is."""
    answer = world.ask("GetCallerIdentity", ALICE)
    assert (answer["Account"], answer["UserId"], answer["Arn"]) == (HERE, ALICE.principal_id, ALICE.arn)


@pytest.mark.parametrize("who", [ALICE, root()])
def test_a_session_token_is_for_the_caller_himself(world: StsWorld, who: Principal) -> None:
    """The same principal, with a session context that has no issuer and another access key."""
    session = world.session(world.ask("GetSessionToken", who))
    assert session.session is not None
    assert replace(session, session=None, access_key_id=who.access_key_id) == who
    assert session.access_key_id.startswith("ASIA")
    assert session.session.issuer is None
    assert session.session.mfa_at is None


@pytest.mark.parametrize(
    ("who", "asked", "hours"), [(ALICE, None, 12), (ALICE, 129_600, 36), (root(), None, 1), (root(), 7200, 1)]
)
@pytest.mark.parametrize("operation", ["GetSessionToken", "GetFederationToken"])
def test_sessions_last_as_long_as_aws_s(
    world: StsWorld, operation: str, who: Principal, asked: int | None, hours: int
) -> None:
    """Twelve hours, up to 36; root's an hour, whatever is asked for."""
    given: dict[str, Any] = {} if asked is None else {"DurationSeconds": asked}
    given |= {"Name": "bob"} if operation == "GetFederationToken" else {}
    assert world.ask(operation, who, **given)["Credentials"]["Expiration"] == NOON + timedelta(hours=hours)


def test_temporary_credentials_make_no_further_ones(world: StsWorld) -> None:
    """Both operations want long-term keys."""
    session = world.session(world.ask("GetSessionToken", ALICE))
    role = world.directory.add_role("deploy", trusting(ALICE.arn))
    for who in (session, world.assume(ALICE, role)):
        error = refused(world, "GetSessionToken", who)
        assert error_of(error) == ("AccessDenied", 403)
        assert error.message == "Cannot call GetSessionToken with session credentials"
        assert refused(world, "GetFederationToken", who, Name="bob").code == "AccessDenied"


def test_mfa_is_remembered_in_the_session(world: StsWorld) -> None:
    """A code of this step, the one before or the one after; each once."""
    for step in (-1, 0, 1):
        code = code_of(SEED, step_of(NOON) + step)
        session = world.session(world.ask("GetSessionToken", ALICE, SerialNumber=SERIAL, TokenCode=code)).session
        assert session is not None
        assert session.mfa_at == NOON
        assert "invalid MFA" in refused(world, "GetSessionToken", ALICE, SerialNumber=SERIAL, TokenCode=code).message


def test_codes_cannot_be_guessed_without_end(world: StsWorld) -> None:
    """After ten wrong codes not even the right one is accepted, until some time has passed."""
    for _ in range(MAX_WRONG_CODES):
        refused(world, "GetSessionToken", ALICE, SerialNumber=SERIAL, TokenCode="000000")
    right = code_of(SEED, step_of(NOON))
    refused(world, "GetSessionToken", ALICE, SerialNumber=SERIAL, TokenCode=right)
    world.clock.forward(seconds=300)
    code = code_of(SEED, step_of(world.clock.now()))
    world.ask("GetSessionToken", ALICE, SerialNumber=SERIAL, TokenCode=code)


def test_devices_with_wrong_codes_are_remembered_within_bounds() -> None:
    """The memory does not grow."""
    codes = OneTimeCodes(devices=2)
    for number in range(5):
        assert not codes.accept(MfaDevice(f"d{number}", HERE, SEED, NOON, "u", NOON), "000000", NOON)
    assert len(codes._wrong) == 2


@pytest.mark.parametrize("step", [-3, -2, 2, 3])
def test_old_and_future_codes_are_refused(world: StsWorld, step: int) -> None:
    """A window of one step to each side."""
    code = code_of(SEED, step_of(NOON) + step)
    error = refused(world, "GetSessionToken", ALICE, SerialNumber=SERIAL, TokenCode=code)
    assert error_of(error) == ("AccessDenied", 403)


def test_only_one_s_own_enabled_device_counts(world: StsWorld) -> None:
    """Somebody else's, a disabled one and an unknown one are refused in the same words."""
    code = code_of(SEED, step_of(NOON))
    device = world.directory.devices[SERIAL]
    bob, off = f"arn:aws:iam::{HERE}:mfa/bob", f"arn:aws:iam::{HERE}:mfa/off"
    world.directory.devices[bob] = replace(device, serial=bob, user_id=user("bob").principal_id)
    world.directory.devices[off] = replace(device, serial=off, enabled_at=None)
    errors = [
        refused(world, "GetSessionToken", ALICE, SerialNumber=serial, TokenCode=code)
        for serial in (bob, off, f"arn:aws:iam::{HERE}:mfa/none")
    ]
    assert len({error.message for error in errors}) == 1
    assert "associated with this user" in errors[0].message


@pytest.mark.parametrize("given", [{"SerialNumber": SERIAL}, {"TokenCode": "123456"}])
def test_half_an_mfa_is_none(world: StsWorld, given: dict[str, str]) -> None:
    """Serial number and code come together."""
    assert "must provide both" in refused(world, "GetSessionToken", ALICE, **given).message


def test_root_has_a_device_too(world: StsWorld) -> None:
    """Its device belongs to the account's own id."""
    serial = f"arn:aws:iam::{HERE}:mfa/root-account-mfa-device"
    world.directory.devices[serial] = MfaDevice(serial, HERE, SEED, NOON, HERE, NOON)
    code = code_of(SEED, step_of(NOON))
    session = world.session(world.ask("GetSessionToken", root(), SerialNumber=serial, TokenCode=code)).session
    assert session is not None
    assert session.mfa_authenticated


def test_what_is_used_once_is_bounded() -> None:
    """What is over makes room; where nothing is over, nothing more is accepted."""
    used, later = SingleUse(capacity=2), NOON + timedelta(seconds=10)
    assert used.use("a", later, NOON)
    assert not used.use("a", later, NOON)
    assert used.use("b", later, NOON)
    with pytest.raises(ApiError, match="Throttling"):
        used.use("c", later, NOON)
    assert used.use("c", later + timedelta(seconds=10), later)
    assert used.use("a", later + timedelta(seconds=10), later)


def test_a_federated_user_has_the_caller_as_issuer(world: StsWorld) -> None:
    """Names and ids as AWS makes them; session policies and tags go along."""
    world.directory.allow(ALICE.principal_id, ALLOW_ALL)
    given = {"Name": "bob", "Policy": ALLOW_ALL, "Tags": [{"Key": "team", "Value": "blue"}]}
    answer = world.ask("GetFederationToken", ALICE, **given)
    arn = f"arn:aws:sts::{HERE}:federated-user/bob"
    assert answer["FederatedUser"] == {"FederatedUserId": f"{HERE}:bob", "Arn": arn}
    assert answer["PackedPolicySize"] > 0
    bob = world.session(answer)
    assert (bob.type, bob.principal_id, bob.arn) == (PrincipalType.FEDERATED_USER, f"{HERE}:bob", arn)
    assert bob.session is not None
    assert bob.session.issuer is not None
    assert (bob.session.issuer.type, bob.session.issuer.arn) == ("IAMUser", ALICE.arn)
    assert bob.session.policies == (ALLOW_ALL,)
    assert bob.session.tags == (("team", "blue"),)
    by_root = world.session(world.ask("GetFederationToken", root(), Name="bob"))
    assert by_root.session is not None
    assert by_root.session.issuer is not None
    assert (by_root.session.issuer.type, by_root.session.issuer.principal_id) == ("Root", HERE)


def test_tagging_a_federated_user_needs_a_permission(world: StsWorld) -> None:
    """sts:TagSession, in the caller's own policies."""
    tags = [{"Key": "team", "Value": "blue"}]
    error = refused(world, "GetFederationToken", ALICE, Name="bob", Tags=tags)
    assert error_of(error) == ("AccessDenied", 403)
    assert f"sts:TagSession on resource: arn:aws:sts::{HERE}:federated-user/bob" in error.message


@pytest.mark.parametrize("name", ["x", "a b", "n" * 33])
def test_names_of_federated_users_have_a_pattern(world: StsWorld, name: str) -> None:
    """They become part of ARNs."""
    assert error_of(refused(world, "GetFederationToken", ALICE, Name=name))[0] == "ValidationError"


def test_the_account_of_an_access_key(world: StsWorld) -> None:
    """Of long-term keys from the directory, of temporary ones from their id; keys of no account here are unknown."""
    world.directory.keys["AKIAEXAMPLEEXAMPLE09"] = Credential("AKIAEXAMPLEEXAMPLE09", "s", user("bob", THERE))
    assert world.ask("GetAccessKeyInfo", ALICE, AccessKeyId="AKIAEXAMPLEEXAMPLE09")["Account"] == THERE
    key_id = world.ask("GetSessionToken", ALICE)["Credentials"]["AccessKeyId"]
    assert world.ask("GetAccessKeyInfo", user("bob", THERE), AccessKeyId=key_id)["Account"] == HERE
    for unknown in ("AKIAEXAMPLEEXAMPLE10", "ASIAQNZGKIQY56JQ7WML"):
        assert refused(world, "GetAccessKeyInfo", ALICE, AccessKeyId=unknown).code == "ValidationError"


def denial(**facts: Any) -> Denial:
    """A denial of alice's."""
    given: dict[str, Any] = {
        "account_id": HERE,
        "principal_id": ALICE.principal_id,
        "principal_arn": ALICE.arn,
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::b/k",
        "explicit": True,
        "statement": "NoReaders",
        "policy": "inline:x",
        "context": {"aws:sourceip": ("192.0.2.7",)},
    }
    return Denial(**(given | facts))


def test_an_encoded_denial_is_decoded(world: StsWorld) -> None:
    """What AWS documents is in it: who, what, on what, under which conditions, and what denied."""
    message = world.denials.encode(denial())
    found = json.loads(world.ask("DecodeAuthorizationMessage", ALICE, EncodedMessage=message)["DecodedMessage"])
    assert found["allowed"] is False
    assert found["explicitDeny"] is True
    assert found["matchedStatements"]["items"][0]["statementId"] == "NoReaders"
    assert found["context"]["principal"] == {"id": ALICE.principal_id, "arn": ALICE.arn}
    assert found["context"]["conditions"]["items"] == [
        {"key": "aws:sourceip", "values": {"items": [{"value": "192.0.2.7"}]}}
    ]


def test_an_encoded_denial_opens_in_its_own_account_only(world: StsWorld) -> None:
    """And not when anything of it was changed, nor as a session token."""
    message = world.denials.encode(denial())
    error = refused(world, "DecodeAuthorizationMessage", user("bob", THERE), EncodedMessage=message)
    assert error_of(error) == ("InvalidAuthorizationMessageException", 400)
    for place in range(0, len(message), 7):
        changed = message[:place] + ("A" if message[place] != "A" else "B") + message[place + 1 :]
        assert refused(world, "DecodeAuthorizationMessage", ALICE, EncodedMessage=changed).code == error.code
    token = world.ask("GetSessionToken", ALICE)["Credentials"]["SessionToken"]
    assert refused(world, "DecodeAuthorizationMessage", ALICE, EncodedMessage=token).code == error.code


def test_a_long_denial_still_fits(world: StsWorld) -> None:
    """Values are cut and conditions left out rather than a message made that nobody can decode."""
    noise = world.entropy.text(60_000, "abcdefghijklmnopqrstuvwxyz0123456789")
    context = {f"aws:requesttag/{number}": (noise[number * 600 : number * 600 + 600],) for number in range(100)}
    message = world.denials.encode(denial(context=context, resource="arn:aws:s3:::b/" + "ü" * 5000))
    assert len(message) <= MAX_MESSAGE_CHARS
    json.loads(world.denials.decode(message, HERE))


_WORLD = StsWorld()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_arbitrary_text_is_no_encoded_denial(text: str) -> None:
    """One answer to everything from outside."""
    with pytest.raises(ApiError, match="InvalidAuthorizationMessageException"):
        _WORLD.denials.decode(text, HERE)

"""Session tokens: what they hold, when they open, and that nothing else does."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.clock import SystemEntropy
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.sealing_keys import KEEP_S, ROTATE_S, SealingKeys, sealing_keys
from opentrail.identity.session_tokens import (
    MAX_TOKEN_CHARS,
    SessionTokens,
    TokenProblem,
    TokenProblemKind,
    TokenTooLarge,
    account_of_key_id,
    temporary_key_id,
)
from opentrail.state.database import Database
from opentrail.state.sealing import Seal
from tests.support.sts_world import HERE, NOON, SteeredClock, StsWorld

KEY_ID = "ASIAEXAMPLEEXAMPLE00"
SECRET = "canary-secret-0123456789abcdefghijklmnop"
SESSION = Principal(
    PrincipalType.ASSUMED_ROLE,
    HERE,
    "AROAEXAMPLEEXAMPLE000:work",
    f"arn:aws:sts::{HERE}:assumed-role/deploy/work",
    KEY_ID,
    session=SessionContext(
        created_at=NOON,
        issuer=SessionIssuer("Role", "AROAEXAMPLEEXAMPLE000", f"arn:aws:iam::{HERE}:role/ops/deploy", HERE, "deploy"),
        expires_at=NOON + timedelta(hours=1, microseconds=1),
        mfa_at=NOON - timedelta(minutes=5),
        source_identity="alice",
        provider=f"arn:aws:iam::{HERE}:oidc-provider/id.example.com",
        provider_attributes=(("id.example.com:sub", "repo:x"),),
        tags=(("agent", "codex"), ("on-behalf-of", "älice")),
        transitive_tag_keys=("agent",),
        policies=('{"Version":"2012-10-17","Statement":[]}',),
        policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    ),
    identity_provider="x",
)


def problem_of(world: StsWorld, token: str, key_id: str = KEY_ID) -> TokenProblemKind:
    """Why a token is refused."""
    with pytest.raises(TokenProblem) as caught:
        world.tokens.open(token, key_id, world.clock.now())
    return caught.value.kind


def test_a_token_holds_the_whole_principal_and_the_secret() -> None:
    """What went in comes out, every field of it, also where nothing is remembered."""
    world = StsWorld()
    token = world.tokens.issue(SESSION, SECRET)
    for tokens in (world.tokens, world.tokens, SessionTokens(world.keys)):
        opened = tokens.open(token, KEY_ID, NOON)
        assert opened.principal == SESSION
        assert opened.secret_access_key == SECRET


def test_a_user_s_session_without_issuer_survives_too() -> None:
    """GetSessionToken sessions have no issuer, and most fields empty."""
    world = StsWorld()
    session = SessionContext(created_at=NOON, expires_at=NOON + timedelta(hours=1))
    who = Principal(PrincipalType.IAM_USER, HERE, "AIDA", "arn:x", KEY_ID, "alice", session)
    token = world.tokens.issue(who, SECRET)
    assert world.tokens.open(token, KEY_ID, NOON).principal == who
    assert len(token) < 400


def test_a_token_opens_with_its_own_access_key_only() -> None:
    """Another access key id is refused, remembered or not."""
    world = StsWorld()
    token = world.tokens.issue(SESSION, SECRET)
    assert problem_of(world, token, "ASIAEXAMPLEEXAMPLE01") is TokenProblemKind.INVALID
    world.tokens.open(token, KEY_ID, NOON)
    assert problem_of(world, token, "ASIAEXAMPLEEXAMPLE01") is TokenProblemKind.INVALID


def test_an_expired_token_is_told_apart_and_names_its_owner() -> None:
    """Expiry is looked at each time, also where the token was opened before; the owner can be recorded."""
    world = StsWorld()
    token = world.tokens.issue(SESSION, SECRET)
    world.tokens.open(token, KEY_ID, NOON)
    world.clock.forward(hours=1)
    world.tokens.open(token, KEY_ID, world.clock.now())
    world.clock.forward(seconds=1)
    with pytest.raises(TokenProblem) as caught:
        world.tokens.open(token, KEY_ID, world.clock.now())
    assert caught.value.kind is TokenProblemKind.EXPIRED
    assert caught.value.session is not None
    assert caught.value.session.principal == SESSION
    assert SECRET not in f"{caught.value!r} {caught.value.session!r}"


def test_a_token_of_another_home_is_invalid() -> None:
    """Sealing keys are each HOME's own."""
    token = StsWorld().tokens.issue(SESSION, SECRET)
    assert problem_of(StsWorld(), token) is TokenProblemKind.INVALID


def test_every_changed_byte_makes_a_token_invalid() -> None:
    """Nothing of a token can be changed: not the version, the key id, the nonce, the content or the tag."""
    world = StsWorld()
    raw = bytearray(base64.b64decode(world.tokens.issue(SESSION, SECRET)))
    for place in range(len(raw)):
        raw[place] ^= 1
        assert problem_of(world, base64.b64encode(raw).decode()) is TokenProblemKind.INVALID, place
        raw[place] ^= 1


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode())))
def test_arbitrary_text_is_an_invalid_token(text: str) -> None:
    """Whatever comes from outside, the answer is the same and nothing else is raised."""
    assert problem_of(_WORLD, text) is TokenProblemKind.INVALID


_WORLD = StsWorld()


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=10).map(tuple),
    st.integers(0, 36 * 3600 * 10**6),
)
def test_sessions_come_back_as_they_were(name: str, tags: tuple[tuple[str, str], ...], microseconds: int) -> None:
    """Any text and any instant survives, to the microsecond."""
    assert SESSION.session is not None
    ends = NOON + timedelta(microseconds=microseconds + 1)
    session = replace(SESSION.session, tags=tags, expires_at=ends, created_at=ends - timedelta(microseconds=7))
    who = replace(SESSION, user_name=name, session=session)
    assert _WORLD.tokens.open(_WORLD.tokens.issue(who, SECRET), KEY_ID, NOON).principal == who


def test_a_token_never_shows_what_it_holds() -> None:
    """The secret is in neither the token nor its decoded bytes."""
    token = StsWorld().tokens.issue(SESSION, SECRET)
    assert SECRET.encode() not in base64.b64decode(token)
    assert b"canary" not in base64.b64decode(token)


def test_what_does_not_fit_is_refused() -> None:
    """A token has at most 4096 characters."""
    world = StsWorld()
    assert SESSION.session is not None
    noise = world.entropy.text(4096, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    with pytest.raises(TokenTooLarge):
        world.tokens.issue(replace(SESSION, session=replace(SESSION.session, policies=(noise,))), SECRET)


@pytest.mark.parametrize("minimum", [1, 1000, 1001, 2048, 4094, 4096])
def test_a_token_can_be_asked_to_be_longer(minimum: int) -> None:
    """Clients test their limits with it; it opens like any other."""
    world = StsWorld()
    token = world.tokens.issue(SESSION, SECRET, minimum_chars=minimum)
    assert minimum <= len(token) <= MAX_TOKEN_CHARS
    assert world.tokens.open(token, KEY_ID, NOON).principal == SESSION


def test_only_sessions_with_an_end_get_a_token() -> None:
    """Without an expiry there would be credentials for ever."""
    world = StsWorld()
    with pytest.raises(ValueError, match="expiry"):
        world.tokens.issue(replace(SESSION, session=None), SECRET)


def test_only_so_many_tokens_are_remembered() -> None:
    """The memory of opened tokens is bounded, and forgetting costs nothing but time."""
    world = StsWorld()
    tokens = SessionTokens(world.keys, remembered=2)
    issued = [tokens.issue(SESSION, SECRET) for _ in range(5)]
    for token in issued * 2:
        assert tokens.open(token, KEY_ID, NOON).principal == SESSION
    assert len(tokens._opened) == 2


def test_keys_rotate_and_old_ones_open_until_nothing_they_sealed_is_valid() -> None:
    """A day seals, 36 hours more open; then a key is gone from the database, too."""
    world = StsWorld()
    first = world.keys.current()
    assert SESSION.session is not None
    long_lived = replace(
        SESSION, session=replace(SESSION.session, expires_at=NOON + timedelta(seconds=ROTATE_S + KEEP_S))
    )
    token = world.tokens.issue(long_lived, SECRET)
    with world.database.unit() as unit:
        assert not world.keys.rotate_if_due(unit)
    world.clock.forward(seconds=ROTATE_S)
    with world.database.unit() as unit:
        assert world.keys.rotate_if_due(unit)
        assert world.keys.current() is first  # not before the commit
    assert world.keys.current() is not first
    assert world.keys.by_id(first.key_id) is first
    for _ in range(2):
        world.clock.forward(seconds=KEEP_S / 2 - 1)
        with world.database.unit() as unit:
            world.keys.rotate_if_due(unit)
        assert SessionTokens(world.keys).open(token, KEY_ID, world.clock.now()).principal == long_lived
    for _ in range(2):
        world.clock.forward(seconds=ROTATE_S)
        with world.database.unit() as unit:
            world.keys.rotate_if_due(unit)
    assert world.keys.by_id(first.key_id) is None
    with pytest.raises(TokenProblem):
        SessionTokens(world.keys).open(token, KEY_ID, NOON)


def test_keys_survive_a_restart_and_are_sealed_in_the_database() -> None:
    """Another process finds the same keys; the table holds none of them in clear."""
    world = StsWorld()
    token = world.tokens.issue(SESSION, SECRET)
    seal = Seal(b"k" * 32, SystemEntropy())
    again = SealingKeys(world.database, seal, world.clock, SystemEntropy())
    assert again.current() == world.keys.current()
    assert SessionTokens(again).open(token, KEY_ID, NOON).principal == SESSION
    with world.database.read() as connection:
        rows = connection.execute(sealing_keys.select()).all()
    assert len(rows) == 1
    assert len(rows[0].sealed_key) > 32


def test_a_shorter_rotation_can_be_configured() -> None:
    """The interval is an option."""
    database, clock, entropy = Database(None), SteeredClock(), SystemEntropy()
    database.create_tables()
    keys = SealingKeys(database, Seal(b"k" * 32, entropy), clock, entropy, rotate_s=60.0)
    clock.forward(seconds=59)
    assert not keys.is_due()
    clock.forward(seconds=1)
    assert keys.is_due()


def test_a_temporary_key_s_id_tells_its_account_as_aws_s_do() -> None:
    """Ours round-trip, and a published id of AWS's is read as its account."""
    entropy = SystemEntropy()
    for account in (HERE, "000000000001", "999999999999"):
        key_id = temporary_key_id(entropy, account)
        assert len(key_id) == 20
        assert account_of_key_id(key_id) == account
    assert account_of_key_id("ASIAQNZGKIQY56JQ7WML") == "029608264753"
    for other in ("AKIAQNZGKIQY56JQ7WML", "ASIA", "ASIA0000000000000000", "ASIAAAAAAAAAAAAAAAAA", ""):
        assert account_of_key_id(other) is None


@given(st.text(max_size=24))
def test_no_key_id_is_too_strange(text: str) -> None:
    """Any text gives an account or none."""
    found = account_of_key_id("ASIA" + text)
    assert found is None or len(found) == 12

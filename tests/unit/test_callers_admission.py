"""Who is let in: long-term keys, session tokens, and everything that only looks like one of them."""

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opentrail.aws.http import RequestHead
from opentrail.aws.sigv4 import Scope, SigningKey, sign
from opentrail.clock import SystemEntropy
from opentrail.gateway.admit import Admission, Dialect, Refusal
from opentrail.gateway.exchange import Caller
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.sealing_keys import SealingKeys
from opentrail.identity.session_tokens import SessionTokens, temporary_key_id
from opentrail.identity.store import Identities, KeyOwner
from opentrail.state.database import Database
from opentrail.state.sealing import Seal

ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
USER_KEY, USER_SECRET = "AKIAEXAMPLEEXAMPLE00", "user-secret"
ROOT_KEY, ROOT_SECRET = "AKIAEXAMPLEROOTKEY00", "root-secret"
SECRET = "temporary-secret"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class World:
    """Real identities, real tokens, and the admission in front of them."""

    def __init__(self) -> None:
        entropy = SystemEntropy()
        self.entropy = entropy
        self.clock = Clock()
        self.database = Database(None)
        self.database.create_tables()
        seal = Seal(b"k" * 32, entropy)
        self.identities = Identities(self.database, seal, entropy)
        with self.database.unit() as unit:
            self.identities.create_account(unit, ACCOUNT, "a", NOW)
            self.identities.import_key(unit, ACCOUNT, KeyOwner.root(), (ROOT_KEY, ROOT_SECRET), at=NOW)
            self.identities.import_key(unit, ACCOUNT, KeyOwner.user("ada"), (USER_KEY, USER_SECRET), at=NOW)
            self.role = self.identities.import_key(
                unit, ACCOUNT, KeyOwner.session("Ops", "x"), ("AKIAEXAMPLEROLEKEY00", "r"), at=NOW
            )
        self.tokens = SessionTokens(SealingKeys(self.database, seal, self.clock, entropy))
        self.admission = Admission(self.identities.directory, self.tokens, self.clock, entropy)

    def session(self, hours: float = 1, **changes: Any) -> tuple[Principal, str]:
        """A session of the role Ops, and its token."""
        assert self.role.session is not None
        issuer = changes.pop("issuer", self.role.session.issuer)
        principal = Principal(
            PrincipalType.ASSUMED_ROLE,
            ACCOUNT,
            f"{issuer.principal_id}:night",
            f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/night",
            temporary_key_id(self.entropy, ACCOUNT),
            session=SessionContext(NOW, issuer=issuer, expires_at=NOW + timedelta(hours=hours)),
        )
        return principal, self.tokens.issue(principal, SECRET)

    def request(self, key_id: str, secret: str, token: str | None = None) -> RequestHead:
        """A signed request, at the clock's time."""
        headers = {"host": "127.0.0.1"} | ({"x-amz-security-token": token} if token else {})
        scope = Scope(f"{self.clock.at:%Y%m%d}", "eu-west-1", "sts")
        added = sign(
            "POST",
            "/",
            "",
            headers,
            key=SigningKey(secret, scope),
            access_key_id=key_id,
            scope=scope,
            signed_at=self.clock.at,
            payload_hash=EMPTY,
        )
        return RequestHead("POST", "/", "", headers | added)

    def admit(self, head: RequestHead, dialect: Dialect = Dialect.JSON, **options: Any) -> Caller:
        """What the admission says."""
        return self.admission.admit(head, self.admission.claim(head, dialect), EMPTY, dialect, **options)

    def refusal(self, head: RequestHead, dialect: Dialect = Dialect.JSON) -> Refusal:
        """The refusal of a request that must not be let in."""
        with pytest.raises(Refusal) as caught:
            self.admit(head, dialect)
        return caught.value


@pytest.fixture
def world() -> World:
    """A fresh world."""
    return World()


def test_a_session_token_makes_its_principal_the_caller(world: World) -> None:
    """The whole principal comes out of the token, without a look into the database."""
    principal, token = world.session()
    world.database.close()
    caller = world.admit(world.request(principal.access_key_id, SECRET, token))
    assert caller.principal == principal


CODES = {
    "unknown": {
        Dialect.JSON: ("UnrecognizedClientException", 400),
        Dialect.QUERY: ("InvalidClientTokenId", 403),
        Dialect.S3: ("InvalidToken", 400),
    },
    "expired": {
        Dialect.JSON: ("ExpiredTokenException", 400),
        Dialect.QUERY: ("ExpiredToken", 403),
        Dialect.S3: ("ExpiredToken", 400),
    },
}


@pytest.mark.parametrize("dialect", Dialect)
def test_an_expired_token_is_told_as_such_to_whoever_can_sign_with_it(world: World, dialect: Dialect) -> None:
    """ExpiredToken with its owner; the wrong secret for it is a wrong signature, nothing more."""
    principal, token = world.session()
    world.admit(world.request(principal.access_key_id, SECRET, token))
    world.clock.at += timedelta(hours=2)
    refusal = world.refusal(world.request(principal.access_key_id, SECRET, token), dialect)
    assert (refusal.code, refusal.status) == CODES["expired"][dialect]
    assert refusal.owner is not None
    assert (refusal.owner.type, refusal.owner.account_id) == (PrincipalType.UNKNOWN, ACCOUNT)
    assert "SignatureDoesNotMatch" in world.refusal(
        world.request(principal.access_key_id, "wrong", token), Dialect.QUERY
    ).code  # fmt: skip


def _tampered(world: World) -> tuple[str, str]:
    principal, token = world.session()
    middle = len(token) // 2
    return principal.access_key_id, token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]


def _of_another_key(world: World) -> tuple[str, str]:
    return temporary_key_id(world.entropy, ACCOUNT), world.session()[1]


def _of_another_home(world: World) -> tuple[str, str]:
    principal, token = World().session()
    return principal.access_key_id, token


def _made_up(world: World) -> tuple[str, str]:
    return "ASIAEXAMPLEEXAMPLE00", "FwoGZXIvYXdzEBYaD"


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("make", [_tampered, _of_another_key, _of_another_home, _made_up])
def test_a_token_that_is_not_ours_proves_nothing(
    world: World, make: Callable[[World], tuple[str, str]], dialect: Dialect
) -> None:
    """Tampered, moved to another key, from another HOME, made up: one answer, and nobody's account is touched."""
    key_id, token = make(world)
    refusal = world.refusal(world.request(key_id, SECRET, token), dialect)
    assert (refusal.code, refusal.status) == CODES["unknown"][dialect]
    assert refusal.owner is None
    assert token not in refusal.message


@pytest.mark.parametrize("dialect", Dialect)
def test_a_session_of_somebody_deleted_ends_at_once(world: World, dialect: Dialect) -> None:
    """A role that was deleted, or made anew under the same name, is another one: its old tokens are refused."""
    gone = SessionIssuer("Role", "AROAGONEGONEGONEGONE0", f"arn:aws:iam::{ACCOUNT}:role/Ops", ACCOUNT, "Ops")
    principal, token = world.session(issuer=gone)
    refusal = world.refusal(world.request(principal.access_key_id, SECRET, token), dialect)
    assert (refusal.code, refusal.status) == CODES["unknown"][dialect]


def test_a_temporary_key_without_its_token_is_unknown(world: World) -> None:
    """ASIA keys are in no table."""
    principal, _ = world.session()
    assert world.refusal(world.request(principal.access_key_id, SECRET)).code == "UnrecognizedClientException"


def test_a_long_term_key_with_a_token_is_refused(world: World) -> None:
    """A token does not belong to an AKIA key, whoever it was issued to."""
    _, token = world.session()
    assert world.refusal(world.request(USER_KEY, USER_SECRET, token), Dialect.QUERY).code == "InvalidClientTokenId"


def test_unsigned_calls_are_let_in_only_where_the_operation_allows_it(world: World) -> None:
    """AssumeRoleWithWebIdentity brings no signature; everything else must."""
    head = RequestHead("POST", "/", "", {"host": "127.0.0.1"})
    assert world.admit(head, Dialect.QUERY, unsigned=True).principal.is_anonymous
    assert world.refusal(head, Dialect.QUERY).code == "MissingAuthenticationToken"


def test_a_root_goes_by_its_accounts_alias(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """userName of Root is the alias, where there is one."""
    assert world.admit(world.request(ROOT_KEY, ROOT_SECRET)).principal.user_name == ""
    monkeypatch.setattr(type(world.identities.directory), "account_alias", lambda self, account_id: "acme")
    assert world.admit(world.request(ROOT_KEY, ROOT_SECRET)).principal.user_name == "acme"
    assert world.admit(world.request(USER_KEY, USER_SECRET)).principal.user_name == "ada"


def test_unknown_keys_cost_as_many_hmacs_as_known_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four to derive the key and one to sign at first, one afterwards, whatever the key or token is worth."""
    counted = 0
    derive, signature = hmac.digest, SigningKey.signature

    def digest(key: bytes, text: bytes, kind: str) -> bytes:
        nonlocal counted
        counted += 1
        return derive(key, text, kind)

    def counting(self: SigningKey, text: bytes) -> str:
        nonlocal counted
        counted += 1
        return signature(self, text)

    principal, token = world.session()
    old, old_token = world.session(hours=-1)
    heads = {
        "user": world.request(USER_KEY, USER_SECRET),
        "user, wrong secret": world.request(USER_KEY, "wrong"),
        "nobody": world.request("AKIANOBODYNOBODY0000", "s"),
        "session": world.request(principal.access_key_id, SECRET, token),
        "expired": world.request(old.access_key_id, SECRET, old_token),
        "made up": world.request("ASIANOBODYNOBODY0000", "s", "x" * 400),
    }
    monkeypatch.setattr(hmac, "digest", digest)
    monkeypatch.setattr(SigningKey, "signature", counting)

    def cost(head: RequestHead) -> int:
        nonlocal counted
        counted = 0
        try:
            world.admit(head)
        except Refusal:
            pass
        return counted

    for name, head in heads.items():
        world.admission.forget(USER_KEY)
        assert (name, cost(head), cost(head)) == (name, 5, 1)


def test_uses_are_noted_once_per_key_and_role_and_only_when_proven(world: World) -> None:
    """The latest use of each, taken once; refused requests leave no note."""
    principal, token = world.session()
    world.refusal(world.request(ROOT_KEY, "wrong"))
    for _ in range(3):
        world.admit(world.request(USER_KEY, USER_SECRET))
    world.clock.at += timedelta(minutes=1)
    world.admit(world.request(USER_KEY, USER_SECRET))
    world.admit(world.request(principal.access_key_id, SECRET, token))
    keys, roles = world.admission.uses.take()
    assert {key: (use.at, use.service, use.region) for key, use in keys.items()} == {
        USER_KEY: (NOW + timedelta(minutes=1), "sts", "eu-west-1")
    }
    assert world.role.session is not None
    assert world.role.session.issuer is not None
    assert set(roles) == {world.role.session.issuer.principal_id}
    assert world.admission.uses.take() == ({}, {})


def test_a_region_that_could_not_be_one_is_refused(world: World) -> None:
    """The region of the scope becomes part of object keys."""
    head = world.request(USER_KEY, USER_SECRET)
    bad = replace(head, headers={n: v.replace("/eu-west-1/", "/../") for n, v in head.headers.items()})
    assert world.refusal(bad).code in {"InvalidSignatureException", "IncompleteSignatureException"}

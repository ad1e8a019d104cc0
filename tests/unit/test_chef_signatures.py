"""Chef's signatures as the door reads them: what holds, what does not, and in which order it is found out."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.signatures import (
    Claim,
    check_content,
    check_freshness,
    is_signed_by,
    read_claim,
    rsa_public_key,
)
from opentrail.opsworks.keys import generate_key_pair
from tests.support.chef_clients import VERSIONS, chef_headers, private_key
from tests.support.opsworks import KEY_PAIR

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PATH = "/organizations/default/nodes/i-0abc"
KEY = private_key(KEY_PAIR.private_pem)
PUBLIC = KEY.public_key()
BODY = b'{"name":"i-0abc"}'


def signed(version: str = "1.3", **changes: str) -> dict[str, str]:
    headers = chef_headers(version, "PUT", PATH, BODY, user="i-0abc", key=KEY, at=AT)
    return {name.lower(): value for name, value in (headers | changes).items()}


def claim_of(version: str = "1.3", **changes: str) -> Claim:
    return read_claim(signed(version, **changes))


def refusal(headers: dict[str, str]) -> ChefRefusal:
    with pytest.raises(ChefRefusal) as caught:
        read_claim(headers)
    assert caught.value.status == HTTPStatus.UNAUTHORIZED
    return caught.value


@pytest.mark.parametrize("version", VERSIONS)
def test_chef_signatures_of_every_version_hold(version: str) -> None:
    """What an independent signer made is accepted, for its method, path, time, name and body only."""
    claim = claim_of(version)
    assert is_signed_by(claim, "PUT", PATH, PUBLIC)
    check_content(claim, BODY)
    check_freshness(claim, AT)
    assert not is_signed_by(claim, "DELETE", PATH, PUBLIC)
    assert not is_signed_by(claim, "PUT", PATH + "x", PUBLIC)
    other = private_key(generate_key_pair().private_pem).public_key()
    assert not is_signed_by(claim, "PUT", PATH, other)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["X-Ops-UserId", "X-Ops-Timestamp", "X-Ops-Content-Hash"])
def test_chef_signatures_cover_their_headers(version: str, name: str) -> None:
    """A header changed afterwards breaks the signature."""
    changed = {"X-Ops-UserId": "pivotal", "X-Ops-Timestamp": "2026-11-23T12:00:01Z", "X-Ops-Content-Hash": "AAAA"}[name]
    assert not is_signed_by(claim_of(version, **{name: changed}), "PUT", PATH, PUBLIC)


def test_chef_signature_1_3_covers_the_api_version() -> None:
    """The version that the client asked for is part of what it signed; without the header it is 0."""
    assert not is_signed_by(claim_of("1.3", **{"X-Ops-Server-API-Version": "0"}), "PUT", PATH, PUBLIC)
    headers = chef_headers("1.3", "PUT", PATH, BODY, user="i-0abc", key=KEY, at=AT, api_version=None)
    claim = read_claim({name.lower(): value for name, value in headers.items()})
    assert is_signed_by(claim, "PUT", PATH, PUBLIC)


@pytest.mark.parametrize("path", [PATH + "/", PATH.replace("/nodes", "//nodes"), "/" + PATH + "//"])
def test_chef_signatures_ignore_repeated_and_trailing_slashes(path: str) -> None:
    """As Chef's own library canonicalises."""
    assert is_signed_by(claim_of(), "PUT", path, PUBLIC)


def test_chef_requests_are_fresh_for_fifteen_minutes() -> None:
    """Not a second more, before or after."""
    claim = claim_of()
    for at in (AT - timedelta(minutes=15), AT + timedelta(minutes=15)):
        check_freshness(claim, at)
    for at in (AT - timedelta(minutes=15, seconds=1), AT + timedelta(minutes=15, seconds=1)):
        with pytest.raises(ChefRefusal, match="Synchronize the clock"):
            check_freshness(claim, at)


def test_chef_bodies_are_the_signed_ones() -> None:
    """A body that differs by a byte is refused before any key is looked for."""
    for version in VERSIONS:
        with pytest.raises(ChefRefusal, match="Content-Hash"):
            check_content(claim_of(version), BODY + b" ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"X-Ops-Sign": ""}, "missing"),
        ({"X-Ops-Sign": "algorithm=sha1;version=1.2;"}, "versions 1.0, 1.1, 1.3"),
        ({"X-Ops-Sign": "algorithm=sha1;version=1.3;"}, "algorithm sha256"),
        ({"X-Ops-Sign": "algorithm=sha256;version=1.0;"}, "algorithm sha1"),
        ({"X-Ops-UserId": "a b"}, "name"),
        ({"X-Ops-UserId": "../admin"}, "name"),
        ({"X-Ops-UserId": "a" * 301}, "name"),
        ({"X-Ops-Timestamp": "yesterday"}, "malformed"),
        ({"X-Ops-Content-Hash": "A" * 65}, "malformed"),
        ({"X-Ops-Authorization-1": "%%%"}, "base64"),
        ({"X-Ops-Authorization-1": ""}, "missing"),
    ],
)
def test_chef_headers_that_are_none_are_told_so(changes: dict[str, str], said: str) -> None:
    """Missing and malformed headers are 401 with a reason."""
    assert said in str(refusal(signed(**changes)))


def test_chef_timestamps_that_never_were_are_refused() -> None:
    """The form alone does not make a time."""
    with pytest.raises(ChefRefusal, match="malformed"):
        check_freshness(claim_of(**{"X-Ops-Timestamp": "2026-13-45T12:00:00Z"}), AT)


def test_keys_that_are_no_rsa_keys_are_none() -> None:
    """Whatever the engine has: an EC key or garbage opens nothing."""
    assert rsa_public_key("garbage") is None
    assert rsa_public_key(KEY_PAIR.public_pem) is not None

"""Parsers of what strangers send to the Chef API door: any input gives a value or a refusal."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.opsworks.custom_domains import MEMBERS, read_custom_domain
from opentrail.opsworks.endpoints import Address
from opentrail.opsworks.front.file_links import FileLinks
from opentrail.opsworks.front.refusal import ChefRefusal
from opentrail.opsworks.front.routes import check_api_version, find_route
from opentrail.opsworks.front.signatures import canonical_path, check_freshness, is_signed_by, read_claim
from tests.support.chef_clients import VERSIONS, chef_headers, private_key
from tests.support.opsworks import KEY_PAIR

KEY: rsa.RSAPrivateKey = private_key(KEY_PAIR.private_pem)
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=40)
PATHS = st.lists(st.text("abz09_.%-", min_size=1, max_size=8), min_size=1, max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "x-ops-sign",
            "x-ops-userid",
            "x-ops-timestamp",
            "x-ops-content-hash",
            "x-ops-authorization-1",
            "x-ops-authorization-2",
        ]
    ),
    LATIN | st.sampled_from(["version=1.3", "algorithm=sha1;version=1.0;", "2026-11-23T12:00:00Z", "AAAA", "pivotal"]),
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(VERSIONS), st.sampled_from(["GET", "PUT", "POST"]), PATHS, st.binary(max_size=50), NAMES, NAMES)
def test_chef_signatures_mean_one_request(
    version: str, method: str, path: str, body: bytes, user: str, other: str
) -> None:
    """What a signer signed holds; the same signature under another name does not."""
    headers = chef_headers(version, method, canonical_path(path), body, user=user, key=KEY, at=AT)
    lower = {name.lower(): value for name, value in headers.items()}
    assert is_signed_by(read_claim(lower), method, path, KEY.public_key())
    if other != user:
        assert not is_signed_by(read_claim(lower | {"x-ops-userid": other}), method, path, KEY.public_key())


@settings(deadline=None)
@given(HEADERS)
def test_chef_headers_are_read_or_refused(headers: dict[str, str]) -> None:
    """Nothing else happens, and what is read can be checked."""
    try:
        claim = read_claim(headers)
        check_freshness(claim, AT)
    except ChefRefusal:
        return
    assert not is_signed_by(claim, "GET", "/nodes", KEY.public_key())


@given(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", ""]), LATIN.map(lambda text: "/" + text))
def test_chef_paths_are_routed_or_refused(method: str, path: str) -> None:
    """Whatever goes through has one plain path: no dots, no empty segments, no second meaning behind us."""
    try:
        route = find_route(method, path)
    except ChefRefusal:
        return
    segments = route.path.split("/")[1:]
    assert all(segment and segment not in {".", ".."} and "%2F" not in segment.upper() for segment in segments)


@given(LATIN)
def test_chef_api_versions_are_read_or_refused(text: str) -> None:
    """0, 1 or 406."""
    try:
        assert check_api_version({"x-ops-server-api-version": text}) in {0, 1}
    except ChefRefusal as refusal:
        assert refusal.status == 406


@given(LATIN, st.booleans())
def test_foreign_links_open_nothing(query: str, writes: bool) -> None:
    """Nobody guesses a link."""
    assert not FileLinks(b"k" * 32).allows(query, "s", "0" * 32, 0, writes=writes)


@given(st.text(max_size=60))
def test_addresses_are_read_from_anything(text: str) -> None:
    """A Host header never breaks the door."""
    assert 0 <= Address.of(text).port <= 65535


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, st.text(max_size=60))))
def test_custom_domains_are_read_or_refused(request: dict[str, str]) -> None:
    """Garbage is a ValidationException that repeats none of it."""
    try:
        assert read_custom_domain(request, AT) is None
        assert not request
    except ApiError as error:
        assert error.code == "ValidationException"
        assert not any(len(value) > 20 and value in error.message for value in request.values())

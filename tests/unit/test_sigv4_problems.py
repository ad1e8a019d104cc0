"""What is refused, why, and in whose words; and the parts a debugger looks at."""

from datetime import UTC, datetime, timedelta

import pytest

from opentrail.aws.canonical_request import canonical_paths, canonical_query, stamp
from opentrail.aws.http import RequestHead
from opentrail.aws.sigv4 import (
    ProblemKind,
    Scope,
    SignatureProblem,
    SigningKey,
    SigningKeys,
    canonical_request,
    read_authorization,
    sign,
    string_to_sign,
    verify,
)

NOW = datetime(2026, 11, 23, 0, 20, tzinfo=UTC)
SCOPE = Scope("20261123", "us-east-1", "sts")
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY = SigningKey(SECRET, SCOPE)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
GOOD = "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=" + "0" * 64


def signed_head(signed_at: datetime = NOW, scope: Scope = SCOPE, **headers: str) -> RequestHead:
    """A request signed by us."""
    sent = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    added = sign(
        "GET",
        "/",
        "",
        sent,
        key=SigningKey(SECRET, scope),
        access_key_id="AK",
        scope=scope,
        signed_at=signed_at,
        payload_hash=EMPTY,
    )
    return RequestHead("GET", "/", "", sent | added)


def with_headers(head: RequestHead, **changes: str) -> RequestHead:
    """The same request with headers added or replaced."""
    return RequestHead(
        head.method, head.path, head.query, dict(head.headers) | {k.replace("_", "-"): v for k, v in changes.items()}
    )


def problem(head: RequestHead, *, key: SigningKey = KEY, now: datetime = NOW) -> SignatureProblem:
    """The problem of a request that is refused."""
    with pytest.raises(SignatureProblem) as refusal:
        authorization = read_authorization(head)
        assert authorization is not None
        verify(head, authorization, key, EMPTY, now=now)
    return refusal.value


def test_a_request_without_a_signature_is_anonymous() -> None:
    """Neither a plain request nor one with an ordinary query is taken for a signed one."""
    assert read_authorization(RequestHead("GET", "/", "", {"host": "h"})) is None
    assert read_authorization(RequestHead("GET", "/b", "list-type=2&prefix=X-Amz", {"host": "h"})) is None


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("AWS AKID:c2lnbmF0dXJl", "not supported. Please use AWS4-HMAC-SHA256"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=b, Signature=c", "SigV4A"),
        ("Bearer token", "Unsupported Authorization Type"),
        ("", "Unsupported Authorization Type"),
        ("AWS4-HMAC-SHA256", "not well-formed"),
        ("AWS4-HMAC-SHA256 Credential=a", "requires 'Signature'"),
        (GOOD.replace("SignedHeaders=host, ", ""), "requires 'SignedHeaders'"),
        (GOOD.replace("Credential=AK/20261123/us-east-1/sts/aws4_request, ", ""), "requires 'Credential'"),
        (GOOD.replace("/sts/", "/"), "exactly 5 slash-delimited elements"),
        (GOOD.replace("aws4_request", "aws5_request"), "valid terminator"),
        (GOOD.replace("20261123", "today"), "valid date, region and service"),
        (GOOD.replace("SignedHeaders=host", "SignedHeaders=x-amz-date"), "'Host' or ':authority' must be"),
        (GOOD.replace("SignedHeaders=host", "SignedHeaders=Host"), "lower-case header names"),
        (GOOD.replace("SignedHeaders=host", "SignedHeaders=host;host"), "each once"),
        (GOOD.replace("Credential=", "Credential=b, Credential="), "not well-formed"),
        ("AWS4-HMAC-SHA256 " + "x" * 9000 + GOOD[17:], "not well-formed"),
    ],
)
def test_a_malformed_authorization_header_is_refused_with_its_reason(authorization: str, message: str) -> None:
    """Every way of getting the header wrong has its own text, and none of them repeats the header."""
    found = problem(
        RequestHead("GET", "/", "", {"host": "h", "x-amz-date": stamp(NOW), "authorization": authorization})
    )
    assert found.kind is ProblemKind.MALFORMED
    assert message in found.message
    assert "0" * 64 not in found.message


def test_the_parts_of_an_authorization_header_may_come_in_any_order() -> None:
    """A signature in front of the other parts, or without space after the commas, is read all the same."""
    head = signed_head()
    scheme, parts = head.headers["authorization"].split(" ", 1)
    turned = ",".join(reversed(parts.split(", ")))
    for text in (f"{scheme} {turned}", f"{scheme} {parts.replace(', ', ',')}"):
        other = with_headers(head, authorization=text)
        authorization = read_authorization(other)
        assert authorization is not None
        verify(other, authorization, KEY, EMPTY, now=NOW)


def test_an_old_signature_is_refused_in_awss_words() -> None:
    """Beyond the skew limit, the message names the three times as AWS does."""
    found = problem(signed_head(NOW - timedelta(minutes=20)), now=NOW)
    assert found.kind is ProblemKind.SKEWED
    assert found.message == (
        "Signature expired: 20261123T000000Z is now earlier than 20261123T000500Z (20261123T002000Z - 15 min.)"
    )


def test_a_signature_from_the_future_is_refused_in_awss_words() -> None:
    """A clock that is ahead beyond the limit is told so."""
    found = problem(signed_head(NOW + timedelta(minutes=20)), now=NOW)
    assert found.kind is ProblemKind.SKEWED
    assert found.message == (
        "Signature not yet current: 20261123T004000Z is still later than 20261123T003500Z (20261123T002000Z + 15 min.)"
    )


@pytest.mark.parametrize("skew_s", [-900, 900])
def test_the_skew_limit_itself_is_accepted(skew_s: int) -> None:
    """Fifteen minutes either way still pass."""
    head = signed_head()
    authorization = read_authorization(head)
    assert authorization is not None
    verify(head, authorization, KEY, EMPTY, now=NOW + timedelta(seconds=skew_s))


def test_the_scopes_date_must_be_the_signatures() -> None:
    """A key of yesterday does not sign today."""
    head = signed_head()
    other = with_headers(head, x_amz_date="20261122T235900Z")
    found = problem(other, now=NOW - timedelta(minutes=20))
    assert found.kind is ProblemKind.BAD_SCOPE
    assert found.message.endswith("'20261123' != '20261122', from '20261122T235900Z'.")


@pytest.mark.parametrize(
    "header", ["x_amz_security_token", "x_amz_target", "x_amz_copy_source", "x_amz_content_sha256_2"]
)
def test_an_amz_header_that_is_not_signed_is_refused(header: str) -> None:
    """Headers that mean something cannot be added on the way."""
    found = problem(with_headers(signed_head(), **{header: "added"}))
    assert found.kind is ProblemKind.UNSIGNED_HEADER
    assert header.replace("_", "-") in found.message


def test_headers_of_the_road_may_be_added() -> None:
    """Proxies may add headers that nothing depends on."""
    head = with_headers(signed_head(), x_forwarded_for="10.0.0.1", via="1.1 proxy")
    authorization = read_authorization(head)
    assert authorization is not None
    verify(head, authorization, KEY, EMPTY, now=NOW)


def test_a_signed_header_that_did_not_arrive_is_a_mismatch() -> None:
    """Dropping a signed header breaks the signature."""
    head = signed_head(range="bytes=0-1")
    headers = {name: value for name, value in head.headers.items() if name != "range"}
    assert problem(RequestHead("GET", "/", "", headers)).kind is ProblemKind.MISMATCH


def test_the_wrong_secret_is_a_mismatch_in_awss_words() -> None:
    """Another secret gives the message that SDK users know."""
    found = problem(signed_head(), key=SigningKey("other", SCOPE))
    assert found.kind is ProblemKind.MISMATCH
    assert found.message.startswith("The request signature we calculated does not match the signature you provided.")


@pytest.mark.parametrize("signature", ["00", "é" * 64, "g" * 64, " "])
def test_signatures_that_are_none_are_refused(signature: str) -> None:
    """Text that is not a signature never gets past the comparison, and never breaks it."""
    head = signed_head()
    text = head.headers["authorization"][:-64] + signature
    assert problem(with_headers(head, authorization=text)).kind in {ProblemKind.MISMATCH, ProblemKind.MALFORMED}


@pytest.mark.parametrize("date", ["Mon, 23 Nov 2026 00:20:00 GMT", "20261123T002000Z"])
def test_the_date_header_stands_in_for_x_amz_date(date: str) -> None:
    """Clients that send only Date are understood, in either form."""
    head = RequestHead("GET", "/", "", {"host": "h", "date": date, "authorization": GOOD})
    authorization = read_authorization(head)
    assert authorization is not None
    assert authorization.signed_at == NOW


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-amz-date": "2026-11-23"}, {"x-amz-date": "20261323T000000Z"}, {"date": "tomorrow"}, {"x-amz-date": ""}],
)
def test_a_request_needs_a_date_that_is_one(headers: dict[str, str]) -> None:
    """Missing and impossible dates are malformed."""
    found = problem(RequestHead("GET", "/", "", {"host": "h", "authorization": GOOD} | headers))
    assert found.kind is ProblemKind.MALFORMED


def test_s3_asks_for_the_content_hash_header() -> None:
    """A header signature for S3 says what its body is."""
    headers = {"host": "h", "x-amz-date": stamp(NOW), "authorization": GOOD.replace("/sts/", "/s3/")}
    found = problem(RequestHead("GET", "/", "", headers))
    assert found.message == "Missing required header for this request: x-amz-content-sha256"


def presigned(**changes: str) -> RequestHead:
    """A presigned request, badly signed, with some parameters replaced (or left out where empty)."""
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "AK%2F20261123%2Fus-east-1%2Fs3%2Faws4_request",
        "X-Amz-Date": "20261123T002000Z",
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    } | {"X-Amz-" + name: value for name, value in changes.items()}
    query = "&".join(f"{name}={value}" for name, value in parameters.items() if value)
    return RequestHead("GET", "/b/k", query, {"host": "h"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Expires": "0"}, "must be positive"),
        ({"Expires": "604801"}, "less than 604800 seconds"),
        ({"Expires": "-1"}, "should be a number"),
        ({"Expires": "٣"}, "should be a number"),
        ({"Expires": ""}, "X-Amz-Expires is missing"),
        ({"Credential": ""}, "X-Amz-Credential is missing"),
        ({"Signature": ""}, "X-Amz-Signature is missing"),
        ({"Algorithm": "AWS4-ECDSA-P256-SHA256"}, "only supports"),
        ({"Date": "today"}, "ISO-8601"),
        ({"Expires": "60&X-Amz-Expires=61"}, "only once"),
    ],
)
def test_a_malformed_presigned_address_is_refused_with_its_reason(changes: dict[str, str], message: str) -> None:
    """Every parameter of a presigned address is checked."""
    found = problem(presigned(**changes))
    assert found.kind is ProblemKind.MALFORMED
    assert message in found.message or "percent-encoded" in found.message


def test_a_presigned_address_expires() -> None:
    """It lasts as many seconds as it says, counted from its date."""
    assert problem(presigned(), now=NOW + timedelta(seconds=60)).kind is ProblemKind.MISMATCH
    late = problem(presigned(), now=NOW + timedelta(seconds=61))
    assert (late.kind, late.message) == (ProblemKind.EXPIRED, "Request has expired")
    assert problem(presigned(), now=NOW - timedelta(minutes=16)).kind is ProblemKind.SKEWED


def test_two_signatures_at_once_are_refused() -> None:
    """A request is signed in its header or in its query, not both."""
    head = presigned()
    found = problem(RequestHead("GET", "/", head.query, {"host": "h", "authorization": GOOD}))
    assert "Only one auth mechanism allowed" in found.message


def test_presigned_version_2_is_refused_by_name() -> None:
    """The old query signature is told what to use instead."""
    found = problem(RequestHead("GET", "/", "AWSAccessKeyId=a&Signature=b&Expires=1", {"host": "h"}))
    assert "Please use AWS4-HMAC-SHA256" in found.message


def test_an_authorization_does_not_show_its_signature_or_token() -> None:
    """What is printed by accident cannot be replayed."""
    authorization = read_authorization(signed_head(x_amz_security_token="canary"))
    assert authorization is not None
    assert authorization.signature not in repr(authorization)
    assert "canary" not in repr(authorization)


def test_the_texts_that_are_signed_look_as_documented() -> None:
    """The canonical request and the string to sign have AWS's layout, line by line."""
    headers = {"host": "h", "x-a": "  two   words ", "x-b": ""}
    canonical = canonical_request(RequestHead("GET", "/", "b=2&a", headers), ("host", "x-a", "x-b"), EMPTY)
    assert canonical == f"GET\n/\na=&b=2\nhost:h\nx-a:two words\nx-b:\n\nhost;x-a;x-b\n{EMPTY}".encode()
    lines = string_to_sign(canonical, SCOPE, NOW).decode().split("\n")
    assert lines[:3] == ["AWS4-HMAC-SHA256", "20261123T002000Z", "20261123/us-east-1/sts/aws4_request"]
    assert len(lines[3]) == 64


def test_a_header_value_cannot_pose_as_two_headers() -> None:
    """A line feed inside a value is white space like any other."""
    canonical = canonical_request(RequestHead("GET", "/", "", {"host": "a\nx-b:c"}), ("host",), EMPTY)
    assert b"host:a x-b:c\n" in canonical


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=1&a=0", "a=0&a=1&b=2"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("k=a+b", "k=a%20b"),
        ("k=a%2fb%2B", "k=a%2Fb%2B"),
        ("k=/:~*", "k=%2F%3A~%2A"),
        ("k=a=b", "k=a%3Db"),
        ("&&a=1&", "a=1"),
        ("k=%zz", "k=%25zz"),
        ("X-Amz-Signature=0&a=1&X%2dAmz-Signature=0", "a=1"),
    ],
)
def test_a_query_is_put_in_order(query: str, expected: str) -> None:
    """Parameters are decoded, encoded AWS's way and sorted by encoded name and value."""
    assert canonical_query(query) == expected


@pytest.mark.parametrize(
    ("path", "service", "expected"),
    [
        ("/", "s3", ("/",)),
        ("", "s3", ("/",)),
        ("", "sts", ("/",)),
        ("/a//b/../c/.", "s3", ("/a//b/../c/.",)),
        ("/a//b/../c/.", "sts", ("/a/c",)),
        ("/a%20b/", "s3", ("/a%20b/",)),
        ("/a%20b/", "sts", ("/a%2520b/",)),
        ("/a%2fb", "s3", ("/a%2Fb", "/a%2fb")),
        ("/a!b", "s3", ("/a%21b", "/a!b")),
        ("/../..", "sts", ("/",)),
    ],
)
def test_a_path_has_its_canonical_forms(path: str, service: str, expected: tuple[str, ...]) -> None:
    """S3 signs paths as they are; other services normalise them and encode once more."""
    assert canonical_paths(path, service) == expected


def test_an_s3_path_that_names_something_else_is_refused() -> None:
    """An encoded slash is not a slash: one signature never covers both."""
    assert "/a/b" not in canonical_paths("/a%2Fb", "s3")


def test_signing_needs_a_host_and_todays_scope() -> None:
    """Our own mistakes when signing are errors, not wrong signatures."""
    arguments = {"key": KEY, "access_key_id": "AK", "scope": SCOPE, "payload_hash": EMPTY}
    with pytest.raises(ValueError, match="host"):
        sign("GET", "/", "", {}, signed_at=NOW, **arguments)  # type: ignore[arg-type] # options by name
    with pytest.raises(ValueError, match="scope of 20261123"):
        sign("GET", "/", "", {"host": "h"}, signed_at=NOW + timedelta(days=1), **arguments)  # type: ignore[arg-type] # same


def test_keys_are_cached_for_their_secret_only() -> None:
    """A changed secret never signs with the old key, and a forgotten access key is derived anew."""
    keys = SigningKeys(capacity=2)
    first = keys.get("AK", "one", SCOPE)
    assert keys.get("AK", "one", SCOPE) is first
    assert keys.get("AK", "two", SCOPE).signature(b"") != first.signature(b"")
    keys.get("AK", "two", Scope("20261123", "us-east-1", "s3"))
    keys.forget("AK")
    assert len(keys) == 0


def test_the_key_cache_keeps_the_most_recently_used() -> None:
    """The cache is bounded and lets go of what was not used for longest."""
    keys = SigningKeys(capacity=2)
    first = keys.get("A", "s", SCOPE)
    keys.get("B", "s", SCOPE)
    assert keys.get("A", "s", SCOPE) is first
    keys.get("C", "s", SCOPE)
    assert len(keys) == 2
    assert keys.get("A", "s", SCOPE) is first

"""Whatever botocore or the AWS Common Runtime signs, we accept; whatever is changed on the way, we refuse."""

import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

import awscrt.auth
import awscrt.http
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opentrail.aws.canonical_request import canonical_paths
from opentrail.aws.http import RequestHead
from opentrail.aws.sigv4 import (
    Authorization,
    ProblemKind,
    Scope,
    SignatureProblem,
    SigningKey,
    read_authorization,
    sign,
    verify,
)

ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2026, 11, 23, 16, 49, 55, tzinfo=UTC)
FEW = settings(max_examples=60, deadline=None)

METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"])
SEGMENTS = st.text(max_size=8).map(lambda text: quote(text, safe="~"))
DOTTED = st.one_of(SEGMENTS, st.sampled_from(["", ".", "..", "a.b", "...", "%2F", "%2e", "a=b;c", "@:", "*", "!()'"]))
WORDS = st.text(string.ascii_letters + string.digits + "-._~", min_size=1, max_size=6)
VALUES = st.text(max_size=8).map(lambda text: quote(text, safe="~"))
QUERIES = st.lists(st.tuples(WORDS, st.one_of(st.none(), VALUES)), max_size=5).map(
    lambda pairs: "&".join(name if value is None else f"{name}={value}" for name, value in pairs)
)
HEADER_NAMES = st.sampled_from(
    ["content-type", "x-amz-meta-a", "x-amz-target", "x-custom", "range", "if-match", "x-a%s"]
)
HEADER_VALUES = st.text(string.ascii_letters + string.digits + " \t/;=,%\"'*", max_size=20)
HEADERS = st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=4)
TOKENS = st.one_of(st.none(), st.text(string.ascii_letters + "/+=", min_size=1, max_size=40))
BODIES = st.binary(max_size=40)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A request to be signed."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    token: str | None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://bucket.example.com:4566{self.path}" + (f"?{self.query}" if self.query else "")


def drawn(segments: st.SearchStrategy[str]) -> st.SearchStrategy[Drawn]:
    """Requests whose path has these segments."""
    paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))
    return st.builds(Drawn, METHODS, paths, QUERIES, HEADERS, BODIES, TOKENS)


def by_botocore(request: Drawn, signer: Any) -> tuple[RequestHead, bytes]:
    """The head and body that botocore would send."""
    again: Any = AWSRequest(method=request.method, url=request.url, headers=dict(request.headers), data=request.body)
    signer.add_auth(again)
    address = urlsplit(again.url)
    headers = {name.lower(): value for name, value in again.headers.items()} | {"host": "bucket.example.com:4566"}
    return RequestHead(request.method, address.path, address.query, headers), again.body or b""


@pytest.fixture(autouse=True, scope="module")
def _botocores_clock() -> Any:
    """Botocore signs at NOW."""
    before = vars(botocore.auth)["get_current_datetime"]
    vars(botocore.auth)["get_current_datetime"] = lambda: NOW.replace(tzinfo=None)
    yield
    vars(botocore.auth)["get_current_datetime"] = before


def accept(head: RequestHead, body: bytes, *, secret: str = SECRET) -> Authorization:
    """Verify as the gateway does; returns what was read."""
    authorization = read_authorization(head)
    assert authorization is not None
    payload_hash = authorization.payload_hash or sha256(body).hexdigest()
    if payload_hash not in {"UNSIGNED-PAYLOAD", sha256(body).hexdigest()}:
        raise SignatureProblem(ProblemKind.BAD_CONTENT_HASH, "not the declared body")
    verify(head, authorization, SigningKey(secret, authorization.scope), payload_hash, now=NOW)
    return authorization


def signer(kind: Callable[..., Any], service: str, token: str | None) -> Any:
    """A botocore signer with the tests' credentials."""
    return kind(Credentials(ACCESS_KEY_ID, SECRET, token), service, "us-east-1")


@FEW
@given(drawn(DOTTED))
def test_what_botocore_signs_for_a_service_is_accepted(request: Drawn) -> None:
    """Header signatures over odd paths, queries and headers, with and without a session token, are accepted."""
    head, body = by_botocore(request, signer(botocore.auth.SigV4Auth, "sts", request.token))
    authorization = accept(head, body)
    assert authorization.access_key_id == ACCESS_KEY_ID
    assert authorization.security_token == request.token
    assert authorization.signed_at == NOW
    assert not authorization.presigned


@FEW
@given(drawn(DOTTED))
def test_what_botocore_signs_for_s3_is_accepted(request: Drawn) -> None:
    """S3's header signatures are accepted, with paths exactly as they were sent."""
    head, body = by_botocore(request, signer(botocore.auth.S3SigV4Auth, "s3", request.token))
    assert accept(head, body).payload_hash == sha256(body).hexdigest()


@FEW
@given(drawn(SEGMENTS), st.integers(1, 604800))
def test_what_botocore_presigns_is_accepted(request: Drawn, expires_s: int) -> None:
    """Presigned addresses are accepted, with and without a session token."""
    kind = signer(botocore.auth.SigV4QueryAuth, "sts", request.token)
    kind._expires = expires_s
    head, body = by_botocore(replace(request, body=b""), kind)
    authorization = accept(head, body)
    assert authorization.presigned
    assert authorization.expires_s == expires_s
    assert authorization.security_token == request.token


@FEW
@given(drawn(DOTTED))
def test_what_botocore_presigns_for_s3_is_accepted_with_any_body(request: Drawn) -> None:
    """S3's presigned addresses say nothing about the body."""
    head, _ = by_botocore(replace(request, body=b""), signer(botocore.auth.S3SigV4QueryAuth, "s3", request.token))
    assert accept(head, request.body).payload_hash == "UNSIGNED-PAYLOAD"


@FEW
@given(drawn(SEGMENTS), st.booleans(), st.booleans())
def test_what_the_common_runtime_signs_is_accepted(request: Drawn, s3: bool, query: bool) -> None:
    """A signer written by other people in another language agrees."""
    assume(all(value.strip() for value in request.headers.values()))
    sent = awscrt.http.HttpHeaders([("host", "bucket.example.com:4566"), *request.headers.items()])
    path = request.path + (f"?{request.query}" if request.query else "")
    message = awscrt.http.HttpRequest(request.method, path, sent)
    kinds = awscrt.auth.AwsSignatureType
    body_header = awscrt.auth.AwsSignedBodyHeaderType
    signed: Any = awscrt.auth.aws_sign_request(
        message,
        awscrt.auth.AwsSigningConfig(
            signature_type=kinds.HTTP_REQUEST_QUERY_PARAMS if query else kinds.HTTP_REQUEST_HEADERS,
            credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(ACCESS_KEY_ID, SECRET, request.token),
            region="us-east-1",
            service="s3" if s3 else "sts",
            date=NOW,
            use_double_uri_encode=not s3,
            should_normalize_uri_path=not s3,
            signed_body_value=awscrt.auth.AwsSignedBodyValue.UNSIGNED_PAYLOAD if s3 else None,
            signed_body_header_type=body_header.X_AMZ_CONTENT_SHA_256 if s3 and not query else body_header.NONE,
            expiration_in_seconds=60 if query else None,
        ),
    ).result(10)
    where, _, what = signed.path.partition("?")
    headers = {name.lower(): value for name, value in signed.headers}
    accept(RequestHead(request.method, where, what, headers), b"")


@FEW
@given(drawn(DOTTED), st.booleans())
def test_our_signature_is_botocores(request: Drawn, s3: bool) -> None:
    """Signing for an upstream gives the very header that botocore gives."""
    service = "s3" if s3 else "sts"
    digest = sha256(request.body).hexdigest()
    token = {"x-amz-security-token": request.token} if request.token else {}
    headers = request.headers | {"user-agent": "opentrail", "expect": "100-continue", "x-amz-content-sha256": digest}
    kind = botocore.auth.S3SigV4Auth if s3 else botocore.auth.SigV4Auth
    theirs, _ = by_botocore(replace(request, headers=headers), signer(kind, service, request.token))
    scope = Scope("20261123", "us-east-1", service)
    # S3 alone: we sign what AWS makes of the path. What SDKs send is already that; some of what is drawn here is not.
    assume(not s3 or canonical_paths(request.path, "s3")[0] == request.path)
    ours = sign(
        request.method,
        request.path,
        request.query,
        headers | token | {"host": "bucket.example.com:4566"},
        key=SigningKey(SECRET, scope),
        access_key_id=ACCESS_KEY_ID,
        scope=scope,
        signed_at=NOW,
        payload_hash=digest,
    )
    assert ours == {name: theirs.headers[name] for name in ("authorization", "x-amz-date", "x-amz-content-sha256")}


def flipped(text: str, position: int) -> str:
    """The text with one visible character changed into another."""
    position %= len(text)
    other = "b" if text[position] == "a" else "a"
    return text[:position] + other + text[position + 1 :]


@FEW
@given(
    drawn(SEGMENTS),
    st.sampled_from(["signature", "method", "query", "path", "header", "body", "secret"]),
    st.integers(0),
)
def test_anything_changed_on_the_way_is_refused(request: Drawn, what: str, position: int) -> None:
    """A change of the signature or of anything signed is refused."""
    request = replace(request, path=request.path + "z", query="k=v", headers={"x-amz-meta-a": "value"})
    head, body = by_botocore(request, signer(botocore.auth.S3SigV4Auth, "s3", None))
    headers = dict(head.headers)
    secret = SECRET
    if what == "signature":
        start, signature = headers["authorization"][:-64], headers["authorization"][-64:]
        headers["authorization"] = start + flipped(signature, position)
    elif what == "method":
        head = replace(head, method="OPTIONS")
    elif what == "query":
        head = replace(head, query=flipped(head.query, position))
    elif what == "path":
        head = replace(head, path=head.path + "y")
    elif what == "header":
        headers["x-amz-meta-a"] = flipped("value", position)
    elif what == "body":
        body += b"!"
    else:
        secret = flipped(SECRET, position)
    with pytest.raises(SignatureProblem) as refusal:
        accept(replace(head, headers=headers), body, secret=secret)
    assert refusal.value.kind in {ProblemKind.MISMATCH, ProblemKind.BAD_CONTENT_HASH}


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
AUTHORIZATIONS = st.one_of(
    LATIN,
    st.builds("AWS4-HMAC-SHA256 {}".format, LATIN),
    st.builds("AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format, LATIN, LATIN, LATIN),
    st.builds(
        "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/s3/aws4_request, SignedHeaders={}, Signature={}".format,
        st.sampled_from(["host", "host;x-amz-date", "host;gone", "date;host"]),
        LATIN,
    ),
)
PARAMETERS = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"]
PARAMETER_VALUES = st.one_of(
    VALUES,
    st.sampled_from(
        ["AWS4-HMAC-SHA256", "AK/20261123/us-east-1/s3/aws4_request", "20261123T164955Z", "60", "host", ""]
    ),
)
PRESIGNED = st.lists(st.tuples(st.sampled_from(PARAMETERS), PARAMETER_VALUES), max_size=9).map(
    lambda pairs: "&".join(f"X-Amz-{name}={value}" for name, value in pairs)
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.none(), AUTHORIZATIONS),
    st.one_of(LATIN, PRESIGNED),
    LATIN,
    st.dictionaries(st.sampled_from(["host", "x-amz-date", "date", "x-amz-content-sha256"]), LATIN),
)
def test_arbitrary_heads_are_read_or_refused(
    authorization: str | None, query: str, path: str, headers: dict[str, str]
) -> None:
    """No head, however odd, raises anything but SignatureProblem, and none of these is accepted."""
    if authorization is not None:
        headers = headers | {"authorization": authorization}
    head = RequestHead("GET", path, query, headers)
    try:
        found = read_authorization(head)
        if found is None:
            return
        verify(head, found, SigningKey(SECRET, found.scope), sha256().hexdigest(), now=NOW)
    except SignatureProblem as problem:
        assert problem.message
        return
    pytest.fail("an unsigned request was accepted")

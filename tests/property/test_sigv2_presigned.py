"""Presigned addresses of version 2: what botocore makes is accepted, anything changed is not."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.http import RequestHead
from opentrail.aws.sigv2 import PresignedV2, read_presigned_v2, verify_v2
from opentrail.aws.sigv4 import ProblemKind, SignatureProblem

SECRET = "example-secret"
NOW = datetime.now(UTC)
KEY = st.text("abcXYZ019-_.~/%20", min_size=1, max_size=20).map(lambda text: text.replace("%", "%25"))
EXTRA = st.sampled_from(["", "versionId=abc", "response-content-type=text%2Fplain", "uploadId=u&partNumber=3"])


def _presigned(method: str, key: str, extra: str, token: str | None = None) -> RequestHead:
    request = AWSRequest(method, f"http://127.0.0.1:4566/bucket/{key}" + (f"?{extra}" if extra else ""))
    request.context["auth_path"] = None
    HmacV1QueryAuth(Credentials("AKIAEXAMPLE000000000", SECRET, token), expires=300).add_auth(request)
    split = urlsplit(request.url)
    return RequestHead(method, split.path, split.query, {"host": "127.0.0.1:4566"})


def _read(head: RequestHead) -> PresignedV2:
    presigned = read_presigned_v2(head)
    assert presigned is not None
    return presigned


@given(st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]), KEY, EXTRA, st.sampled_from([None, "token/+="]))
@settings(max_examples=100, deadline=None)
def test_what_botocore_presigns_is_accepted_and_every_change_refused(
    method: str, key: str, extra: str, token: str | None
) -> None:
    """Another method, path, secret or expiry breaks the signature."""
    head = _presigned(method, key, extra, token)
    presigned = _read(head)
    verify_v2(head, presigned, SECRET, head.path, now=NOW)
    later = head.query.replace(f"Expires={presigned.expires}", f"Expires={int(presigned.expires) + 1}")
    changed = [
        (RequestHead("POST", head.path, head.query, head.headers), SECRET),
        (RequestHead(method, head.path + "x", head.query, head.headers), SECRET),
        (RequestHead(method, head.path, later, head.headers), SECRET),
        (RequestHead(method, head.path, head.query, {**head.headers, "x-amz-acl": "public-read"}), SECRET),
        (RequestHead(method, head.path, head.query, {**head.headers, "content-type": "text/html"}), SECRET),
        (head, SECRET + "x"),
    ]
    for other, secret in changed:
        with pytest.raises(SignatureProblem) as caught:
            verify_v2(other, _read(other), secret, other.path, now=NOW)
        assert caught.value.kind is ProblemKind.MISMATCH


@pytest.mark.parametrize(
    "more",
    [
        *("acl", "legal-hold", "retention", "encryption", "policy", "list-type=2", "x-amz-acl=public-read"),
        *("x-amz-copy-source=%2Fb%2Fsecret", "x-id=GetObject", "versionId=a&versionId=b", "Expires=9999999999"),
        *("content-type=%0A9999999999%0A%2Fb%2Fsecret", "versionId=%0D", "%76ersionId=1", "response-expires=%00"),
    ],
)
def test_an_address_that_says_more_than_it_signs_is_refused(more: str) -> None:
    """Sub-resources that version 2 does not know, headers moved into the query, repetitions and control characters."""
    head = _presigned("GET", "k", "")
    longer = RequestHead("GET", head.path, f"{head.query}&{more}", head.headers)
    with pytest.raises(SignatureProblem):
        verify_v2(longer, _read(longer), SECRET, longer.path, now=NOW)


def test_a_header_must_be_the_one_that_was_signed() -> None:
    """A content type that the address names may be left out by who opens it, but not be another one."""
    request = AWSRequest("PUT", "http://127.0.0.1:4566/bucket/k", headers={"Content-Type": "image/png"})
    HmacV1QueryAuth(Credentials("AKIAEXAMPLE000000000", SECRET), expires=300).add_auth(request)
    split = urlsplit(request.url)
    for sent, fits in (({}, True), ({"content-type": "image/png"}, True), ({"content-type": "text/html"}, False)):
        head = RequestHead("PUT", split.path, split.query, sent)
        if fits:
            verify_v2(head, _read(head), SECRET, head.path, now=NOW)
            continue
        with pytest.raises(SignatureProblem):
            verify_v2(head, _read(head), SECRET, head.path, now=NOW)


@pytest.mark.parametrize(
    ("path", "headers"), [("/", {}), ("/b/k", {"x-amz-target": "OpenTrail_20261101.CreateAccount"})]
)
def test_it_is_for_objects_only(path: str, headers: dict[str, str]) -> None:
    """Neither the root path nor a JSON service can be reached with it."""
    query = "AWSAccessKeyId=AKIAEXAMPLE000000000&Signature=s&Expires=9999999999"
    with pytest.raises(SignatureProblem):
        read_presigned_v2(RequestHead("POST", path, query, headers))


def test_an_address_ends_when_it_says() -> None:
    """After the time of expiry it is refused, however right the signature."""
    head = _presigned("GET", "k", "")
    late = datetime.fromtimestamp(int(_read(head).expires) + 1, UTC)
    with pytest.raises(SignatureProblem) as caught:
        verify_v2(head, _read(head), SECRET, head.path, now=late)
    assert caught.value.kind is ProblemKind.EXPIRED


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_query_is_read_or_refused_cleanly(query: str) -> None:
    """Whatever stands in the query, the answer is a value, None or a SignatureProblem."""
    for text in (
        query,
        f"AWSAccessKeyId=AKIAEXAMPLE000000000&{query}",
        f"AWSAccessKeyId=a&Signature=s&Expires={query}",
    ):
        try:
            found = read_presigned_v2(RequestHead("GET", "/", text, {}))
        except SignatureProblem:
            continue
        assert found is None or "Signature" not in repr(found)

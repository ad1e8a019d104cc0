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
EXTRA = st.sampled_from(["", "versionId=abc", "response-content-type=text%2Fplain", "uploadId=u&partNumber=3", "acl"])


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
        (head, SECRET + "x"),
    ]
    for other, secret in changed:
        with pytest.raises(SignatureProblem) as caught:
            verify_v2(other, _read(other), secret, other.path, now=NOW)
        assert caught.value.kind is ProblemKind.MISMATCH


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

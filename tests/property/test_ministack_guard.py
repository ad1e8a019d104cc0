"""The guard before MiniStack meets whatever bytes come: it refuses, and never fails."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opentrail.aws.sigv4 import Scope, SigningKey, sign
from opentrail.local.ministack_server import signed_with

SECRET = "the secret of this run"
allowed = signed_with(SECRET)

header_values = st.binary(max_size=200) | st.sampled_from(
    [
        b"AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature="
        + b"0" * 64,
        b"20260101T000000Z",
        b"UNSIGNED-PAYLOAD",
    ]
)
header_names = st.sampled_from([b"authorization", b"x-amz-date", b"date", b"host", b"x-amz-content-sha256"])
paths = st.binary(max_size=60) | st.just(b"/_ministack/reset")


def scope(method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """An HTTP scope as the ASGI server makes it."""
    decoded = path.decode("utf-8", "replace")
    return {"method": method, "path": decoded, "raw_path": path, "query_string": query, "headers": headers}


def signed(path: str, secret: str, account: str = "111122223333") -> dict[str, Any]:
    """The scope of a request that was signed as the gateway signs."""
    now = datetime.now(UTC)
    day = Scope(f"{now:%Y%m%d}", "eu-west-1", "sqs")
    headers = {"host": "127.0.0.1:1", "x-amz-target": "AmazonSQS.ListQueues"}
    key = SigningKey(secret, day)
    headers |= sign(
        *("POST", path, "a=b", headers),
        key=key,
        access_key_id=account,
        scope=day,
        signed_at=now,
        payload_hash="UNSIGNED-PAYLOAD",
    )
    return scope("POST", path.encode(), b"a=b", [(name.encode(), value.encode()) for name, value in headers.items()])


@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=paths,
    query=st.binary(max_size=60),
    headers=st.lists(st.tuples(header_names, header_values), max_size=6),
)
def test_strange_requests_are_refused(
    method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """No path, query or headers without a true signature get through, and none makes the guard fail."""
    found = scope(method, path, query, headers)
    with_token = method == "PUT" and found["path"].startswith(("/_ministack/cfn-response/", "/_ministack/cfn-signal/"))
    assert allowed(found) is with_token


@given(account=st.from_regex(r"\A[0-9]{12}\Z"))
def test_the_secret_opens_it_for_every_account(account: str) -> None:
    """Whatever the access key id, the signature is what counts."""
    assert allowed(signed("/", SECRET, account))
    assert not allowed(signed("/", SECRET + "x", account))


def test_a_changed_request_is_refused() -> None:
    """A signature holds for the query, headers and path that it was made for."""
    good = signed("/queue", SECRET)
    assert allowed(good)
    assert not allowed({**good, "query_string": b"a=c"})
    assert not allowed({**good, "raw_path": b"/other"})
    assert not allowed({**good, "headers": [*good["headers"], (b"x-amz-other", b"1")]})
    assert not allowed({**good, "path": "/_ministack/reset"})

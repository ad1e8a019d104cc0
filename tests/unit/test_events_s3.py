"""Naming S3 requests, and what their records say."""

import json
from typing import Any

import pytest

from opentrail.aws.http import RequestHead
from opentrail.events.s3 import CopySource, Location, S3Call, copy_source, identify, locate
from opentrail.events.s3_documents import body_parameters, policy_parameters
from opentrail.events.s3_elements import AUTH_HEADER, additional_event_data, request_parameters, resources

BASES = ("localhost", "s3.localhost.localstack.cloud")


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("127.0.0.1:4566", "/", ("", "")),
        ("127.0.0.1:4566", "/b", ("b", "")),
        ("127.0.0.1:4566", "/b/", ("b", "")),
        ("[::1]:4566", "/b/k", ("b", "k")),
        ("localhost:4566", "/b/a%2Fb//c%20d", ("b", "a%2Fb//c%20d")),
        ("my.bucket.localhost:4566", "/k/", ("my.bucket", "k/")),
        ("b.localhost", "//k", ("b", "/k")),
        ("B.S3.localhost.localstack.cloud:4566", "/", ("b", "")),
        ("s3.localhost.localstack.cloud", "/b/k", ("b", "k")),
        ("s3.amazonaws.com", "/b/k", ("b", "k")),
        ("b.s3.amazonaws.com", "/k", ("b", "k")),
        ("a.b.s3.eu-west-1.amazonaws.com", "/k", ("a.b", "k")),
        ("b.s3-us-gov-west-1.amazonaws.com", "/k", ("b", "k")),
        ("b.s3.dualstack.us-east-1.amazonaws.com.", "/k", ("b", "k")),
        ("s3.cn-north-1.amazonaws.com.cn", "/b/k", ("b", "k")),
        ("elsewhere.example", "/b/k", ("b", "k")),
        ("", "", ("", "")),
    ],
)
def test_bucket_and_key_are_found_in_both_styles(host: str, path: str, expected: tuple[str, str]) -> None:
    """Path style and virtual-host style name the same things, and the key stays as it was on the wire."""
    assert locate(host, path, BASES) == expected


def named(method: str, path: str, query: str = "", **headers: str) -> S3Call:
    """A path-style request, identified."""
    lowered = {name.replace("_", "-"): value for name, value in headers.items()}
    return identify(method, locate("127.0.0.1", path), query, lowered)


@pytest.mark.parametrize(
    ("method", "path", "query", "operation", "event_name", "action", "read_only", "management"),
    [
        ("GET", "/", "x-id=ListBuckets", "ListBuckets", "ListBuckets", "s3:ListAllMyBuckets", True, True),
        ("PUT", "/b", "", "CreateBucket", "CreateBucket", "s3:CreateBucket", False, True),
        ("DELETE", "/b", "", "DeleteBucket", "DeleteBucket", "s3:DeleteBucket", False, True),
        ("HEAD", "/b", "", "HeadBucket", "HeadBucket", "s3:ListBucket", True, False),
        ("GET", "/b", "prefix=&max-keys=1", "ListObjects", "ListObjects", "s3:ListBucket", True, False),
        ("GET", "/b", "list-type=2&prefix=a", "ListObjectsV2", "ListObjects", "s3:ListBucket", True, False),
        ("GET", "/b", "versions", "ListObjectVersions", "ListObjectVersions", "s3:ListBucketVersions", True, False),
        ("POST", "/b", "delete", "DeleteObjects", "DeleteObjects", "s3:DeleteObject", False, False),
        ("GET", "/b", "location", "GetBucketLocation", "GetBucketLocation", "s3:GetBucketLocation", True, True),
        (
            "PUT",
            "/b",
            "lifecycle",
            "PutBucketLifecycleConfiguration",
            "PutBucketLifecycle",
            "s3:PutLifecycleConfiguration",
            False,
            True,
        ),
        (
            "DELETE",
            "/b",
            "publicAccessBlock",
            "DeletePublicAccessBlock",
            "DeleteBucketPublicAccessBlock",
            "s3:PutBucketPublicAccessBlock",
            False,
            True,
        ),
        ("DELETE", "/b", "policy", "DeleteBucketPolicy", "DeleteBucketPolicy", "s3:DeleteBucketPolicy", False, True),
        (
            "GET",
            "/b",
            "accelerate",
            "GetBucketAccelerateConfiguration",
            "GetAccelerateConfiguration",
            "s3:GetAccelerateConfiguration",
            True,
            True,
        ),
        ("GET", "/b/k", "versionId=7", "GetObject", "GetObject", "s3:GetObjectVersion", True, False),
        ("PUT", "/b/k", "", "PutObject", "PutObject", "s3:PutObject", False, False),
        ("POST", "/b/k", "uploads", "CreateMultipartUpload", "CreateMultipartUpload", "s3:PutObject", False, False),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart", "UploadPart", "s3:PutObject", False, False),
        ("GET", "/b/k", "uploadId=u", "ListParts", "ListParts", "s3:ListMultipartUploadParts", True, False),
        (
            "POST",
            "/b/k",
            "select&select-type=2",
            "SelectObjectContent",
            "SelectObjectContent",
            "s3:GetObject",
            True,
            False,
        ),
        ("OPTIONS", "/b/k", "", "PreflightRequest", "PreflightRequest", "", True, True),
    ],
)
def test_requests_have_their_names(
    method: str,
    path: str,
    query: str,
    operation: str,
    event_name: str,
    action: str,
    read_only: bool,
    management: bool,
) -> None:
    """Each request has the API's name, CloudTrail's, the IAM action, and is a read or a write, management or data."""
    call = named(method, path, query)
    assert (call.operation, call.event_name, call.iam_action) == (operation, event_name, action)
    assert (call.read_only, call.management, call.unsupported) == (read_only, management, "")


def test_copies_are_told_from_uploads_by_their_header() -> None:
    """x-amz-copy-source makes a PUT a copy; its source is read decoded, with its version."""
    assert named("PUT", "/b/k", x_amz_copy_source="/b/k").operation == "CopyObject"
    part = named("PUT", "/b/k", "uploadId=u&partNumber=1", x_amz_copy_source="b/k")
    assert part.operation == "UploadPartCopy"
    assert copy_source({"x-amz-copy-source": "/b/a%20b%3F?versionId=v"}) == CopySource("b", "a b?", "v")
    assert copy_source({"x-amz-copy-source": "b"}) is None
    assert copy_source({}) is None


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/b", "acl&policy"),
        ("GET", "/b", "%61cl&policy"),
        ("GET", "/b", "unknown"),
        ("GET", "/b", "unknown="),
        ("GET", "/b", "acl;policy"),
        ("GET", "/b", "x;policy=1"),
        ("GET", "/b", "prefix=a&prefix=b"),
        ("GET", "/b", "metadataTable"),
        ("GET", "/b", "session"),
        ("PUT", "/b/k", "uploadId=u"),
        ("PUT", "/b/k", "partNumber=1"),
        ("POST", "/b/k", "select"),
        ("POST", "/b", ""),
        ("HEAD", "/", ""),
        ("HEAD", "/b/k", "acl"),
        ("PATCH", "/b/k", ""),
        ("GET", "//k", ""),
        ("GET", "/", "list-type=2"),
    ],
)
def test_what_is_no_clear_operation_is_marked_unsupported(method: str, path: str, query: str) -> None:
    """Unknown sub-resources, two at once, halves of operations and odd methods are refused, and the marker says why."""
    call = named(method, path, query)
    assert call.unsupported
    assert (call.operation, call.iam_action, call.event_name) == ("", "", "UnsupportedOperation")


def head(query: str = "", **headers: str) -> RequestHead:
    """A request's head on a virtual host."""
    lowered = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead("PUT", "/a%20b", query, {"host": "b.s3.amazonaws.com", **lowered})


def test_presigned_uploads_show_names_as_sent_but_never_the_signature() -> None:
    """The record of a presigned upload has the measured names, and neither signature, credential nor token."""
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20241101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=900"
        "&X-Amz-Signature=5ig&X-Amz-Credential=cr3d&X-Amz-Security-Token=t0k&x-amz-storage-class=GLACIER"
        "&X-Amz-Server-Side-Encryption-Customer-Key=k3y&bucketName=evil&key=evil&Host=evil"
    )
    sent = head(
        query,
        x_amz_server_side_encryption="AES256",
        x_amz_server_side_encryption_customer_key="k3y",
        x_amz_server_side_encryption_customer_key_md5="k3y",
        x_amz_security_token="t0k",
        x_amz_mfa="s3r 123456",
        x_amz_meta_password="s3c",
        authorization="5ig",
    )
    call = identify("PUT", locate(sent.host, sent.path), sent.query, sent.headers)
    shown = request_parameters(call, sent)
    assert shown == {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": "20241101T000000Z",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Expires": "900",
        "x-amz-storage-class": "GLACIER",
        "bucketName": "b",
        "Host": "b.s3.amazonaws.com",
        "key": "a b",
        "x-amz-server-side-encryption": "AES256",
    }


def test_sub_resources_are_empty_text_and_repeated_names_are_lists() -> None:
    """A sub-resource is shown as an empty text; a name given twice keeps both values; paging tokens are shown."""
    call = identify("GET", Location("b", ""), "acl", {})
    shown = request_parameters(call, RequestHead("GET", "/b", "acl&a=1&a=2&a=3&continuation-token=x", {}))
    assert shown == {"acl": "", "a": ["1", "2", "3"], "continuation-token": "x", "bucketName": "b"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (json.dumps({"Statement": [{"Effect": "Allow"}]}).encode(), {"Statement": [{"Effect": "Allow"}]}),
        (b"not json", {"sizeBytes": 8}),
        (b"[1]", {"sizeBytes": 3}),
    ],
)
def test_bucket_policies_are_embedded_parsed(text: bytes, shown: Any) -> None:
    """A bucket policy is recorded as an object; what is none is recorded by its size."""
    sent = RequestHead("PUT", "/b", "policy", {"host": "h"})
    call = identify("PUT", Location("b", ""), "policy", {})
    assert body_parameters(call, text) == policy_parameters(text)
    assert request_parameters(call, sent, body=policy_parameters(text)) == {
        "policy": "",
        "bucketName": "b",
        "Host": "h",
        "bucketPolicy": shown,
    }


def test_configurations_go_through_the_naive_conversion() -> None:
    """XML keeps names and xmlns; single elements collapse, repeated ones are lists, text is guessed."""
    call = named("PUT", "/b", "tagging")
    one = b'<Tagging xmlns="http://s3/"><TagSet><Tag><Key>x</Key><Value>true</Value></Tag></TagSet></Tagging>'
    assert body_parameters(call, one) == {
        "Tagging": {"xmlns": "http://s3/", "TagSet": {"Tag": {"Key": "x", "Value": True}}}
    }
    many = b"<L><Rule><Days>1</Days></Rule><Rule><Days>007</Days></Rule><Rule a='2'>t</Rule><E/></L>"
    assert body_parameters(call, many) == {
        "L": {"Rule": [{"Days": 1}, {"Days": "007"}, {"a": 2, "content": "t"}], "E": ""}
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("PUT", "/b/k", "", b"<a>contents</a>"),
        ("POST", "/b", "delete", b"<Delete/>"),
        ("POST", "/b/k", "uploadId=u", b"<CompleteMultipartUpload/>"),
        ("PUT", "/b", "tagging", b"not xml"),
        ("PUT", "/b", "tagging", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
        ("PUT", "/b", "", b""),
    ],
)
def test_contents_and_unreadable_bodies_add_nothing(method: str, path: str, query: str, body: bytes) -> None:
    """Objects, lists of keys and parts are no parameters, and a body that cannot be read is left out."""
    assert body_parameters(named(method, path, query), body) == {}


def test_additional_data_names_the_way_of_signing_except_for_anonymous_calls() -> None:
    """SignatureVersion and AuthenticationMethod are there for signed calls only."""
    signed = additional_event_data(
        authentication=AUTH_HEADER, cipher_suite="TLS_AES_128_GCM_SHA256", bytes_in=83, host_id="h"
    )
    assert signed == {
        "SignatureVersion": "SigV4",
        "CipherSuite": "TLS_AES_128_GCM_SHA256",
        "bytesTransferredIn": 83,
        "AuthenticationMethod": "AuthHeader",
        "x-amz-id-2": "h",
        "bytesTransferredOut": 0,
    }
    assert additional_event_data(authentication=None, bytes_out=5) == {
        "bytesTransferredIn": 0,
        "bytesTransferredOut": 5,
    }


def test_resources_are_the_object_then_the_bucket_with_its_owner() -> None:
    """Object calls list object and bucket, listings a prefix, bucket calls the bucket; the object has no account."""
    bucket = {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"}
    assert resources(named("GET", "/b/a%20b"), "123456789012") == (
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/a b"},
        bucket,
    )
    assert resources(named("GET", "/b"), "123456789012", prefix="p/") == (
        {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::b/p/"},
        bucket,
    )
    assert resources(named("PUT", "/b"), "123456789012") == (bucket,)
    assert resources(named("HEAD", "/b"), None) == ({"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"},)
    assert resources(named("GET", "/"), None) == ()

"""Public access blocks of buckets, kept and enforced by the S3 door in front of a real SeaweedFS."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from opentrail.gateway.upstream import UpstreamSettings
from tests.support.door_server import A_USER, ACCOUNT_B, A, B, DoorServer, running_door
from tests.support.seaweed import running_seaweed

EVERYTHING = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorServer]:
    """A door in front of a SeaweedFS of its own."""
    with running_seaweed(tmp_path_factory.mktemp("weed")) as s3:
        settings = UpstreamSettings(s3.endpoint, "us-east-1", s3.access_key_id, s3.secret_access_key)
        with running_door(settings) as server:
            yield server


@pytest.fixture
def bucket(door: DoorServer) -> str:
    """A bucket of account A, with one object under ``k``."""
    name = f"b-{os.urandom(6).hex()}"
    door.client(A).create_bucket(Bucket=name)
    door.client(A).put_object(Bucket=name, Key="k", Body=b"content")
    return name


def refused(action: Callable[[], Any]) -> str:
    """The code that an action is refused with; empty where it is not."""
    try:
        action()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def policy(bucket: str, principal: Any) -> str:
    """A policy that lets somebody read."""
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    return json.dumps({"Statement": [statement]})


def test_a_block_is_kept_shown_removed_and_recorded(door: DoorServer, bucket: str) -> None:
    """A bucket begins without one; what a request does not name is off."""
    client = door.client(A)
    assert refused(lambda: client.get_public_access_block(Bucket=bucket)) == "NoSuchPublicAccessBlockConfiguration"
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    record = door.recorder.records[-1]
    assert record.call.event_name == "PutBucketPublicAccessBlock"
    assert record.call.parameters is not None
    assert record.call.parameters["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] is True
    found = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert found == dict.fromkeys(EVERYTHING, False) | {"BlockPublicPolicy": True}
    assert refused(lambda: door.client(A_USER).delete_public_access_block(Bucket=bucket)) == "AccessDenied"
    assert refused(lambda: door.client(B).get_public_access_block(Bucket=bucket)) == "AccessDenied"
    client.delete_public_access_block(Bucket=bucket)
    assert refused(lambda: client.get_public_access_block(Bucket=bucket)) == "NoSuchPublicAccessBlockConfiguration"


def test_block_public_policy_refuses_a_public_policy_and_no_other(door: DoorServer, bucket: str) -> None:
    """The refused policy leaves the one before in force."""
    client = door.client(A)
    client.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"AWS": ACCOUNT_B}))
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    assert refused(lambda: client.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, "*"))) == "AccessDenied"
    assert json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"] != "*"
    client.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"Service": "cloudtrail.amazonaws.com"}))
    client.delete_public_access_block(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, "*"))


def test_restrict_public_buckets_shuts_strangers_out_and_leaves_the_policy(door: DoorServer, bucket: str) -> None:
    """Nobody without an account, nor another account, gets in by a public policy; its owner's users do."""
    client = door.client(A)
    client.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, "*"))
    stranger = door.client(A, signature_version=UNSIGNED)
    for reader in (stranger, door.client(B), door.client(A_USER)):
        assert reader.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=EVERYTHING)
    for reader in (stranger, door.client(B)):
        assert refused(partial(reader.get_object, Bucket=bucket, Key="k")) == "AccessDenied"
    assert door.client(A_USER).get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"
    assert client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    client.delete_public_access_block(Bucket=bucket)
    assert stranger.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"

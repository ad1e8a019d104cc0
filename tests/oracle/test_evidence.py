"""What the delivered evidence says: failures, unproven callers, tenants apart, and no secret anywhere."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, call, delivered, make_trail, running

BUCKET = "aws-cloudtrail-logs-123456789012-0000bbbb"
OTHER = "210987654321"
OTHER_BUCKET = "aws-cloudtrail-logs-210987654321-0000bbbb"
MALLORY = Key("AKIAMALLORYMALLORY00", "secret-of-the-other-account-0123456789")
LIMITED = Key("AKIALIMITEDLIMITED00", "secret-of-a-user-without-policies-012345")
PROFILE = "arn:aws:iam::123456789012:instance-profile/p"
ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two accounts, each with a trail; the second's caller is its root."""
    with running(tmp_path_factory.mktemp("evidence") / "home") as gateway:
        gateway.import_key(OTHER, MALLORY, "--root")
        gateway.import_key("123456789012", LIMITED, "--user", "limited")
        make_trail(gateway, BUCKET)
        make_trail(gateway, OTHER_BUCKET, OTHER, MALLORY)
        yield gateway


def _wait(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def _record(gateway: Gateway, request_id: str, key: Key | None = None, bucket: str = BUCKET) -> dict[str, Any]:
    s3 = gateway.client("s3", key)
    records = _wait(lambda: [r for r in delivered(s3, bucket) if r.get("requestID") == request_id])
    assert len(records) == 1
    record: dict[str, Any] = records[0]
    return record


def _refusal(attempt: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        attempt()
    answer: dict[str, Any] = caught.value.response
    return answer


def test_a_wrong_parameter_leaves_a_record_with_the_error(gateway: Gateway) -> None:
    """errorCode and errorMessage are what the caller saw; what was sent is there, the response is null."""
    chef = gateway.client("opsworkscm")
    answer = _refusal(lambda: chef.describe_servers(ServerName="9 is no name"))
    record = _record(gateway, answer["ResponseMetadata"]["RequestId"])
    assert record["errorCode"] == answer["Error"]["Code"] == "ValidationException"
    assert record["errorMessage"] == answer["Error"]["Message"]
    assert "failed to satisfy constraint: Member must satisfy regular expression pattern" in record["errorMessage"]
    assert record["requestParameters"] == {"serverName": "9 is no name"}
    assert f"POST /: 400 requestID={record['requestID']}" in gateway.log.read_text()
    assert record["responseElements"] is None


def test_a_wrong_signature_is_recorded_as_nobody_s(gateway: Gateway) -> None:
    """The key's account gets a record of type Unknown with the wire's error code."""
    forged = Key(gateway.root.access_key_id, "not-the-secret")
    answer = _refusal(lambda: gateway.client("opsworkscm", forged, region_name="eu-west-3").describe_servers())
    assert answer["Error"]["Code"] == "InvalidSignatureException"
    record = _record(gateway, answer["ResponseMetadata"]["RequestId"])
    assert record["userIdentity"]["type"] == "Unknown"
    assert record["userIdentity"]["accessKeyId"] == gateway.root.access_key_id
    assert record["errorCode"] == "InvalidSignatureException"
    assert record["requestParameters"] is None
    assert record["awsRegion"] == "us-east-1", "an unproven caller does not choose where records lie"


def test_a_signature_for_another_service_is_refused(gateway: Gateway) -> None:
    """A key derived for STS does not work for account management; the attempt is recorded."""
    status, request_id = call(gateway, "opentrail", "ListAccounts", {}, "evidence", signed_for="sts")
    assert status == 400
    assert _record(gateway, request_id)["errorCode"] == "InvalidSignatureException"


def test_an_unknown_key_is_refused_in_each_service_s_words(gateway: Gateway) -> None:
    """JSON, Query and S3 have three codes for the same thing."""
    stranger = Key("AKIANOBODYNOBODY0000", "x")
    codes = {
        service: _refusal(getattr(gateway.client(service, stranger), call))["Error"]["Code"]
        for service, call in (
            ("opsworkscm", "describe_servers"),
            ("cloudtrail", "list_trails"),
            ("sts", "get_caller_identity"),
            ("s3", "list_buckets"),
        )
    }
    assert codes == {
        "opsworkscm": "UnrecognizedClientException",
        "cloudtrail": "UnrecognizedClientException",
        "sts": "InvalidClientTokenId",
        "s3": "InvalidAccessKeyId",
    }


def test_a_user_without_policies_may_nothing_but_say_who_he_is(gateway: Gateway) -> None:
    """AccessDenied in AWS's words, recorded under the user's own name."""
    assert gateway.client("sts", LIMITED).get_caller_identity()["Arn"].endswith(":user/limited")
    answer = _refusal(gateway.client("opsworkscm", LIMITED).describe_servers)
    assert answer["Error"]["Code"] == "AccessDeniedException"
    record = _record(gateway, answer["ResponseMetadata"]["RequestId"])
    assert record["userIdentity"]["userName"] == "limited"
    assert record["errorCode"] == "AccessDeniedException"
    assert "is not authorized to perform: opsworks-cm:DescribeServers" in record["errorMessage"]


def test_accounts_do_not_see_each_other(gateway: Gateway) -> None:
    """Account B can neither list, read, write nor delete A's bucket, nor see A's trails and servers."""
    mine, theirs = gateway.client("s3"), gateway.client("s3", MALLORY)
    mine.put_object(Bucket=BUCKET, Key="private", Body=b"x")
    attempts: list[Callable[[], Any]] = [
        lambda: theirs.list_objects_v2(Bucket=BUCKET),
        lambda: theirs.get_object(Bucket=BUCKET, Key="private"),
        lambda: theirs.put_object(Bucket=BUCKET, Key="mine", Body=b"y"),
        lambda: theirs.delete_object(Bucket=BUCKET, Key="private"),
        lambda: theirs.delete_bucket(Bucket=BUCKET),
        lambda: theirs.put_bucket_policy(Bucket=BUCKET, Policy="{}"),
        lambda: theirs.copy_object(Bucket=OTHER_BUCKET, Key="stolen", CopySource=f"{BUCKET}/private"),
    ]
    for attempt in attempts:
        assert _refusal(attempt)["Error"]["Code"] == "AccessDenied"
    assert BUCKET not in {bucket["Name"] for bucket in theirs.list_buckets()["Buckets"]}
    assert mine.get_object(Bucket=BUCKET, Key="private")["Body"].read() == b"x"
    trails = gateway.client("cloudtrail", MALLORY).describe_trails()["trailList"]
    assert {trail["S3BucketName"] for trail in trails} == {OTHER_BUCKET}
    refused = _refusal(lambda: gateway.client("cloudtrail", MALLORY).create_trail(Name="spy", S3BucketName=BUCKET))
    assert refused["Error"]["Code"] == "InsufficientS3BucketPolicyException"
    records = delivered(mine, BUCKET)
    assert {record["recipientAccountId"] for record in records} == {"123456789012"}


def test_only_operators_manage_accounts(gateway: Gateway) -> None:
    """Another account's root cannot list or make accounts, or import keys into others."""
    client = gateway.client("opentrail", MALLORY)
    for attempt in (
        client.list_accounts,
        lambda: client.create_account(AccountId="999999999999"),
        lambda: client.import_access_key(
            AccountId="123456789012", OwnerType="Root", AccessKeyId="AKIASTOLENSTOLEN0000", SecretAccessKey="12345678"
        ),
    ):
        assert _refusal(attempt)["Error"]["Code"] == "AccessDeniedException"


def test_no_canary_is_found_in_anything_that_opentrail_keeps(gateway: Gateway) -> None:
    """Secrets in sensitive members, right and wrong, are in no file of HOME, no log and no answer to a later call."""
    canary = f"Canary{secrets.token_hex(6)}"
    chef = gateway.client("opsworkscm")
    base: dict[str, Any] = {
        "Engine": "ChefAutomate",
        "EngineModel": "Single",
        "InstanceType": "m5.large",
        "InstanceProfileArn": PROFILE,
        "ServiceRoleArn": ROLE,
    }
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{canary}\n-----END RSA PRIVATE KEY-----"
    attributes = [{"Name": "CHEF_AUTOMATE_ADMIN_PASSWORD", "Value": canary}]
    wrong: list[Callable[[], Any]] = [
        lambda: chef.create_server(ServerName="c", EngineAttributes=attributes, **base),
        lambda: chef.create_server(ServerName="c", CustomPrivateKey=key, **base),
        lambda: chef.create_server(ServerName="9", EngineAttributes=attributes, **base),
        lambda: chef.associate_node(ServerName="c", NodeName="n", EngineAttributes=attributes),
        lambda: chef.start_maintenance(ServerName="c", EngineAttributes=attributes),
        lambda: chef.update_server_engine_attributes(
            ServerName="c", AttributeName="CHEF_AUTOMATE_PIVOTAL_KEY", AttributeValue=canary
        ),
        lambda: chef.export_server_engine_attribute(
            ServerName="c", ExportAttributeName="Userdata", InputAttributes=attributes
        ),
        lambda: gateway.client("opentrail").import_access_key(
            AccountId="000000000000", OwnerType="Root", AccessKeyId="AKIACANARYCANARY0000", SecretAccessKey=canary
        ),
        lambda: gateway.client("sqs").send_message(QueueUrl=f"{gateway.url}/q", MessageBody=canary),
        lambda: gateway.client("secretsmanager").put_secret_value(SecretId="nobody-s", SecretString=canary),
    ]
    last = [_refusal(attempt) for attempt in wrong][-1]
    _record(gateway, last["ResponseMetadata"]["RequestId"])
    assert canary not in json.dumps(delivered(gateway.client("s3"), BUCKET))
    hiding = [path for path in _files(gateway.home) if canary.encode() in _content(path)]
    assert not hiding
    assert canary not in gateway.log.read_text()


def _content(path: Path) -> bytes:
    """A file's bytes; nothing where the running gateway has removed it meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _files(home: Path) -> Iterator[Path]:
    return (path for path in home.rglob("*") if path.is_file() and not path.is_symlink())

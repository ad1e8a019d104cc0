"""Services behind the gateway: who may call, what cannot be read, what is large, and an upstream that fails.

The upstream is a real server that answers by the models; records are read from the journal's own end: the log files.
"""

import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from opentrail.aws.model import Catalogue
from tests.support.gateway import Gateway, Key, delivered, make_trail, running
from tests.support.model_upstream import ModelUpstream, running_model_upstream

BUCKET = "aws-cloudtrail-logs-123456789012-0000eeee"
ADA = Key("AKIAADAADAADAADA0001", "ada-secret-ada-secret-ada-secret-00001")
OTHER = Key("AKIAOTHEROTHER000001", "other-secret-other-secret-other-secret")


@pytest.fixture(scope="module")
def upstream() -> Iterator[ModelUpstream]:
    """A server that plays every service."""
    with running_model_upstream(Catalogue()) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: ModelUpstream) -> Iterator[Gateway]:
    """A gateway with three upstreams: one that refuses what it cannot read, one that takes it, and one that is down."""
    services = "sqs, ec2, elasticloadbalancing, cognito-idp, lambda, mediastore-data"
    settings = {
        "OPENTRAIL_LOCAL_MINISTACK": "off",
        **_upstream("BEHIND", upstream.endpoint, services),
        **_upstream("LENIENT", upstream.endpoint, "dynamodb"),
        "OPENTRAIL_UPSTREAM_LENIENT_UNDECODABLE": "forward",
        **_upstream("DOWN", "http://127.0.0.1:9", "sns"),
    }
    home: Path = tmp_path_factory.mktemp("door") / "home"
    with running(home, settings) as started:
        started.import_key("123456789012", ADA, "--user", "ada")
        started.import_key("222222222222", OTHER, "--root")
        make_trail(started, BUCKET)
        yield started


def _upstream(name: str, endpoint: str, services: str) -> dict[str, str]:
    prefix = f"OPENTRAIL_UPSTREAM_{name}_"
    return {f"{prefix}ENDPOINT": endpoint, f"{prefix}CREDENTIALS": "account", f"{prefix}SERVICES": services}


def record_where(gateway: Gateway, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The one delivered record that fits."""
    s3, deadline = gateway.client("s3"), time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [record for record in delivered(s3, BUCKET) if fits(record)]
        if found:
            (record,) = found
            return record
        time.sleep(0.5)
    raise AssertionError("no record fits")


def signed(gateway: Gateway, service: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
    """One signed POST as it is: status, body and request id."""
    request = AWSRequest("POST", f"{gateway.url}{path}", data=body, headers=headers)
    root = gateway.root
    SigV4Auth(Credentials(root.access_key_id, root.secret_access_key), service, "us-east-1").add_auth(request)
    where = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        connection.request("POST", path, body, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("x-amzn-requestid", "")
    finally:
        connection.close()


def test_policies_decide_before_anything_is_sent(gateway: Gateway, upstream: ModelUpstream) -> None:
    """A user without permission is denied in each protocol's words, recorded, and the upstream hears nothing of it."""
    before = len(upstream.arrived)
    for service, operation, code in (
        ("sqs", "ListQueues", "AccessDeniedException"),
        ("ec2", "DescribeInstances", "UnauthorizedOperation"),
        ("elbv2", "DescribeLoadBalancers", "AccessDenied"),
        ("lambda", "ListFunctions", "AccessDeniedException"),
    ):
        with pytest.raises(ClientError) as caught:
            gateway.client(service, ADA)._make_api_call(operation, {})
        assert caught.value.response["Error"]["Code"] == code
    assert len(upstream.arrived) == before
    record = record_where(gateway, lambda r: r["eventSource"] == "ec2.amazonaws.com" and "errorCode" in r)
    assert record["errorCode"] == "Client.UnauthorizedOperation"
    assert record["userIdentity"]["userName"] == "ada"


def test_a_policy_on_one_queue_allows_that_queue_alone(gateway: Gateway, upstream: ModelUpstream) -> None:
    """Resources of upstream services are known by their ARN, so that policies can name them."""
    upstream.results["sqs", "SendMessage"] = {"MessageId": "1", "MD5OfMessageBody": "x"}
    statement = {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": "arn:aws:sqs:us-east-1:123456789012:mine",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    gateway.client("iam").put_user_policy(UserName="ada", PolicyName="one", PolicyDocument=document)
    sqs = gateway.client("sqs", ADA)
    sqs.meta.events.unregister("after-call.sqs.SendMessage")
    queue = f"{gateway.url}/123456789012"
    assert _send(sqs, f"{queue}/mine")["MessageId"] == "1"
    with pytest.raises(ClientError):
        _send(sqs, f"{queue}/theirs")


def _send(sqs: Any, url: str) -> dict[str, Any]:
    answer: dict[str, Any] = sqs._make_api_call("SendMessage", {"QueueUrl": url, "MessageBody": "m"})
    return answer


def test_services_that_share_a_name_are_told_apart(gateway: Gateway, upstream: ModelUpstream) -> None:
    """Both versions of Elastic Load Balancing sign alike; the version in the form decides."""
    upstream.results["elb", "DescribeLoadBalancers"] = {"NextMarker": "classic"}
    upstream.results["elbv2", "DescribeLoadBalancers"] = {"NextMarker": "new"}
    assert gateway.client("elb").describe_load_balancers()["NextMarker"] == "classic"
    assert gateway.client("elbv2").describe_load_balancers()["NextMarker"] == "new"


def test_what_no_model_describes_is_refused_or_passed_on(gateway: Gateway, upstream: ModelUpstream) -> None:
    """By policy; the record says which it was either way."""
    headers = {"Content-Type": "application/x-amz-json-1.0"}
    before = len(upstream.arrived)
    target = {**headers, "X-Amz-Target": "AmazonSQS.MakeCoffee"}
    status, _, request_id = signed(gateway, "sqs", "/", b"{}", target)
    assert (status, len(upstream.arrived)) == (400, before)
    record = record_where(gateway, lambda r: r["requestID"] == request_id)
    assert (record["errorCode"], record["readOnly"]) == ("UnknownOperationException", False)
    target = {**headers, "X-Amz-Target": "DynamoDB_20120810.PutItem"}
    status, _, _ = signed(gateway, "dynamodb", "/", b"this is no JSON", target)
    assert len(upstream.arrived) == before + 1
    assert upstream.arrived[-1].body == b"this is no JSON"
    record = record_where(gateway, lambda r: "undecoded" in (r.get("additionalEventData") or {}))
    assert record["eventName"] == "PutItem"
    assert record["requestParameters"] is None


def test_large_requests_pass_and_too_large_ones_do_not(gateway: Gateway, upstream: ModelUpstream) -> None:
    """Beyond a megabyte a body waits in a file; what announces more than 128 MiB is refused unread."""
    code = b"z" * 3_000_000
    upstream.results["lambda", "CreateFunction"] = {"FunctionName": "f"}
    config = Config(parameter_validation=False)
    gateway.client("lambda", config=config).create_function(
        FunctionName="f", Role="arn:aws:iam::123456789012:role/r", Code={"ZipFile": code}, Runtime="python3.12"
    )
    assert len(upstream.arrived[-1].body) > len(code)
    record = record_where(gateway, lambda r: r["eventName"] == "CreateFunction20150331")
    assert "zzzz" not in json.dumps(record)
    where = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    connection.putrequest("POST", "/")
    target = "AmazonSQS.SendMessage"
    for name, value in (("X-Amz-Target", target), ("Content-Length", str(129 * 1024 * 1024))):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_data_streams_through_and_only_its_size_is_recorded(gateway: Gateway, upstream: ModelUpstream) -> None:
    """A request whose body is data is sent on as it comes, with the hash that its sender signed."""
    data = b"s" * 3_000_000
    for declared in (True, False):  # SDKs do not say the hash over plain HTTP
        client = gateway.client("mediastore-data")
        if declared:
            client.meta.events.register("before-sign", _declare(hashlib.sha256(data).hexdigest()))
        client.put_object(Path=f"folder/{declared}", Body=data)
        assert upstream.arrived[-1].body == data
    record = record_where(gateway, lambda r: (r["requestParameters"] or {}).get("path") == "folder/True")
    assert record["additionalEventData"]["bytesTransferredIn"] == len(data)
    assert "ssss" not in json.dumps(record)


def test_data_that_is_not_what_was_signed_never_arrives_whole(gateway: Gateway, upstream: ModelUpstream) -> None:
    """The last piece is held back until the hash agrees; the refusal is the record, and nothing is unknown about it."""
    before = len(upstream.arrived)
    for size_bytes in (10, 3_000_000):
        client = gateway.client("mediastore-data")
        client.meta.events.register("before-sign", _declare("0" * 64))
        with pytest.raises((ClientError, BotoCoreError)):
            client.put_object(Path=f"forged/{size_bytes}", Body=b"f" * size_bytes)
    assert len(upstream.arrived) == before
    record = record_where(gateway, lambda r: (r["requestParameters"] or {}).get("path") == "forged/3000000")
    assert record["errorCode"] == "XAmzContentSHA256Mismatch"


def _declare(digest: str) -> Callable[..., None]:
    def declare(request: AWSRequest, **_: object) -> None:
        request.headers["X-Amz-Content-SHA256"] = digest

    return declare


def test_an_upstream_that_is_down_is_told_and_recorded(gateway: Gateway) -> None:
    """503 in the service's protocol; nothing was sent, so nothing is unknown."""
    with pytest.raises(ClientError) as caught:
        gateway.client("sns").create_topic(Name="t")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    record = record_where(gateway, lambda r: r["eventSource"] == "sns.amazonaws.com")
    assert record["errorCode"] == "ServiceUnavailable"


def test_a_service_that_nobody_has_is_refused_and_recorded(gateway: Gateway) -> None:
    """Clearly, and as the call that it was."""
    with pytest.raises(ClientError) as caught:
        gateway.client("glacier").list_vaults(accountId="-")
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperationException"
    record = record_where(gateway, lambda r: r["eventSource"] == "glacier.amazonaws.com")
    assert record["eventName"] == "ListVaults"


def test_calls_that_take_no_signature_pass(gateway: Gateway, upstream: ModelUpstream) -> None:
    """Signing in to a user pool is open to all, and what proves the caller is not in the record."""
    upstream.results["cognito-idp", "InitiateAuth"] = {"AuthenticationResult": {"AccessToken": "canary-token-12345"}}
    client = boto3.client(
        "cognito-idp", endpoint_url=gateway.url, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    answer = client.initiate_auth(
        ClientId="app", AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": "u", "PASSWORD": "canary-pass-12345"}
    )
    assert answer["AuthenticationResult"]["AccessToken"] == "canary-token-12345"
    record = record_where(gateway, lambda r: r["eventName"] == "InitiateAuth")
    assert record["recipientAccountId"] == "123456789012"
    assert "canary" not in json.dumps(record)
    with pytest.raises(ClientError):
        client.list_user_pools(MaxResults=1)


def test_tenants_reach_the_upstream_as_themselves(gateway: Gateway, upstream: ModelUpstream) -> None:
    """An emulator tells accounts apart by the access key, which is the caller's account and never his key."""
    gateway.client("sqs", OTHER).list_queues()
    authorization = upstream.arrived[-1].head.headers["authorization"]
    assert "Credential=222222222222/" in authorization
    assert OTHER.access_key_id not in str(upstream.arrived[-1].head)


def test_forged_and_foreign_signatures_never_reach_the_upstream(gateway: Gateway, upstream: ModelUpstream) -> None:
    """Nothing is sent for a caller who is not proven."""
    before = len(upstream.arrived)
    for key in (Key(gateway.root.access_key_id, "wrong"), Key("AKIANOBODYNOBODY0001", "wrong")):
        with pytest.raises(ClientError):
            gateway.client("sqs", key).list_queues()
    assert len(upstream.arrived) == before


def test_an_upstream_for_everything_else_never_gets_what_is_ours(tmp_path: Path, upstream: ModelUpstream) -> None:
    """Users, roles and sessions are OpenTrail's, also where the upstream would have them."""
    settings = {"OPENTRAIL_LOCAL_MINISTACK": "off", **_upstream("DEFAULT", upstream.endpoint, "*")}
    before = len(upstream.arrived)
    with running(tmp_path / "home", settings) as started:
        started.client("iam").create_user(UserName="ada")
        assert [user["UserName"] for user in started.client("iam").list_users()["Users"]] == ["ada"]
        for service, operation in {"sts": "get_caller_identity", "kms": "list_keys", "sns": "list_topics"}.items():
            getattr(started.client(service), operation)()
        started.client("cloudtrail").list_trails()
        assert len(upstream.arrived) == before
        started.client("ssm").describe_parameters()
        assert len(upstream.arrived) == before + 1

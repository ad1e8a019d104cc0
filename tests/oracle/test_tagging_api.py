"""The Resource Groups Tagging API by boto3 and the AWS CLI: ours and the upstream's, in one list."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, call, delivered, make_trail, running

BUCKET = "aws-cloudtrail-logs-123456789012-000000tt"
TRAIL = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"
READER = Key("AKIATAGGERTAGGERTAGG", "tagger/tagger/tagger/tagger/tagger/tagge")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail with a tagged trail, key and topic."""
    with running(tmp_path_factory.mktemp("tagging") / "home") as gateway:
        make_trail(gateway, BUCKET)
        gateway.client("cloudtrail").add_tags(ResourceId=TRAIL, TagsList=[{"Key": "stage", "Value": "prod"}])
        yield gateway


@pytest.fixture(scope="module")
def key_arn(gateway: Gateway) -> str:
    """A tagged KMS key."""
    tags = [{"TagKey": "stage", "TagValue": "test"}]
    return str(gateway.client("kms").create_key(Tags=tags)["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def topic_arn(gateway: Gateway) -> str:
    """A tagged topic."""
    return str(gateway.client("sns").create_topic(Name="news", Tags=[{"Key": "team", "Value": "press"}])["TopicArn"])


@pytest.fixture(scope="module")
def queue_arn(gateway: Gateway) -> str:
    """A tagged queue of the MiniStack behind."""
    sqs = gateway.client("sqs")
    deadline = time.monotonic() + 120
    while True:
        try:
            url = sqs.create_queue(QueueName="jobs", tags={"stage": "prod"})["QueueUrl"]
            break
        except ClientError:
            assert time.monotonic() < deadline, "waited for MiniStack"
            time.sleep(0.5)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def _resources(client: Any, **request: Any) -> dict[str, dict[str, str]]:
    pages = client.get_paginator("get_resources").paginate(**request)
    return {
        one["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for page in pages
        for one in page["ResourceTagMappingList"]
    }


def _refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def test_every_tagged_resource_is_found_whosever_server_it_is_on(
    gateway: Gateway, key_arn: str, topic_arn: str, queue_arn: str
) -> None:
    """Ours first, then MiniStack's; of this region alone."""
    tagging = gateway.client("resourcegroupstaggingapi")
    found = _resources(tagging)
    assert found[TRAIL] == {"stage": "prod"}
    assert found[key_arn] == {"stage": "test"}
    assert found[topic_arn] == {"team": "press"}
    assert found[queue_arn] == {"stage": "prod"}
    one_by_one = _resources(tagging, ResourcesPerPage=1)
    assert one_by_one == found
    assert TRAIL not in _resources(gateway.client("resourcegroupstaggingapi", region_name="eu-west-1"))
    assert set(tagging.get_tag_keys()["TagKeys"]) >= {"stage", "team"}
    values = [
        value for page in tagging.get_paginator("get_tag_values").paginate(Key="stage") for value in page["TagValues"]
    ]
    assert sorted(values) == ["prod", "test"]


def test_filters_and_arns_choose(gateway: Gateway, key_arn: str, topic_arn: str, queue_arn: str) -> None:
    """By key, by value, by type, by ARN; what does not go together is refused."""
    tagging = gateway.client("resourcegroupstaggingapi")
    assert set(_resources(tagging, TagFilters=[{"Key": "stage"}])) == {TRAIL, key_arn, queue_arn}
    prod = [{"Key": "stage", "Values": ["prod", "staging"]}]
    assert set(_resources(tagging, TagFilters=prod)) == {TRAIL, queue_arn}
    assert _resources(tagging, TagFilters=[*prod, {"Key": "team"}]) == {}
    assert set(_resources(tagging, ResourceTypeFilters=["cloudtrail:trail"])) == {TRAIL}
    assert set(_resources(tagging, ResourceTypeFilters=["sns", "kms:key"])) == {topic_arn, key_arn}
    listed = tagging.get_resources(ResourceARNList=[TRAIL, queue_arn, f"{TRAIL}x"])["ResourceTagMappingList"]
    assert {one["ResourceARN"] for one in listed} == {TRAIL, queue_arn}
    invalid = "InvalidParameterException"
    assert _refused(tagging.get_resources, ResourceARNList=[TRAIL], ResourcesPerPage=5) == invalid
    assert _refused(tagging.get_resources, ResourcesPerPage=101) == invalid
    assert _refused(tagging.get_resources, TagsPerPage=101) == invalid
    assert _refused(tagging.get_resources, PaginationToken="!") == invalid
    assert _refused(tagging.get_resources, ExcludeCompliantResources=True) == invalid


def test_tags_change_through_each_resources_own_service(
    gateway: Gateway, key_arn: str, topic_arn: str, queue_arn: str
) -> None:
    """One call tags four services' resources and says which it could not; each service records its part."""
    tagging = gateway.client("resourcegroupstaggingapi")
    missing, bucket = f"{TRAIL}-no-such", f"arn:aws:s3:::{BUCKET}"
    every = [TRAIL, key_arn, topic_arn, queue_arn]
    failed = tagging.tag_resources(ResourceARNList=[*every, missing, bucket, "x"], Tags={"owner": "ada"})
    codes = {arn: info["ErrorCode"] for arn, info in failed["FailedResourcesMap"].items()}
    assert codes == {
        missing: "ResourceNotFoundException",
        bucket: "InternalServiceException",
        "x": "InvalidParameterException",
    }
    assert set(_resources(tagging, TagFilters=[{"Key": "owner", "Values": ["ada"]}])) == set(every)
    listed = gateway.client("cloudtrail").list_tags(ResourceIdList=[TRAIL])["ResourceTagList"][0]["TagsList"]
    assert {"Key": "owner", "Value": "ada"} in listed
    assert tagging.untag_resources(ResourceARNList=every, TagKeys=["owner"])["FailedResourcesMap"] == {}
    assert _resources(tagging, TagFilters=[{"Key": "owner"}]) == {}
    wanted = {"AddTags": 2, "RemoveTags": 1, "TagResources": 2, "UntagResources": 2}
    deadline = time.monotonic() + 90
    while True:
        records = delivered(gateway.client("s3"), BUCKET)
        named = [record for record in records if record["eventName"] in wanted]
        mine = [one for one in named if one["userIdentity"].get("invokedBy") or "Resources" in one["eventName"]]
        if len(mine) >= sum(wanted.values()):
            break
        assert time.monotonic() < deadline, [record["eventName"] for record in mine]
        time.sleep(0.5)
    assert {name: sum(one["eventName"] == name for one in mine) for name in wanted} == wanted
    add = next(one for one in mine if one["eventName"] == "AddTags" and "errorCode" not in one)
    assert add["userIdentity"]["invokedBy"] == "tagging.amazonaws.com"
    assert (add["sourceIPAddress"], add["userIdentity"]["type"]) == ("tagging.amazonaws.com", "Root")
    outer = next(one for one in mine if "invokedBy" not in one["userIdentity"])
    assert outer["eventSource"] == "tagging.amazonaws.com"


def test_the_services_own_permission_is_needed_too(gateway: Gateway) -> None:
    """tag:TagResources lets in; without cloudtrail:AddTags the trail is told as failed, and stays as it is."""
    gateway.import_key("123456789012", READER, "--user", "tagger")
    iam = gateway.client("iam")
    tagging = gateway.client("resourcegroupstaggingapi", READER)
    assert _refused(tagging.get_resources) == "AccessDeniedException"
    allow = {"Effect": "Allow", "Action": ["tag:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="tagger", PolicyName="tags", PolicyDocument=policy)
    failed = tagging.tag_resources(ResourceARNList=[TRAIL], Tags={"owner": "eve"})["FailedResourcesMap"]
    assert failed[TRAIL]["ErrorCode"] == "AccessDeniedException"
    assert "cloudtrail:AddTags" in failed[TRAIL]["ErrorMessage"]
    assert "owner" not in _resources(tagging)[TRAIL]


def test_older_sdks_speak_json(gateway: Gateway) -> None:
    """The model's first choice is CBOR; JSON clients are answered in theirs."""
    status, request_id = call(
        gateway, "resourcegroupstaggingapi", "GetResources", {}, "an-older-sdk", signed_for="tagging"
    )
    assert status == 200
    assert request_id


def test_the_aws_cli_reads_it_too(gateway: Gateway) -> None:
    """The CLI's own choice of protocol."""
    done = gateway.cli("resourcegroupstaggingapi", "get-resources", "--resource-type-filters", "cloudtrail")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["ResourceTagMappingList"]
    assert found["ResourceARN"] == TRAIL

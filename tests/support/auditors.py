"""Strangers' auditing tools (``tools/get_auditors.sh``), and two trails to judge: a well-made and a bad one."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, trail_policy

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
CARELESS = "210987654321"
CARELESS_KEY = Key("AKIACARELESSCARELESS", "careless/careless/careless/careless/care")
GOOD_BUCKET = "aws-cloudtrail-logs-123456789012-00000aud"
BAD_BUCKET = "bad-trail-logs-123456789012"
CARELESS_BUCKET = "bad-trail-logs-210987654321"
PUBLIC_BLOCK = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
NOT_SERVED = "UnsupportedOperationException"


def python_of(venv: str) -> Path:
    """The Python of a tool's venv; the test is skipped where the tool was not fetched."""
    found = ROOT / ".venv-tools" / venv / "bin" / "python"
    if not found.exists():
        pytest.skip(f"{venv} is missing: sh tools/get_auditors.sh")
    return found


def run_tool(
    gateway: Gateway, venv: str, *command: str, key: Key | None = None, timeout_s: float = 600
) -> "subprocess.CompletedProcess[str]":
    """A console script of a tool's venv, with nothing but what ``opentrail env`` prints, as one account's root."""
    environment = gateway.tool_environment() | {"AWS_EC2_METADATA_DISABLED": "true"}
    if key is not None:
        environment |= {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}
    script = python_of(venv).with_name(command[0])
    return subprocess.run(
        [str(script), *command[1:]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=gateway.home.parent,
    )


@dataclass(frozen=True)
class Scene:
    """What stands in the gateway; ``has_event_history``: whether OpenTrail serves LookupEvents."""

    key_arn: str
    topic_arn: str
    has_event_history: bool


def make_scene(gateway: Gateway) -> Scene:
    """The default account with a well-made trail ``good`` and a bad one, ``bad``; another account with a bad one only.

    ``good``: every region, validated, encrypted, announced, in a log group, with Insights, tagged, every management
    event and every S3 object's, in a versioned bucket closed to the public. ``bad``: one region, reads only, no global
    services' events, none of the rest, and stopped.
    """
    s3, cloudtrail = gateway.client("s3"), gateway.client("cloudtrail")
    key_arn, topic_arn = _trail_key(gateway), _trail_topic(gateway)
    s3.create_bucket(Bucket=GOOD_BUCKET)
    s3.put_bucket_policy(Bucket=GOOD_BUCKET, Policy=trail_policy(GOOD_BUCKET, ACCOUNT, "good"))
    s3.put_bucket_versioning(Bucket=GOOD_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(Bucket=GOOD_BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(PUBLIC_BLOCK, True))
    cloudtrail.create_trail(
        Name="good",
        S3BucketName=GOOD_BUCKET,
        SnsTopicName=topic_arn,
        IsMultiRegionTrail=True,
        EnableLogFileValidation=True,
        KmsKeyId=key_arn,
        TagsList=[{"Key": "stage", "Value": "prod"}],
    )
    cloudtrail.start_logging(Name="good")
    everything = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::"]}
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [everything]}
    cloudtrail.put_event_selectors(TrailName="good", EventSelectors=[selector])
    _bad_trail(gateway, ACCOUNT, BAD_BUCKET, None)
    gateway.import_key(CARELESS, CARELESS_KEY, "--root")
    _bad_trail(gateway, CARELESS, CARELESS_BUCKET, CARELESS_KEY)
    cloudtrail.put_insight_selectors(TrailName="good", InsightSelectors=[{"InsightType": "ApiCallRateInsight"}])
    _cloudwatch_logs(gateway)
    return Scene(
        key_arn,
        topic_arn,
        has_event_history=_takes(lambda: cloudtrail.lookup_events()),
    )


def _bad_trail(gateway: Gateway, account: str, bucket: str, key: Key | None) -> None:
    s3, cloudtrail = gateway.client("s3", key), gateway.client("cloudtrail", key)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=trail_policy(bucket, account, "bad"))
    cloudtrail.create_trail(Name="bad", S3BucketName=bucket, IncludeGlobalServiceEvents=False)
    reads = {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}
    cloudtrail.put_event_selectors(TrailName="bad", EventSelectors=[reads])


def _trail_key(gateway: Gateway) -> str:
    service = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Resource": "*"}
    owner = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statements = [
        {"Effect": "Allow", "Principal": owner, "Action": "kms:*", "Resource": "*"},
        service | {"Action": ["kms:GenerateDataKey*", "kms:DescribeKey"]},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return str(gateway.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])


def _trail_topic(gateway: Gateway) -> str:
    sns = gateway.client("sns")
    arn = str(sns.create_topic(Name="trail-files")["TopicArn"])
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arn


def _takes(call: Callable[[], object]) -> bool:
    """Whether OpenTrail serves what a call asks for; any other refusal than that it does not is an error."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != NOT_SERVED:
            raise
        return False
    return True


def _cloudwatch_logs(gateway: Gateway) -> None:
    logs, iam, cloudtrail = gateway.client("logs"), gateway.client("iam"), gateway.client("cloudtrail")
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:trail:*"
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="trail-to-logs", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    write = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": group}
    iam.put_role_policy(RoleName="trail-to-logs", PolicyName="write", PolicyDocument=_policy(write))
    logs.create_log_group(logGroupName="trail")
    cloudtrail.update_trail(Name="good", CloudWatchLogsLogGroupArn=group, CloudWatchLogsRoleArn=role)
    deadline = time.monotonic() + 120
    while "LatestCloudWatchLogsDeliveryTime" not in cloudtrail.get_trail_status(Name="good"):
        assert time.monotonic() < deadline, "waited for the first delivery to CloudWatch Logs"
        time.sleep(0.5)


def _policy(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

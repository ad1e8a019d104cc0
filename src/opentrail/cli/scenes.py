"""The steps of the demo, each one or a few calls through boto3, as any user would make them."""

import gzip
import json
import time
from collections.abc import Mapping
from typing import Any

from opentrail.cli.clients import client
from opentrail.clock import SystemEntropy
from opentrail.errors import OutboundError
from opentrail.identity import unique_ids

TRAIL = "demo"
SERVER = "chef-demo"
_ROLE = "ChefOperator"
_SESSION = "demo"
_PATIENCE_S = 120.0

Environment = Mapping[str, str]


def ensure_trail(environment: Environment) -> str:
    """The bucket of the demo's trail; both are made at the first time."""
    cloudtrail = client(environment, "cloudtrail")
    found = cloudtrail.describe_trails(trailNameList=[TRAIL])["trailList"]
    if found:
        cloudtrail.start_logging(Name=TRAIL)
        return str(found[0]["S3BucketName"])
    account, region = environment["OPENTRAIL_ACCOUNT_ID"], environment["AWS_DEFAULT_REGION"]
    bucket = f"aws-cloudtrail-logs-{account}-{SystemEntropy().token(4).hex()}"
    arn = f"arn:aws:cloudtrail:{region}:{account}:trail/{TRAIL}"
    s3 = client(environment, "s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(bucket_policy(bucket, account, arn)))
    cloudtrail.create_trail(Name=TRAIL, S3BucketName=bucket)
    cloudtrail.start_logging(Name=TRAIL)
    return bucket


def bucket_policy(bucket: str, account: str, trail_arn: str) -> dict[str, Any]:
    """The policy that CloudTrail asks for (cloudtrail fact sheet 3.5)."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    acl = {
        "Sid": "AWSCloudTrailAclCheck20150319",
        "Effect": "Allow",
        "Principal": service,
        "Action": "s3:GetBucketAcl",
        "Resource": f"arn:aws:s3:::{bucket}",
        "Condition": {"StringEquals": {"aws:SourceArn": trail_arn}},
    }
    write = {
        "Sid": "AWSCloudTrailWrite20150319",
        "Effect": "Allow",
        "Principal": service,
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/{account}/*",
        "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": trail_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [acl, write]}


def role_session(environment: Environment) -> Any:
    """An OpsWorks CM client that signs as a session of a role."""
    entropy = SystemEntropy()
    key, secret = unique_ids.access_key_id(entropy, temporary=True), unique_ids.secret_access_key(entropy)
    client(environment, "opentrail").import_access_key(
        AccountId=environment["OPENTRAIL_ACCOUNT_ID"],
        OwnerType="Role",
        OwnerName=_ROLE,
        SessionName=_SESSION,
        AccessKeyId=key,
        SecretAccessKey=secret,
    )
    return client({**environment, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}, "opsworkscm")


def create_server(chef: Any, account: str) -> str:
    """Make the Chef server anew; the request's id."""
    _remove_earlier(chef)
    account = "123456789012"
    answer = chef.create_server(
        ServerName=SERVER,
        Engine="ChefAutomate",
        EngineModel="Single",
        EngineVersion="2",
        InstanceType="m5.large",
        InstanceProfileArn=f"arn:aws:iam::{account}:instance-profile/aws-opsworks-cm-ec2-role",
        ServiceRoleArn=f"arn:aws:iam::{account}:role/service-role/aws-opsworks-cm-service-role",
        SubnetIds=["subnet-1a2b3c4d"],
        BackupRetentionCount=3,
        PreferredMaintenanceWindow="Tue:03:00",
        PreferredBackupWindow="Sun:15:00",
    )
    return str(answer["ResponseMetadata"]["RequestId"])


def _remove_earlier(chef: Any) -> None:
    """What an earlier demo left: its server and its backups (only 50 manual backups are allowed)."""
    for backup in chef.describe_backups()["Backups"]:
        if backup["ServerName"] == SERVER and backup["Status"] == "OK":
            chef.delete_backup(BackupId=backup["BackupId"])
    if _status(chef) is None:
        return
    chef.delete_server(ServerName=SERVER)
    _until(lambda: _status(chef) is None, "the earlier demo's server to be deleted")


def wait_healthy(chef: Any) -> str:
    """Wait until the server is HEALTHY; its endpoint. Raises OutboundError where it fails."""
    _until(lambda: _status(chef) in {"HEALTHY", "FAILED"}, "the server to become HEALTHY")
    server = chef.describe_servers(ServerName=SERVER)["Servers"][0]
    if server["Status"] == "FAILED":
        raise OutboundError("ServerFailed", f"the server could not be made: {server.get('StatusReason', '')}")
    return str(server["Endpoint"])


def back_up(chef: Any) -> str:
    """Make a backup and wait for it; its id."""
    backup_id = chef.create_backup(ServerName=SERVER, Description="demo")["Backup"]["BackupId"]

    def state() -> str:
        return str(chef.describe_backups(BackupId=backup_id)["Backups"][0]["Status"])

    _until(lambda: state() != "IN_PROGRESS", "the backup")
    if state() != "OK":
        raise OutboundError("BackupFailed", f"backup {backup_id} ended {state()}")
    return str(backup_id)


def wait_record(environment: Environment, bucket: str, request_id: str) -> tuple[str, dict[str, Any]]:
    """The key of the log file that holds a request's record, and the record."""
    s3 = client(environment, "s3")
    seen: set[str] = set()
    found: list[tuple[str, dict[str, Any]]] = []

    def look() -> bool:
        prefix = f"AWSLogs/{environment['OPENTRAIL_ACCOUNT_ID']}/CloudTrail/"
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                key = item["Key"]
                if key in seen or key.endswith("/"):
                    continue
                seen.add(key)
                records = json.loads(gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))["Records"]
                found.extend((key, record) for record in records if record.get("requestID") == request_id)
        return bool(found)

    _until(look, "the log file")
    return found[0]


def _status(chef: Any) -> str | None:
    from botocore.exceptions import ClientError

    try:
        return str(chef.describe_servers(ServerName=SERVER)["Servers"][0]["Status"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise


def _until(holds: Any, what: str) -> None:
    """Wait for something. Raises OutboundError when patience ends."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise OutboundError("TimedOut", f"waited {_PATIENCE_S:.0f} s for {what}; see `opentrail doctor`")
        time.sleep(0.25)

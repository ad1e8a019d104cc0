"""Strangers read the log files: TrailScraper out of the bucket, DuckDB as Athena's table has them (docs/tools.md)."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.auditors import python_of, run_tool
from tests.support.gateway import Gateway, Key, delivered, make_trail, running

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
BUCKET = "aws-cloudtrail-logs-123456789012-0000read"
ADA = Key("AKIAREADERREADERREAD", "reader/reader/reader/reader/reader/reade")
LAST = "the-last-one"

QUERY = r"""
import json, sys
import duckdb

connection = duckdb.connect()
connection.execute('''
    CREATE VIEW logs AS SELECT unnest(Records, recursive := false) AS r FROM read_json($files, columns = {
        'Records': 'STRUCT(
            eventVersion VARCHAR,
            userIdentity STRUCT("type" VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, invokedBy VARCHAR,
                accessKeyId VARCHAR, userName VARCHAR,
                onBehalfOf STRUCT(userId VARCHAR, identityStoreArn VARCHAR),
                sessionContext STRUCT(
                    attributes STRUCT(mfaAuthenticated VARCHAR, creationDate VARCHAR),
                    sessionIssuer STRUCT("type" VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR,
                        userName VARCHAR),
                    ec2RoleDelivery VARCHAR,
                    webIdFederationData STRUCT(federatedProvider VARCHAR, attributes MAP(VARCHAR, VARCHAR)))),
            eventTime TIMESTAMP, eventSource VARCHAR, eventName VARCHAR, awsRegion VARCHAR, sourceIPAddress VARCHAR,
            userAgent VARCHAR, errorCode VARCHAR, errorMessage VARCHAR, requestParameters JSON, responseElements JSON,
            additionalEventData JSON, requestID VARCHAR, eventID UUID,
            resources STRUCT(ARN VARCHAR, accountId VARCHAR, "type" VARCHAR)[],
            eventType VARCHAR, apiVersion VARCHAR, readOnly BOOLEAN, recipientAccountId VARCHAR,
            serviceEventDetails JSON, sharedEventID UUID, vpcEndpointId VARCHAR, eventCategory VARCHAR,
            tlsDetails STRUCT(tlsVersion VARCHAR, cipherSuite VARCHAR, clientProvidedHostHeader VARCHAR))[]'
    }, maximum_object_size = 200000000)
'''.replace('$files', repr(sys.argv[1] + '/**/*.json.gz')))


def rows(query):
    return connection.execute(query).fetchall()


inferred = f"FROM (SELECT unnest(Records) AS r FROM read_json('{sys.argv[1]}/**/*.json.gz', union_by_name = true))"
print(json.dumps({
    "names": dict(rows("SELECT r.eventName, count(*) FROM logs GROUP BY ALL")),
    "ids": [str(one) for (one,) in rows("SELECT DISTINCT r.eventID FROM logs")],
    "issuers": rows("SELECT DISTINCT r.userIdentity.sessionContext.sessionIssuer.arn FROM logs ORDER BY ALL"),
    "denied": rows("SELECT r.eventName, r.errorCode FROM logs WHERE r.errorCode LIKE 'AccessDenied%'"),
    "buckets": rows("SELECT DISTINCT r.requestParameters->>'bucketName' FROM logs WHERE r.eventName = 'PutObject'"),
    "objects": rows("SELECT DISTINCT o.ARN FROM (SELECT unnest(r.resources) AS o FROM logs "
                    "WHERE r.eventName = 'PutObject') WHERE o.type = 'AWS::S3::Object'"),
    "nameless": rows("SELECT count(*) FROM logs WHERE r.eventTime IS NULL OR r.eventSource IS NULL "
                     "OR r.awsRegion IS NULL OR r.readOnly IS NULL OR r.eventCategory IS NULL")[0][0],
    "inferred": rows(f"SELECT count(*) {inferred}")[0][0],
}))
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail, whose trail keeps data events too, after some calls of root, of a role and of nobody allowed."""
    with running(tmp_path_factory.mktemp("readers") / "home") as gateway:
        make_trail(gateway, BUCKET)
        objects = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::papers/"]}
        selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [objects]}
        gateway.client("cloudtrail").put_event_selectors(TrailName="main", EventSelectors=[selector])
        _use(gateway)
        yield gateway


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _use(gateway: Gateway) -> None:
    gateway.import_key("123456789012", ADA, "--user", "ada", "--admin")
    iam, s3, sts = gateway.client("iam"), gateway.client("s3"), gateway.client("sts", ADA)
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=_policy(trust))["Role"]
    allow = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:ListBucket", "cloudtrail:DescribeTrails", "kms:CreateKey"],
        "Resource": "*",
    }
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=_policy(allow))
    s3.create_bucket(Bucket="papers")
    s3.put_object(Bucket="papers", Key="one", Body=b"1")
    session = Key.of(sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ada")["Credentials"])
    reader = gateway.client("s3", session)
    reader.get_object(Bucket="papers", Key="one")
    reader.list_objects_v2(Bucket="papers")
    gateway.client("cloudtrail", session).describe_trails()
    gateway.client("kms", session).create_key(Description="é ü 中 \U0001f511")
    with pytest.raises(ClientError):
        gateway.client("iam", session).create_user(UserName="eve")
    sts_of_role = gateway.client("sts", session)
    sts_of_role.get_caller_identity()
    iam.create_group(GroupName=LAST)


@pytest.fixture(scope="module")
def logs(gateway: Gateway) -> Path:
    """The bucket's log files in a directory, fetched by TrailScraper once the last call is in them."""
    s3 = gateway.client("s3")
    deadline = time.monotonic() + 120
    while not any(LAST in json.dumps(record["requestParameters"]) for record in delivered(s3, BUCKET)):
        assert time.monotonic() < deadline, "waited for the log files"
        time.sleep(0.5)
    gateway.client("cloudtrail").stop_logging(Name="main")
    target = gateway.home.parent / "logs"
    where = ("--bucket", BUCKET, "--account-id", "123456789012", "--region", "us-east-1", "--log-dir", str(target))
    done = run_tool(gateway, "trailscraper", "trailscraper", "download", *where, "--from", "-1days")
    assert done.returncode == 0, done.stderr
    assert list(target.rglob("*.json.gz"))
    return target


def _selected(gateway: Gateway, logs: Path, *filters: str) -> list[dict[str, Any]]:
    done = run_tool(gateway, "trailscraper", "trailscraper", "select", "--log-dir", str(logs), *filters)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["Records"]
    return found


def _on_disk(logs: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in logs.rglob("*.json.gz"):
        text = subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=True).stdout
        found.extend(json.loads(text)["Records"])
    return found


def test_trailscraper_reads_every_record_it_downloaded(gateway: Gateway, logs: Path) -> None:
    """File names, places and times are as it expects them; no record is lost on the way."""
    records = _on_disk(logs)
    ids = Counter(record["eventID"] for record in records)
    assert max(ids.values()) == 1
    assert Counter(record["eventID"] for record in _selected(gateway, logs, "--from", "-1days")) == ids
    role = "arn:aws:iam::123456789012:role/reader"
    mine = {record["eventName"] for record in _selected(gateway, logs, "--filter-assumed-role-arn", role)}
    assert mine == {"GetObject", "ListObjects", "DescribeTrails", "CreateKey", "CreateUser", "GetCallerIdentity"}
    last = run_tool(gateway, "trailscraper", "trailscraper", "last-event-timestamp", "--log-dir", str(logs))
    assert last.returncode == 0, last.stderr
    # It looks into one of the files of the newest minute.
    assert last.stdout.split("+")[0].replace(" ", "T") + "Z" in {record["eventTime"] for record in records}


def test_trailscraper_writes_the_policy_that_a_role_needs(gateway: Gateway, logs: Path) -> None:
    """From the role's records to the IAM actions that it used."""
    role = "arn:aws:iam::123456789012:role/reader"
    records = {"Records": _selected(gateway, logs, "--filter-assumed-role-arn", role)}
    script = python_of("trailscraper").with_name("trailscraper")
    done = subprocess.run(
        [str(script), "generate"], input=json.dumps(records), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    actions = {action for statement in json.loads(done.stdout)["Statement"] for action in statement["Action"]}
    assert actions == {
        "s3:GetObject",
        "s3:ListBucket",
        "cloudtrail:DescribeTrails",
        "iam:CreateUser",
        "kms:CreateKey",
    }, "GetCallerIdentity takes no permission"


def test_duckdb_reads_the_files_as_athenas_table(logs: Path) -> None:
    """Types are Athena's (times and ids stricter: real timestamps, real UUIDs); inference finds the same records."""
    command = [str(python_of("duckdb")), "-c", QUERY, str(logs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    records = _on_disk(logs)
    assert told["names"] == Counter(record["eventName"] for record in records)
    assert sorted(told["ids"]) == sorted(record["eventID"] for record in records)
    assert told["inferred"] == len(records)
    assert told["nameless"] == 0
    assert ["arn:aws:iam::123456789012:role/reader"] in told["issuers"]
    assert ["CreateUser", "AccessDenied"] in told["denied"]
    assert told["buckets"] == [["papers"]]
    assert told["objects"] == [["arn:aws:s3:::papers/one"]]

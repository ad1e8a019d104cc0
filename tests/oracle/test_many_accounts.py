"""Two regions, three accounts of one organization and a stranger, one bucket: every record under its account's and
region's key, exactly once, and everything sealed.

The reader knows AWS's layout and nothing else; the AWS CLI and our checker give the verdicts.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.gateway import Gateway, Key, running
from tests.support.validate_logs import verdict_of

BUCKET = "org-trail-logs-0000eeee"
MASTER, INVITED, STRANGER = "123456789012", "210987654321", "222222222222"
INVITED_KEY = Key("AKIAINVITEDACCOUNT01", "invited-secret-of-this-test-0123456789ab")
STRANGER_KEY = Key("AKIASTRANGERACCT0001", "stranger-secret-of-this-test-0123456789")
HOME, ABROAD = "us-east-1", "eu-west-1"
ARN = f"arn:aws:cloudtrail:{HOME}:{MASTER}:trail/everybody"
OWN_ARN = f"arn:aws:cloudtrail:{ABROAD}:{STRANGER}:trail/own"
SETTINGS = {"OPENTRAIL_DELIVERY_DIGEST_INTERVAL_S": "2"}
LAYOUT = re.compile(
    r"AWSLogs/(?:(?P<organization>o-[a-z0-9]{10,32})/)?(?P<account>\d{12})/CloudTrail/(?P<region>[a-z0-9-]+)/(\d{4})/(\d{2})/(\d{2})/"
    r"(?P=account)_CloudTrail_(?P=region)_\4\5\6T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz"
)


@dataclass(frozen=True)
class Scene:
    """The organization's life in the bucket, over. ``created``: the account that Organizations made."""

    gateway: Gateway
    organization_id: str
    created: str
    since: datetime
    made: Counter[tuple[str, str, str]]
    """Account, region and name of the topics' calls that were answered."""

    @property
    def members(self) -> tuple[str, ...]:
        """The three accounts of the organization."""
        return MASTER, INVITED, self.created

    def validate(self, arn: str, region: str, *options: str) -> tuple[int, Any]:
        """`aws cloudtrail validate-logs` over the whole life."""
        times = ("--start-time", f"{self.since:%Y-%m-%dT%H:%M:%SZ}", "--region", region)
        done = self.gateway.cli("cloudtrail", "validate-logs", "--trail-arn", arn, *times, *options)
        return done.returncode, verdict_of(done.stdout, done.stderr)


def policy(organization_id: str) -> str:
    """Who may write: the organization's trail below its id, the stranger's below its own."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    arns = {"aws:SourceArn": [ARN, OWN_ARN]}
    acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
    objects = [f"arn:aws:s3:::{BUCKET}/AWSLogs/{root}/*" for root in (MASTER, organization_id, STRANGER)]
    statements = [
        {
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:GetBucketAcl",
            "Resource": f"arn:aws:s3:::{BUCKET}",
            "Condition": {"StringEquals": arns},
        },
        {
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:PutObject",
            "Resource": objects,
            "Condition": {"StringEquals": acl | arns},
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def organize(gateway: Gateway) -> tuple[str, str]:
    """An organization that lets CloudTrail in, with an invited account and a created one: its id, and the latter."""
    organizations = gateway.client("organizations")
    organization_id: str = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    target = {"Type": "ACCOUNT", "Id": INVITED}
    handshake = organizations.invite_account_to_organization(Target=target)["Handshake"]["Id"]
    gateway.client("organizations", INVITED_KEY).accept_handshake(HandshakeId=handshake)
    status = organizations.create_account(Email="made@example.com", AccountName="made")["CreateAccountStatus"]
    deadline = time.monotonic() + 60
    while status["State"] == "IN_PROGRESS" and time.monotonic() < deadline:
        status = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])[
            "CreateAccountStatus"
        ]
        time.sleep(0.2)
    assert status["State"] == "SUCCEEDED", status
    organizations.enable_aws_service_access(ServicePrincipal="cloudtrail.amazonaws.com")
    created: str = status["AccountId"]
    return organization_id, created


def assumed(gateway: Gateway, account_id: str) -> Key:
    """The management account in a created account."""
    root = gateway.client("iam")
    root.create_user(UserName="org-admin")
    root.attach_user_policy(UserName="org-admin", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    pair = root.create_access_key(UserName="org-admin")["AccessKey"]
    sts = gateway.client("sts", Key(pair["AccessKeyId"], pair["SecretAccessKey"]))
    arn = f"arn:aws:iam::{account_id}:role/OrganizationAccountAccessRole"
    return Key.of(sts.assume_role(RoleArn=arn, RoleSessionName="boss")["Credentials"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Four accounts that make topics in two regions, and the trails of three and of one."""
    since = datetime.now(UTC) - timedelta(minutes=1)
    with running(tmp_path_factory.mktemp("accounts") / "home", SETTINGS) as gateway:
        gateway.import_key(INVITED, INVITED_KEY, "--root")
        gateway.import_key(STRANGER, STRANGER_KEY, "--root")
        organization_id, created = organize(gateway)
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(organization_id))
        made = gateway.cli(
            *("cloudtrail", "create-trail", "--name", "everybody", "--s3-bucket-name", BUCKET),
            *("--is-organization-trail", "--is-multi-region-trail", "--enable-log-file-validation"),
        )
        assert made.returncode == 0, made.stderr
        gateway.client("cloudtrail").start_logging(Name="everybody")
        own = gateway.client("cloudtrail", STRANGER_KEY, region_name=ABROAD)
        own.create_trail(Name="own", S3BucketName=BUCKET, EnableLogFileValidation=True)
        own.start_logging(Name="own")
        keys = {MASTER: None, INVITED: INVITED_KEY, STRANGER: STRANGER_KEY, created: assumed(gateway, created)}
        answered: Counter[tuple[str, str, str]] = Counter()
        for turn in range(4):
            for account_id, key in keys.items():
                for region in (HOME, ABROAD):
                    gateway.client("sns", key, region_name=region).create_topic(Name=f"topic-{turn}")
                    answered[account_id, region, f"topic-{turn}"] += 1
            time.sleep(1.5)
        gateway.client("cloudtrail").stop_logging(Name="everybody")
        own.stop_logging(Name="own")
        _until_sealed(gateway)
        yield Scene(gateway, organization_id, created, since, answered)


def _until_sealed(gateway: Gateway) -> None:
    """Until nothing was put for some seconds: log files and final digests are there."""
    s3, seen, since_s = gateway.client("s3"), -1, time.monotonic()
    while time.monotonic() - since_s < 5:
        count = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
        if count != seen:
            seen, since_s = count, time.monotonic()
        time.sleep(0.2)


def read(gateway: Gateway) -> Iterator[tuple["re.Match[str]", dict[str, Any]]]:
    """Every record with its log file's key, as a reader finds them that knows AWS's layout."""
    s3 = gateway.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page["Contents"]:
            found = LAYOUT.fullmatch(item["Key"])
            if found:
                body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
                for record in json.loads(gzip.decompress(body))["Records"]:
                    yield found, record


def test_each_record_stands_under_its_account_and_region_exactly_once(scene: Scene) -> None:
    """The topics that were made are those that the bucket tells of, each in its place."""
    ids: Counter[str] = Counter()
    topics: Counter[tuple[str, str, str]] = Counter()
    for key, record in read(scene.gateway):
        ids[record["eventID"]] += 1
        assert record["recipientAccountId"] == key["account"]
        assert record["awsRegion"] == key["region"]
        assert key["organization"] == (scene.organization_id if key["account"] in scene.members else None)
        if record["eventName"] == "CreateTopic":
            topics[key["account"], key["region"], record["requestParameters"]["name"]] += 1
    assert set(ids.values()) == {1}
    expected = Counter({made: count for made, count in scene.made.items() if made[0] != STRANGER or made[1] == ABROAD})
    assert topics == expected  # the stranger's trail is of one region


@pytest.mark.parametrize("region", [HOME, ABROAD])
@pytest.mark.parametrize("who", range(3), ids=["management", "invited", "created"])
def test_the_aws_cli_finds_every_account_of_the_organization_whole(scene: Scene, who: int, region: str) -> None:
    """`validate-logs --account-id`, which asks DescribeTrails and DescribeOrganization where to look."""
    code, verdict = scene.validate(ARN, region, "--account-id", scene.members[who])
    assert (code, verdict.invalid) == (0, ()), verdict.text
    assert verdict.digests_valid > 1
    assert verdict.logs_valid > 0


def test_without_an_account_the_aws_cli_asks_for_one(scene: Scene) -> None:
    """It learns from DescribeTrails that the trail is an organization's."""
    done = scene.gateway.cli(
        *("cloudtrail", "validate-logs", "--trail-arn", ARN, "--start-time", f"{scene.since:%Y-%m-%dT%H:%M:%SZ}")
    )
    assert done.returncode != 0
    assert "Missing required parameter for organization trail: '--account-id'" in done.stderr


def test_the_account_beside_the_organization_is_whole_too(scene: Scene) -> None:
    """Its trail writes to the same bucket, where the policy lets it."""
    code, verdict = scene.validate(OWN_ARN, ABROAD, "--s3-bucket", BUCKET)
    assert (code, verdict.invalid) == (0, ()), verdict.text
    assert verdict.logs_valid > 0


def test_our_checker_finds_every_chain_whole(scene: Scene) -> None:
    """Seven chains: three accounts in two regions, and the stranger's one."""
    command = [sys.executable, "-m", "opentrail", "validate", f"s3://{BUCKET}", "--json"]
    command += ["--end-time", f"{datetime.now(UTC) - timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"]
    environment = scene.gateway.tool_environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    kinds = {finding["kind"] for finding in report["findings"]}
    assert kinds <= {"chain-ends-early"}, done.stdout  # the trails stopped before the end of the time asked for
    assert {(chain["accountId"], chain["region"]) for chain in report["chains"]} == {
        *((account, region) for account in scene.members for region in (HOME, ABROAD)),
        (STRANGER, ABROAD),
    }


def test_members_see_the_trail_and_its_change_is_refused(scene: Scene) -> None:
    """By ARN and as a shadow; the refusal is a record in the member's folder."""
    member = scene.gateway.client("cloudtrail", INVITED_KEY)
    (described,) = member.describe_trails()["trailList"]
    assert (described["TrailARN"], described["IsOrganizationTrail"]) == (ARN, True)
    assert member.get_trail_status(Name=ARN)["IsLogging"] is False
    assert member.describe_trails(includeShadowTrails=False)["trailList"] == []
    with pytest.raises(member.exceptions.NotOrganizationMasterAccountException):
        member.start_logging(Name=ARN)

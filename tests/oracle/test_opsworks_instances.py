"""Restoring, maintenance and the schedule as AWS's own tools and the trail's log files show them."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.windows import DAYS
from tests.support.chef_home import ChefHome
from tests.support.gateway import Gateway, delivered, make_trail, running

BUCKET = "aws-cloudtrail-logs-123456789012-0000cccc"
CANARY = "CanaryValueOfAnAttribute"
REDACTED = "*** Redacted ***"
pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail with a trail, for all tests here."""
    with running(tmp_path_factory.mktemp("oracle") / "home", {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "0.5"}) as up:
        make_trail(up, BUCKET)
        yield up


def until(holds: Callable[[], Any], what: str, patience_s: float = 150) -> Any:
    deadline = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.3)
    return found


def cli(gateway: Gateway, *arguments: str) -> Any:
    done = gateway.cli("opsworkscm", *arguments)
    assert done.returncode == 0, (arguments, done.stderr)
    return json.loads(done.stdout or "{}")


def records(gateway: Gateway, event_name: str, server: str) -> list[dict[str, Any]]:
    """The delivered records of an event that name a server: those that failed first, then in the order of times."""
    found = [
        record
        for record in delivered(gateway.client("s3"), BUCKET)
        if record["eventName"] == event_name and f'"{server}"' in json.dumps(record)
    ]
    return sorted(found, key=lambda record: ("errorCode" not in record, str(record["eventTime"])))


def signed_get(gateway: Gateway, url: str) -> bytes:
    """What an S3 URL leads to, for the account's root."""
    request = AWSRequest("GET", url)
    key = gateway.root
    S3SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), "s3", "us-east-1").add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers))) as answer:
        return bytes(answer.read())


def test_opsworks_cli_restores_and_maintains_and_the_logs_open(gateway: Gateway) -> None:
    """`aws opsworkscm` drives backup, restore and maintenance; `aws s3 cp` and the URL itself show the log, encrypted
    by the server.
    """
    chef = ChefHome(gateway)
    chef.create("cli-two")
    chef.wait("cli-two", "HEALTHY")
    backup_id = cli(gateway, "create-backup", "--server-name", "cli-two")["Backup"]["BackupId"]
    chef.wait("cli-two", "HEALTHY")
    backup = cli(gateway, "describe-backups", "--backup-id", backup_id)["Backups"][0]
    url = urlsplit(backup["S3LogUrl"])
    assert f"{url.scheme}://{url.netloc}" == gateway.url
    copied = gateway.cli("s3", "cp", f"s3:/{url.path}", "-")
    assert "Backup completed successfully" in copied.stdout, copied.stderr
    assert signed_get(gateway, backup["S3LogUrl"]).decode() == copied.stdout
    events = cli(gateway, "describe-events", "--server-name", "cli-two")["ServerEvents"]
    assert backup["S3LogUrl"] in [event.get("LogUrl") for event in events]
    bucket = url.path.split("/")[1]
    for key in (backup_id, f"{backup_id}.tar.gz"):
        head = gateway.client("s3").head_object(Bucket=bucket, Key=key)
        assert head["ServerSideEncryption"] == "AES256"
    named = ("--server-name", "cli-two")
    begun = cli(gateway, "restore-server", *named, "--backup-id", backup_id, "--instance-type", "r5.xlarge")["Server"]
    assert begun["Status"] == "RESTORING"
    chef.wait("cli-two", "HEALTHY")
    assert cli(gateway, "start-maintenance", *named)["Server"]["Status"] == "UNDER_MAINTENANCE"
    chef.wait("cli-two", "HEALTHY")
    server = cli(gateway, "describe-servers", *named)["Servers"][0]
    assert (server["MaintenanceStatus"], server["InstanceType"]) == ("SUCCESS", "r5.xlarge")
    assert server["Endpoint"] == begun["Endpoint"]


def test_opsworks_restore_and_maintenance_are_recorded_without_secrets(gateway: Gateway) -> None:
    """Success and failure of both calls stand in the log files, in lower camel case, with redacted attribute values."""
    chef, api = ChefHome(gateway), gateway.client("opsworkscm")
    chef.create("recorded")
    chef.wait("recorded", "HEALTHY")
    backup_id = api.create_backup(ServerName="recorded")["Backup"]["BackupId"]
    chef.wait("recorded", "HEALTHY")
    attributes = [{"Name": "CHEF_MAJOR_UPGRADE", "Value": CANARY}]
    with pytest.raises(ClientError, match="must be true"):
        api.start_maintenance(ServerName="recorded", EngineAttributes=attributes)
    with pytest.raises(ClientError, match="does not exist"):
        api.restore_server(ServerName="recorded", BackupId="recorded-1")
    api.restore_server(ServerName="recorded", BackupId=backup_id, KeyPair="pair")
    chef.wait("recorded", "HEALTHY")
    api.start_maintenance(ServerName="recorded")
    chef.wait("recorded", "HEALTHY")
    with pytest.raises(ClientError, match="does not exist"):
        chef.create("recorded-2", BackupId="recorded-1")
    chef.create("recorded-2", BackupId=backup_id)
    chef.wait("recorded-2", "HEALTHY")
    until(lambda: len(records(gateway, "StartMaintenance", "recorded")) == 2, "the records")
    until(lambda: len(records(gateway, "CreateServer", "recorded-2")) == 2, "the records")
    failed, done = records(gateway, "StartMaintenance", "recorded")
    assert (failed["errorCode"], failed["responseElements"]) == ("ValidationException", None)
    shown = [{"name": "CHEF_MAJOR_UPGRADE", "value": REDACTED}]
    assert failed["requestParameters"] == {"serverName": "recorded", "engineAttributes": shown}
    assert done["responseElements"]["server"]["status"] == "UNDER_MAINTENANCE"
    failed, done = records(gateway, "RestoreServer", "recorded")
    assert (failed["errorCode"], failed["responseElements"]) == ("ResourceNotFoundException", None)
    assert done["requestParameters"] == {"serverName": "recorded", "backupId": backup_id, "keyPair": "pair"}
    assert done["responseElements"]["server"]["status"] == "RESTORING"
    assert re.fullmatch(r"\w{3} \d+, \d{4} [\d:]+ [AP]M", done["responseElements"]["server"]["createdAt"])
    assert (done["readOnly"], done["eventType"]) == (False, "AwsApiCall")
    made = records(gateway, "CreateServer", "recorded-2")[1]
    assert made["requestParameters"]["backupId"] == backup_id
    values = {item["value"] for item in made["responseElements"]["server"]["engineAttributes"]}
    assert values == {REDACTED}
    assert CANARY not in json.dumps(delivered(gateway.client("s3"), BUCKET))
    assert CANARY not in gateway.log.read_text()


def test_opsworks_schedule_leaves_service_events(gateway: Gateway) -> None:
    """A window that opens in the next minute: backup, maintenance and the end of the older backup, by the service."""
    at = datetime.now(UTC) + timedelta(minutes=1)
    clock = f"{at:%H:%M}"
    chef = ChefHome(gateway)
    chef.create("by-clock", PreferredBackupWindow=clock, PreferredMaintenanceWindow=f"{DAYS[at.weekday()]}:{clock}")
    chef.wait("by-clock", "HEALTHY")
    until(lambda: chef.servers()["by-clock"].get("MaintenanceStatus"), "the maintenance")
    chef.wait("by-clock", "HEALTHY")
    until(lambda: records(gateway, "DeleteBackup", "by-clock"), "the records")
    backup, maintenance, expired = (
        records(gateway, name, "by-clock")[0] for name in ("CreateBackup", "StartMaintenance", "DeleteBackup")
    )
    for record in (backup, maintenance, expired):
        assert (record["eventType"], record["eventSource"]) == ("AwsServiceEvent", "opsworks-cm.amazonaws.com")
        assert record["userIdentity"]["invokedBy"] == "opsworks-cm.amazonaws.com"
        assert (record["requestParameters"], record["responseElements"]) == (None, None)
        assert (record["readOnly"], record["recipientAccountId"]) == (False, "123456789012")
        assert record["resources"][0]["ARN"] == chef.servers()["by-clock"]["ServerArn"]
    assert backup["serviceEventDetails"]["backupType"] == "AUTOMATED"
    assert expired["serviceEventDetails"]["backupId"] == backup["serviceEventDetails"]["backupId"]
    until(lambda: len([one for one in chef.backups() if one["ServerName"] == "by-clock"]) == 1, "the old one's end")
    left = next(one for one in chef.backups() if one["ServerName"] == "by-clock")
    assert left["BackupId"] == maintenance["serviceEventDetails"]["backupId"]
    assert (left["BackupType"], left["Status"]) == ("AUTOMATED", "OK")

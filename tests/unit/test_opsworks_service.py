"""The handlers of OpsWorks CM with a fake engine: rules, guards, quotas, scoping (fact sheet 2 to 9 and 13)."""

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.errors import ApiError, OutboundError
from opentrail.opsworks.engine import FirstUsers
from opentrail.services.operation import handlers_of
from opentrail.services.opsworks_cm import UNSUPPORTED, OpsWorksCmService
from tests.support.memory_store import MemoryObjectStore
from tests.support.opsworks import (
    ACCOUNT,
    KEY_PAIR,
    MODEL,
    OTHER_ACCOUNT,
    PASSWORD,
    FakeEngine,
    World,
    call_of,
    create_request,
    fake_world,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path / "w") as world:
        yield world


def refusal(world: World, name: str, request: dict[str, Any], **scope: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        world.ask(name, request, **scope)
    return caught.value


def created(world: World, name: str = "automate-06", **members: Any) -> dict[str, Any]:
    answer = world.ask("CreateServer", create_request(name, **members))
    world.settle()
    return dict(answer["Server"])


def attributes_of(server: dict[str, Any]) -> dict[str, str]:
    return {attribute["Name"]: attribute["Value"] for attribute in server["EngineAttributes"]}


def test_opsworks_every_operation_is_answered_or_listed_as_unsupported() -> None:
    """Handlers and UNSUPPORTED together are exactly the model's nineteen operations, without overlap."""
    handled = set(handlers_of(object.__new__(OpsWorksCmService)))
    assert handled.isdisjoint(UNSUPPORTED)
    assert handled | set(UNSUPPORTED) == set(MODEL.operation_names)
    assert len(MODEL.operation_names) == 19


def test_opsworks_create_answers_creating_with_documented_defaults(world: World) -> None:
    """The answer is CREATING with AWS's defaults, the documented ARN and endpoint forms, and no absent members."""
    server = world.ask("CreateServer", create_request("MyChef"))["Server"]
    assert server["Status"] == "CREATING"
    assert (server["DisableAutomatedBackup"], server["BackupRetentionCount"]) == (False, 1)
    assert (server["EngineModel"], server["EngineVersion"]) == ("Single", "2020-07")
    assert server["AssociatePublicIpAddress"] is True
    assert server["ServerArn"].startswith(f"arn:aws:opsworks-cm:us-east-1:{ACCOUNT}:server/MyChef/")
    host, _, rest = server["Endpoint"].partition(".")
    assert rest == "us-east-1.opsworks-cm.io"
    assert host.startswith("mychef-")
    assert len(host) == len("mychef-") + 16
    assert None not in server.values()
    assert server["PreferredMaintenanceWindow"][:3] in {"Tue", "Wed", "Fri"}
    assert server["PreferredBackupWindow"].endswith(":00")
    assert len(server["PreferredBackupWindow"]) == 5


def test_opsworks_create_generates_all_credentials_once(world: World) -> None:
    """Without attributes the answer carries key, kit and password; later answers carry no attribute at all."""
    shown = attributes_of(created(world))
    assert set(shown) == {"CHEF_AUTOMATE_PIVOTAL_KEY", "CHEF_STARTER_KIT", "CHEF_AUTOMATE_ADMIN_PASSWORD"}
    assert shown["CHEF_AUTOMATE_PIVOTAL_KEY"] == KEY_PAIR.private_pem
    kit = zipfile.ZipFile(io.BytesIO(base64.b64decode(shown["CHEF_STARTER_KIT"])))
    assert kit.read(".chef/private.pem").decode() == KEY_PAIR.private_pem
    engine = world.engine
    assert isinstance(engine, FakeEngine)
    users = engine.users[world.server_id()]
    assert users.admin_password == shown["CHEF_AUTOMATE_ADMIN_PASSWORD"]
    assert users.pivotal_public_key == KEY_PAIR.public_pem
    later = world.ask("DescribeServers", {"ServerName": "automate-06"})["Servers"][0]
    assert later["EngineAttributes"] == []
    assert later["Status"] == "HEALTHY"


def test_opsworks_create_with_own_credentials_returns_only_the_kit(world: World) -> None:
    """A caller's key and password are not repeated, and the kit has no private key."""
    given = [
        {"Name": "CHEF_AUTOMATE_PIVOTAL_KEY", "Value": KEY_PAIR.public_pem},
        {"Name": "CHEF_DELIVERY_ADMIN_PASSWORD", "Value": "Passw0rd!x"},
    ]
    shown = attributes_of(created(world, EngineAttributes=given))
    assert set(shown) == {"CHEF_STARTER_KIT"}
    assert (
        ".chef/private.pem" not in zipfile.ZipFile(io.BytesIO(base64.b64decode(shown["CHEF_STARTER_KIT"]))).namelist()
    )


def test_opsworks_old_engine_name_gets_old_attribute_names(world: World) -> None:
    """Engine Chef answers the names of 2017 and its own default version."""
    server = created(world, Engine="Chef", EngineModel="Single", EngineVersion="12")
    assert set(attributes_of(server)) == {"CHEF_PIVOTAL_KEY", "CHEF_STARTER_KIT", "CHEF_DELIVERY_ADMIN_PASSWORD"}
    assert (server["Engine"], server["EngineVersion"]) == ("Chef", "12.17.33")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"Engine": "Puppet"}, "Puppet is not supported"),
        ({"Engine": "Salt"}, "Engine must be one of"),
        ({"EngineModel": "Monolithic"}, "EngineModel of ChefAutomate must be Single"),
        ({"EngineVersion": "11"}, "EngineVersion must be one of 2, 12"),
        ({"CustomDomain": "chef.example.com"}, "must be given together"),
        ({"CustomCertificate": "x"}, "must be given together"),
        ({"CustomPrivateKey": "SECRET-KEY"}, "must be given together"),
        ({"PreferredMaintenanceWindow": "Thr:10:00"}, "PreferredMaintenanceWindow must be"),
        ({"PreferredBackupWindow": "24:00"}, "PreferredBackupWindow must be"),
        ({"EngineAttributes": [{"Name": "NOPE", "Value": "x"}]}, "'NOPE' is not one"),
        ({"EngineAttributes": [{"Name": "CHEF_PIVOTAL_KEY", "Value": "SECRET-KEY"}]}, "at least 2048 bits"),
        ({"EngineAttributes": [{"Name": "CHEF_AUTOMATE_ADMIN_PASSWORD", "Value": "SECRET-KEY"}]}, "8 to 32 characters"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": " a ", "Value": "2"}]}, "more than once"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "reserved prefix"),
        ({"Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]}, "at most 50"),
    ],
)
def test_opsworks_create_refuses_and_changes_nothing(world: World, members: dict[str, Any], said: str) -> None:
    """What breaks a rule is a ValidationException that names the member, repeats no secret, and stores nothing."""
    problem = refusal(world, "CreateServer", create_request(**members))
    assert problem.code == "ValidationException"
    assert said in problem.message
    assert "SECRET-KEY" not in problem.message
    assert world.ask("DescribeServers")["Servers"] == []


def test_opsworks_minutes_other_than_zero_are_accepted(world: World) -> None:
    """The guide's own examples Fri:18:15 and 18:15 are taken as they are."""
    server = created(world, PreferredMaintenanceWindow="Fri:18:15", PreferredBackupWindow="18:15")
    assert (server["PreferredMaintenanceWindow"], server["PreferredBackupWindow"]) == ("Fri:18:15", "18:15")


def test_opsworks_names_are_unique_per_account_and_region(world: World) -> None:
    """A name is taken only where it exists, and its endpoint is fresh when it is made again."""
    first = created(world)
    assert refusal(world, "CreateServer", create_request()).code == "ResourceAlreadyExistsException"
    world.ask("CreateServer", create_request(), region="eu-west-1")
    world.ask("CreateServer", create_request(), account_id=OTHER_ACCOUNT)
    world.ask("DeleteServer", {"ServerName": "automate-06"})
    world.settle()
    assert created(world)["Endpoint"] != first["Endpoint"]


def test_opsworks_eleventh_server_is_refused(world: World) -> None:
    """Ten servers fill an account in all its regions together; attributes say so."""
    for number in range(10):
        region = "us-east-1" if number % 2 else "eu-west-1"
        world.ask("CreateServer", create_request(f"s{number}"), region=region)
    problem = refusal(world, "CreateServer", create_request("s10"))
    assert (problem.code, problem.message) == (
        "LimitExceededException",
        "The maximum number of servers (10) has been reached",
    )
    limits = world.ask("DescribeAccountAttributes")["Attributes"]
    assert limits[0] == {"Name": "ServerLimit", "Maximum": 10, "Used": 10}


@pytest.mark.parametrize("name", ["DescribeServers", "UpdateServer", "DeleteServer", "CreateBackup", "DescribeEvents"])
def test_opsworks_other_accounts_servers_do_not_exist(world: World, name: str) -> None:
    """Another account, or another region, gets ResourceNotFound for a server that exists here."""
    created(world)
    for scope in ({"account_id": OTHER_ACCOUNT}, {"region": "eu-west-1"}):
        problem = refusal(world, name, {"ServerName": "automate-06"}, **scope)
        assert (problem.code, problem.message) == (
            "ResourceNotFoundException",
            "Server with name automate-06 does not exist",
        )
    assert world.ask("DescribeServers", account_id=OTHER_ACCOUNT)["Servers"] == []


def test_opsworks_missing_engine_fails_the_server_with_advice(world: World) -> None:
    """Where goiardi is not installed the server is FAILED, says how to get it, and can be deleted."""
    assert isinstance(world.engine, FakeEngine)
    world.engine.problem = OutboundError("EngineMissing", "install it with: apt-get install goiardi", retryable=False)
    created(world)
    server = world.ask("DescribeServers", {"ServerName": "automate-06"})["Servers"][0]
    assert server["Status"] == "FAILED"
    assert "apt-get install goiardi" in server["StatusReason"]
    assert "apt-get install goiardi" in world.messages()[0]
    world.ask("DeleteServer", {"ServerName": "automate-06"})
    world.settle()
    assert refusal(world, "DescribeServers", {"ServerName": "automate-06"}).code == "ResourceNotFoundException"


def test_opsworks_guards_of_a_server_in_creation(world: World) -> None:
    """While CREATING nothing but deletion and tags is possible, and the messages say which state it is."""
    assert isinstance(world.engine, FakeEngine)
    world.engine.gate.clear()
    world.ask("CreateServer", create_request())
    assert world.engine.entered.wait(10)
    problem = refusal(world, "CreateBackup", {"ServerName": "automate-06"})
    assert (problem.code, problem.message) == (
        "InvalidStateException",
        "Server automate-06 is in state CREATING; CreateBackup needs state HEALTHY, RUNNING or UNHEALTHY",
    )
    assert refusal(world, "UpdateServer", {"ServerName": "automate-06"}).code == "InvalidStateException"
    world.ask("DeleteServer", {"ServerName": "automate-06"})
    again = refusal(world, "DeleteServer", {"ServerName": "automate-06"})
    assert (again.code, again.message) == ("InvalidStateException", "Server automate-06 is already being deleted")
    arn = world.ask("DescribeServers")["Servers"][0]["ServerArn"]
    tags = {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]}
    assert refusal(world, "TagResource", tags).code == "InvalidStateException"
    world.engine.gate.set()
    world.settle()
    assert world.ask("DescribeServers")["Servers"] == []
    assert world.engine.server_ids() == []


def test_opsworks_update_changes_only_what_is_named(world: World) -> None:
    """UpdateServer keeps absent members and refuses a retention below one."""
    before = created(world, PreferredBackupWindow="03:00")
    answer = world.ask("UpdateServer", {"ServerName": "automate-06", "BackupRetentionCount": 7})["Server"]
    assert answer["BackupRetentionCount"] == 7
    assert answer["PreferredBackupWindow"] == "03:00"
    assert answer["PreferredMaintenanceWindow"] == before["PreferredMaintenanceWindow"]
    off = world.ask("UpdateServer", {"ServerName": "automate-06", "DisableAutomatedBackup": True})["Server"]
    assert (off["DisableAutomatedBackup"], off["BackupRetentionCount"]) == (True, 7)
    problem = refusal(world, "UpdateServer", {"ServerName": "automate-06", "BackupRetentionCount": 0})
    assert problem.code == "ValidationException"


def test_opsworks_backup_life(world: World) -> None:
    """A backup goes from IN_PROGRESS to OK with its log, keeps the server's snapshot and tags, and can be deleted."""
    created(world, Tags=[{"Key": "team", "Value": "chef"}, {"Key": "env", "Value": "prod"}])
    request = {"ServerName": "automate-06", "Description": "before", "Tags": [{"Key": "env", "Value": "test"}]}
    begun = world.ask("CreateBackup", request)["Backup"]
    assert (begun["Status"], begun["BackupType"], begun["Description"]) == ("IN_PROGRESS", "MANUAL", "before")
    assert begun["UserArn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert "S3LogUrl" not in begun
    world.settle()
    assert world.status() == "HEALTHY"
    world.ask("UpdateServer", {"ServerName": "automate-06", "PreferredBackupWindow": "05:55"})
    done = world.ask("DescribeBackups", {"BackupId": begun["BackupId"]})["Backups"][0]
    assert (done["Status"], done["ToolsVersion"]) == ("OK", "fake 1")
    assert done["PreferredBackupWindow"] != "05:55"
    tags = world.ask("ListTagsForResource", {"ResourceArn": done["BackupArn"]})["Tags"]
    assert tags == [{"Key": "env", "Value": "test"}, {"Key": "team", "Value": "chef"}]
    bucket = world.registered[0][0]
    assert bucket.startswith(f"aws-opsworks-cm-{ACCOUNT}-us-east-1-")
    assert done["S3LogUrl"] == f"https://s3.amazonaws.com/{bucket}/{done['BackupId']}"
    logs = [event.get("LogUrl") for event in world.ask("DescribeEvents", {"ServerName": "automate-06"})["ServerEvents"]]
    assert done["S3LogUrl"] in logs
    assert isinstance(world.objects, MemoryObjectStore)
    assert set(world.objects.buckets[bucket]) == {done["BackupId"], f"{done['BackupId']}.tar.gz"}
    assert all(item.head.server_side_encryption == "AES256" for item in world.objects.buckets[bucket].values())
    world.ask("DeleteBackup", {"BackupId": done["BackupId"]})
    world.settle()
    assert world.ask("DescribeBackups", {"ServerName": "automate-06"})["Backups"] == []
    assert world.objects.buckets[bucket] == {}
    assert refusal(world, "DeleteBackup", {"BackupId": done["BackupId"]}).code == "ResourceNotFoundException"


def test_opsworks_no_second_backup_while_one_is_made(world: World) -> None:
    """A server being backed up refuses another backup and changes; its backup cannot be deleted meanwhile."""
    created(world)
    with world.database.unit() as unit:
        call_request = {"ServerName": "automate-06"}  # the background begins only after this unit
        backup = world.service.create_backup(call_of("CreateBackup"), call_request, unit)["Backup"]
        with pytest.raises(ApiError, match="BACKING_UP"):
            world.service.create_backup(call_of("CreateBackup"), call_request, unit)
        with pytest.raises(ApiError, match="BACKING_UP"):
            world.service.update_server(call_of("UpdateServer"), call_request, unit)
        with pytest.raises(ApiError, match="in progress"):
            world.service.delete_backup(call_of("DeleteBackup"), {"BackupId": backup["BackupId"]}, unit)


def test_opsworks_backup_failure_is_told_and_releases_the_server(world: World) -> None:
    """A store that refuses makes the backup FAILED with the reason, and the server is HEALTHY again."""
    created(world)
    assert isinstance(world.objects, MemoryObjectStore)
    world.objects.outage = OutboundError("AccessDenied", "no", retryable=False)
    backup = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]
    world.settle()
    world.objects.outage = None
    failed = world.ask("DescribeBackups", {"BackupId": backup["BackupId"]})["Backups"][0]
    assert "S3LogUrl" not in failed
    assert failed["Status"] == "FAILED"
    assert "AccessDenied" in failed["StatusDescription"]
    assert world.status() == "HEALTHY"
    assert any("failed: AccessDenied" in message for message in world.messages())


def test_opsworks_manual_backups_are_limited_and_outlive_their_server(world: World) -> None:
    """The 51st manual backup is refused, counted over the account, also those of servers that are gone."""
    created(world)
    for _ in range(50):
        world.ask("CreateBackup", {"ServerName": "automate-06"})
        world.settle()
    problem = refusal(world, "CreateBackup", {"ServerName": "automate-06"})
    assert problem.code == "LimitExceededException"
    assert "manual backups (50)" in problem.message
    world.ask("DeleteServer", {"ServerName": "automate-06"})
    world.settle()
    assert world.ask("DescribeAccountAttributes")["Attributes"][1]["Used"] == 50
    listed = world.ask("DescribeBackups", {"ServerName": "automate-06"})["Backups"]
    assert len(listed) == len({backup["BackupId"] for backup in listed}) == 50
    assert [backup["BackupId"] for backup in listed] == sorted((b["BackupId"] for b in listed), reverse=True)
    page = world.ask("DescribeBackups", {"MaxResults": 20})
    rest = world.ask("DescribeBackups", {"MaxResults": 40, "NextToken": page["NextToken"]})
    assert page["Backups"] + rest["Backups"] == listed
    assert "NextToken" not in rest


def test_opsworks_unknown_backups_do_not_exist(world: World) -> None:
    """An unknown id, a name without server or backups, and another account's backup are ResourceNotFound."""
    created(world)
    backup = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]
    world.settle()
    assert refusal(world, "DescribeBackups", {"BackupId": "x-1"}).message == "Backup with id x-1 does not exist"
    assert refusal(world, "DescribeBackups", {"ServerName": "nobody"}).code == "ResourceNotFoundException"
    for name in ("DescribeBackups", "DeleteBackup"):
        problem = refusal(world, name, {"BackupId": backup["BackupId"]}, account_id=OTHER_ACCOUNT)
        assert problem.code == "ResourceNotFoundException"


def test_opsworks_tags_are_merged_limited_and_removed(world: World) -> None:
    """Tags merge by trimmed key, the limit holds after the merge, and pages of tags follow each other."""
    arn = created(world, Tags=[{"Key": " a ", "Value": " 1 "}])["ServerArn"]
    world.ask("TagResource", {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}]})
    tags = [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}]
    assert world.ask("ListTagsForResource", {"ResourceArn": arn})["Tags"] == tags
    more = [{"Key": f"k{number}", "Value": ""} for number in range(49)]
    assert refusal(world, "TagResource", {"ResourceArn": arn, "Tags": more}).code == "ValidationException"
    page = world.ask("ListTagsForResource", {"ResourceArn": arn, "MaxResults": 1})
    rest = world.ask("ListTagsForResource", {"ResourceArn": arn, "MaxResults": 1, "NextToken": page["NextToken"]})
    assert page["Tags"] + rest["Tags"] == tags
    world.ask("UntagResource", {"ResourceArn": arn, "TagKeys": ["a", "nothing"]})
    assert world.ask("ListTagsForResource", {"ResourceArn": arn})["Tags"] == tags[1:]
    for wrong in (
        arn + "x",
        arn.replace(ACCOUNT, OTHER_ACCOUNT),
        f"arn:aws:opsworks-cm:us-east-1:{ACCOUNT}:x/y",
        "arn:x",
    ):
        assert refusal(world, "ListTagsForResource", {"ResourceArn": wrong}).code == "ResourceNotFoundException"


def test_opsworks_event_pages_are_stable_and_tokens_cannot_be_forged(world: World) -> None:
    """Pages go newest first and stay put when events are added; another list's or a changed token is refused."""
    created(world)
    created(world, "other")
    everything = world.messages()
    assert everything == ["Server is healthy", "Server creation completed successfully", "Server creation started"]
    page = world.ask("DescribeEvents", {"ServerName": "automate-06", "MaxResults": 1})
    world.ask("CreateBackup", {"ServerName": "automate-06"})
    world.settle()
    token = page["NextToken"]
    rest = world.ask("DescribeEvents", {"ServerName": "automate-06", "MaxResults": 5, "NextToken": token})
    assert [event["Message"] for event in page["ServerEvents"] + rest["ServerEvents"]] == everything
    assert "NextToken" not in rest
    forged = [("other", token), ("automate-06", token[:-4] + "AAAA"), ("automate-06", "x"), ("automate-06", "é")]
    for name, bad in forged:
        problem = refusal(world, "DescribeEvents", {"ServerName": name, "NextToken": bad})
        assert (problem.code, problem.message) == (
            "InvalidNextTokenException",
            "The provided NextToken is not valid",
        )
    assert refusal(world, "DescribeServers", {"NextToken": token}).code == "InvalidNextTokenException"


def test_opsworks_servers_are_paged_when_asked(world: World) -> None:
    """MaxResults is honoured with a token; without it all servers come, newest first."""
    for name in ("a", "b", "c"):
        created(world, name)
    assert [server["ServerName"] for server in world.ask("DescribeServers")["Servers"]] == ["c", "b", "a"]
    page = world.ask("DescribeServers", {"MaxResults": 2})
    rest = world.ask("DescribeServers", {"MaxResults": 2, "NextToken": page["NextToken"]})
    assert [server["ServerName"] for server in page["Servers"] + rest["Servers"]] == ["c", "b", "a"]


def test_opsworks_secrets_have_no_repr(world: World) -> None:
    """Values that carry secrets do not show them when printed."""
    assert PASSWORD not in repr(FirstUsers("key", PASSWORD))
    assert "PRIVATE" not in repr(KEY_PAIR)


def test_opsworks_a_failed_backup_has_a_log_where_the_store_takes_one(world: World) -> None:
    """What was wrong is in the log in the bucket, and its address in the backup and its event."""
    created(world)
    assert isinstance(world.engine, FakeEngine)
    world.engine.snapshot_problem = OutboundError("EngineFiles", "no room")
    backup = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]
    world.settle()
    failed = world.ask("DescribeBackups", {"BackupId": backup["BackupId"]})["Backups"][0]
    assert (failed["Status"], failed["StatusDescription"]) == ("FAILED", "EngineFiles: no room")
    bucket, key = failed["S3LogUrl"].split("/")[-2:]
    assert b"Backup failed: EngineFiles: no room" in world.objects.get(bucket, key)
    events = world.ask("DescribeEvents", {"ServerName": "automate-06"})["ServerEvents"]
    assert failed["S3LogUrl"] in [event.get("LogUrl") for event in events]
    world.ask("DeleteBackup", {"BackupId": failed["BackupId"]})
    world.settle()
    assert not list(world.objects.list_keys(bucket, ""))

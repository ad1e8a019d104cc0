"""Restoring, creating from a backup and maintenance with a fake engine: rules, guards, outcomes, crashes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.errors import OutboundError
from opentrail.opsworks.server import ALLOWED, ServerStatus
from opentrail.state.database import Database
from tests.support.memory_store import MemoryObjectStore
from tests.support.opsworks import KEY_PAIR, PASSWORD, FakeEngine, World, create_request, fake_world
from tests.unit.test_opsworks_jobs import Home, wait_for
from tests.unit.test_opsworks_service import attributes_of, created, refusal

NAME = "automate-06"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path / "w") as world:
        yield world


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    database = Database(tmp_path / "state.db")
    yield Home(tmp_path, database)
    database.close()


def fake(world: World) -> FakeEngine:
    assert isinstance(world.engine, FakeEngine)
    return world.engine


def server(world: World, name: str = NAME) -> dict[str, Any]:
    return dict(world.ask("DescribeServers", {"ServerName": name})["Servers"][0])


def backed_up(world: World, name: str = NAME) -> str:
    backup = world.ask("CreateBackup", {"ServerName": name})["Backup"]
    world.settle()
    return str(backup["BackupId"])


def data(world: World, name: str = NAME) -> Path:
    """The one file of a fake server."""
    return fake(world).root / world.server_id(name) / "data.bin"


def force(world: World, status: ServerStatus, name: str = NAME) -> None:
    server_id = world.server_id(name)
    with world.database.unit() as unit:
        found = world.store.server_by_id(unit.connection, server_id)
        assert found is not None
        world.store.put_server(unit, found.moved(status))


def test_opsworks_restore_in_place_keeps_the_endpoint_and_brings_the_data_back(world: World) -> None:
    """The files are the backup's, the engine is told to keep the nodes, endpoint, ARN and credentials stay."""
    before = created(world, KeyPair="old-pair")
    data(world).write_text("as backed up")
    backup_id = backed_up(world)
    data(world).write_text("changed later")
    begun = world.ask(
        "RestoreServer",
        {"ServerName": NAME, "BackupId": backup_id, "InstanceType": "r5.xlarge", "KeyPair": "new-pair"},
    )["Server"]
    assert (begun["Status"], begun["InstanceType"], begun["EngineAttributes"]) == ("RESTORING", "m5.large", [])
    world.settle()
    after = server(world)
    assert (after["Status"], after["InstanceType"], after["KeyPair"]) == ("HEALTHY", "r5.xlarge", "new-pair")
    for member in ("Endpoint", "ServerArn", "CreatedAt", "EngineVersion"):
        assert after[member] == before[member]
    assert data(world).read_text() == "as backed up"
    asked = fake(world).restored[world.server_id()]
    assert (asked.keeps_nodes, asked.admin_password) == (True, None)
    assert asked.pivotal_public_key == KEY_PAIR.public_pem
    assert world.messages()[:3] == [
        "Server is healthy",
        "Restore completed successfully",
        f"Restore of backup {backup_id} started",
    ]
    assert not list(world.scratch.glob("tmp*"))


def test_opsworks_restore_without_an_instance_type_takes_the_backups(world: World) -> None:
    """InstanceType defaults to that of the backup; KeyPair stays."""
    created(world, KeyPair="pair")
    first = backed_up(world)
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": first, "InstanceType": "r5.2xlarge"})
    world.settle()
    assert server(world)["InstanceType"] == "r5.2xlarge"
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": first})
    world.settle()
    assert (server(world)["InstanceType"], server(world)["KeyPair"]) == ("m5.large", "pair")


def test_opsworks_restore_of_another_servers_backup_leaves_its_nodes_behind(world: World) -> None:
    """It is allowed, and the engine is told not to keep the nodes."""
    created(world)
    created(world, "other")
    backup_id = backed_up(world, "other")
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": backup_id})
    world.settle()
    assert world.status() == "HEALTHY"
    assert not fake(world).restored[world.server_id()].keeps_nodes
    assert data(world).read_text() == server(world, "other")["Endpoint"]


@pytest.mark.parametrize("operation", ["RestoreServer", "StartMaintenance"])
def test_opsworks_new_instances_are_made_in_the_documented_states_only(world: World, operation: str) -> None:
    """Every other state is an InvalidStateException, and nothing changes."""
    created(world)
    backup_id = backed_up(world)
    documented = {"HEALTHY", "UNHEALTHY"}
    if operation == "RestoreServer":
        documented |= {"CONNECTION_LOST", "RUNNING", "TERMINATED"}
    assert ALLOWED[operation] == documented
    request = {"ServerName": NAME} | ({"BackupId": backup_id} if operation == "RestoreServer" else {})
    for status in sorted(set(ServerStatus) - ALLOWED[operation]):
        force(world, status)
        problem = refusal(world, operation, request)
        assert problem.code == "InvalidStateException"
        assert f"is in state {status}" in problem.message
        assert world.status() == status
    force(world, ServerStatus.HEALTHY)


def test_opsworks_restore_refuses_what_is_no_good_backup(world: World) -> None:
    """Unknown backup or server: not found. A backup that failed: InvalidState. Nothing changes."""
    created(world)
    assert isinstance(world.objects, MemoryObjectStore)
    world.objects.outage = OutboundError("AccessDenied", "no", retryable=False)
    failed = backed_up(world)
    world.objects.outage = None
    for request, code in (
        ({"ServerName": NAME, "BackupId": "nope-1"}, "ResourceNotFoundException"),
        ({"ServerName": "nobody", "BackupId": failed}, "ResourceNotFoundException"),
        ({"ServerName": NAME, "BackupId": failed}, "InvalidStateException"),
    ):
        assert refusal(world, "RestoreServer", request).code == code
    assert refusal(world, "CreateServer", create_request("new", BackupId=failed)).code == "ValidationException"
    assert refusal(world, "CreateServer", create_request("new", BackupId="no-1")).code == "ResourceNotFoundException"
    assert world.status() == "HEALTHY"
    assert len(world.ask("DescribeServers")["Servers"]) == 1


def test_opsworks_failed_restore_leaves_the_old_server_running(world: World) -> None:
    """A refusing engine, a dead store, a lost or a changed archive: the old server goes on, and an event says why."""
    created(world)
    backup_id = backed_up(world)
    data(world).write_text("mine")
    assert isinstance(world.objects, MemoryObjectStore)
    bucket = world.objects.buckets[world.registered[0][0]]
    key = f"{backup_id}.tar.gz"

    def tried() -> str:
        world.ask("RestoreServer", {"ServerName": NAME, "BackupId": backup_id})
        world.settle()
        assert (world.status(), data(world).read_text()) == ("HEALTHY", "mine")
        assert "new_instance" not in str(server(world))
        return next(text for text in world.messages() if text.startswith("Restore of"))

    fake(world).restore_problem = OutboundError("Exited", "unexpected EOF")
    assert tried() == f"Restore of backup {backup_id} failed: Exited: unexpected EOF"
    fake(world).restore_problem = None
    world.objects.outage = OutboundError("ConnectionError", "down")
    assert "ConnectionError: down" in tried()
    world.objects.outage = None
    good = bucket[key]
    put = {"content_type": "application/gzip"}
    world.objects.put(world.registered[0][0], key, good.body[:-1] + b"x", **put)  # type: ignore[arg-type]
    assert "SHA-256" in tried()
    del bucket[key]
    assert "NoSuchKey" in tried()
    bucket[key] = good
    world.objects.failures = [OutboundError("SlowDown", "later"), OutboundError("SlowDown", "later")]
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": backup_id})
    world.settle()
    assert world.messages()[1] == "Restore completed successfully"


def test_opsworks_server_without_files_is_terminated_and_can_be_restored(world: World) -> None:
    """Where nothing is left to start the server is TERMINATED with a reason, and a backup brings it back."""
    created(world)
    data(world).write_text("precious")
    backup_id = backed_up(world)
    fake(world).delete(world.server_id())
    world.jobs.look_at_server(world.server_id())
    world.settle()
    assert (server(world)["Status"], server(world)["StatusReason"]) == ("TERMINATED", "the server's files are missing")
    assert refusal(world, "StartMaintenance", {"ServerName": NAME}).code == "InvalidStateException"
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": backup_id})
    world.settle()
    assert (world.status(), data(world).read_text()) == ("HEALTHY", "precious")
    assert "StatusReason" not in server(world)


def test_opsworks_create_from_backup_is_a_new_server_without_the_nodes(world: World) -> None:
    """New name, endpoint and credentials, which the engine gets; the nodes are left behind; the old one may be gone."""
    old = created(world)
    data(world).write_text("cookbooks")
    backup_id = backed_up(world)
    world.ask("DeleteServer", {"ServerName": NAME})
    world.settle()
    given = [{"Name": "CHEF_AUTOMATE_ADMIN_PASSWORD", "Value": PASSWORD}]
    new = created(world, "fresh", BackupId=backup_id, EngineAttributes=given, InstanceType="r5.xlarge")
    assert "CHEF_AUTOMATE_PIVOTAL_KEY" in attributes_of(new)
    assert new["Endpoint"] != old["Endpoint"]
    assert (server(world, "fresh")["Status"], server(world, "fresh")["InstanceType"]) == ("HEALTHY", "r5.xlarge")
    assert data(world, "fresh").read_text() == "cookbooks"
    asked = fake(world).restored[world.server_id("fresh")]
    assert (asked.keeps_nodes, asked.admin_password) == (False, PASSWORD)
    with world.database.read() as connection:
        stored = world.store.server_by_id(connection, world.server_id("fresh"))
    assert stored is not None
    assert (stored.sealed_admin_password, stored.new_instance) == (None, None)


def test_opsworks_create_from_a_lost_archive_fails_truthfully(world: World) -> None:
    """The server is FAILED with the reason, nothing of it stays in the engine, and it can be deleted."""
    created(world)
    backup_id = backed_up(world)
    assert isinstance(world.objects, MemoryObjectStore)
    world.objects.buckets[world.registered[0][0]].clear()
    created(world, "fresh", BackupId=backup_id)
    assert server(world, "fresh")["Status"] == "FAILED"
    assert "NoSuchKey" in server(world, "fresh")["StatusReason"]
    assert fake(world).server_ids() == [world.server_id()]
    world.ask("DeleteServer", {"ServerName": "fresh"})
    world.settle()
    assert len(world.ask("DescribeServers")["Servers"]) == 1


def test_opsworks_backup_in_use_cannot_be_deleted(world: World) -> None:
    """While a server is being made from a backup DeleteBackup is refused."""
    created(world)
    backup_id = backed_up(world)
    fake(world).gate.clear()
    fake(world).entered.clear()
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": backup_id})
    assert fake(world).entered.wait(10)
    problem = refusal(world, "DeleteBackup", {"BackupId": backup_id})
    assert (problem.code, problem.message) == (
        "InvalidStateException",
        f"Backup {backup_id} is in use: server {NAME} is being made from it",
    )
    assert refusal(world, "CreateBackup", {"ServerName": NAME}).code == "InvalidStateException"
    assert refusal(world, "UpdateServer", {"ServerName": NAME}).code == "InvalidStateException"
    fake(world).gate.set()
    world.settle()
    world.ask("DeleteBackup", {"BackupId": backup_id})
    world.settle()
    assert world.ask("DescribeBackups")["Backups"] == []


def test_opsworks_deletion_overtakes_a_restore(world: World) -> None:
    """A server deleted while RESTORING is gone when the work has ended, with everything of it."""
    created(world)
    backup_id = backed_up(world)
    fake(world).gate.clear()
    fake(world).entered.clear()
    world.ask("RestoreServer", {"ServerName": NAME, "BackupId": backup_id})
    assert fake(world).entered.wait(10)
    world.ask("DeleteServer", {"ServerName": NAME})
    fake(world).gate.set()
    world.settle()
    assert world.ask("DescribeServers")["Servers"] == []
    assert fake(world).server_ids() == []
    assert len(world.ask("DescribeBackups")["Backups"]) == 1


def test_opsworks_maintenance_backs_up_and_makes_a_new_instance(world: World) -> None:
    """A fresh automated backup, a new instance from it with the nodes, the endpoint kept, and MaintenanceStatus."""
    before = created(world, Tags=[{"Key": "team", "Value": "chef"}])
    data(world).write_text("state")
    begun = world.ask("StartMaintenance", {"ServerName": NAME})["Server"]
    assert begun["Status"] == "UNDER_MAINTENANCE"
    assert "MaintenanceStatus" not in begun
    world.settle()
    after = server(world)
    assert (after["Status"], after["MaintenanceStatus"]) == ("HEALTHY", "SUCCESS")
    assert (after["Endpoint"], after["InstanceType"]) == (before["Endpoint"], before["InstanceType"])
    assert data(world).read_text() == "state"
    assert fake(world).restored[world.server_id()].keeps_nodes
    backup = world.ask("DescribeBackups")["Backups"][0]
    assert (backup["Status"], backup["BackupType"]) == ("OK", "AUTOMATED")
    assert "UserArn" not in backup
    assert world.ask("ListTagsForResource", {"ResourceArn": backup["BackupArn"]})["Tags"]
    assert world.messages()[:4] == [
        "Server is healthy",
        "Maintenance completed successfully",
        f"Backup {backup['BackupId']} completed successfully",
        f"Maintenance started, with backup {backup['BackupId']}",
    ]
    assert world.service_events == []  # a person asked for it


def test_opsworks_failed_maintenance_is_told_and_the_server_runs_on(world: World) -> None:
    """Whether the backup or the new instance fails, MaintenanceStatus is FAILED and the server HEALTHY as it was."""
    created(world)
    data(world).write_text("mine")
    assert isinstance(world.objects, MemoryObjectStore)
    world.objects.outage = OutboundError("AccessDenied", "no", retryable=False)
    world.ask("StartMaintenance", {"ServerName": NAME})
    world.settle()
    world.objects.outage = None
    assert (server(world)["Status"], server(world)["MaintenanceStatus"]) == ("HEALTHY", "FAILED")
    assert world.ask("DescribeBackups")["Backups"][0]["Status"] == "FAILED"
    assert world.messages()[:2] == [
        "Server is healthy",
        "Maintenance failed: BackupFailed: AccessDenied: no",
    ]
    fake(world).restore_problem = OutboundError("Exited", "no memory")
    world.ask("StartMaintenance", {"ServerName": NAME})
    world.settle()
    assert (server(world)["Status"], server(world)["MaintenanceStatus"]) == ("HEALTHY", "FAILED")
    assert data(world).read_text() == "mine"
    fake(world).restore_problem = None
    world.ask("StartMaintenance", {"ServerName": NAME})
    world.settle()
    assert server(world)["MaintenanceStatus"] == "SUCCESS"


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ([{"Name": "CHEF_MAJOR_UPGRADE", "Value": "true"}], "no major upgrade"),
        ([{"Name": "CHEF_MAJOR_UPGRADE", "Value": "SECRET"}], "must be true"),
        ([{"Name": "CHEF_MAJOR_UPGRADE", "Value": "true"}] * 2, "more than once"),
        ([{"Name": "CHEF_PIVOTAL_KEY", "Value": "SECRET"}], "is not one that StartMaintenance takes"),
        ([{}], "is not one that StartMaintenance takes"),
    ],
)
def test_opsworks_maintenance_refuses_attributes(world: World, attributes: list[dict[str, str]], said: str) -> None:
    """An upgrade that is impossible, and what is no attribute of it, are ValidationExceptions that repeat no value."""
    created(world)
    problem = refusal(world, "StartMaintenance", {"ServerName": NAME, "EngineAttributes": attributes})
    assert problem.code == "ValidationException"
    assert said in problem.message
    assert "SECRET" not in problem.message
    assert world.status() == "HEALTHY"
    assert world.ask("DescribeBackups")["Backups"] == []


@pytest.mark.parametrize("operation", ["RestoreServer", "StartMaintenance", "CreateServer"])
def test_opsworks_new_instances_are_resumed_after_a_kill(home: Home, operation: str) -> None:
    """Work whose process died right after the answer is done at the next start."""
    with home.process() as world:
        world.ask("CreateServer", create_request())
        world.settle()
        backup_id = backed_up(world)
    name = "fresh" if operation == "CreateServer" else NAME
    request = {
        "RestoreServer": {"ServerName": NAME, "BackupId": backup_id},
        "StartMaintenance": {"ServerName": NAME},
        "CreateServer": create_request("fresh", BackupId=backup_id),
    }[operation]
    with home.process(working=False) as world:
        world.ask(operation, request)
        assert world.status(name) in {"RESTORING", "UNDER_MAINTENANCE", "CREATING"}
    with home.process() as world:
        wait_for(lambda: world.status(name) == "HEALTHY")
        assert "restore" in fake(world).log
        assert {backup["Status"] for backup in world.ask("DescribeBackups")["Backups"]} == {"OK"}


def test_opsworks_maintenance_killed_after_its_backup_goes_on_with_that_backup(home: Home) -> None:
    """A second life of the work makes no second backup."""
    with home.process() as world:
        world.ask("CreateServer", create_request())
        world.settle()
    with home.process() as world:
        fake(world).restore_problem = OutboundError("Exited", "killed")
        world.jobs._stopping.set()  # a stop in the middle leaves the state as it is
        world.ask("StartMaintenance", {"ServerName": NAME})
        with home.database.read() as connection:
            waiting = world.store.server_by_id(connection, world.server_id())
        assert waiting is not None
        world.jobs._restores.maintain(waiting, lambda: "restore" in fake(world).log)
        assert world.status() == "UNDER_MAINTENANCE"
        assert [backup["Status"] for backup in world.ask("DescribeBackups")["Backups"]] == ["OK"]
    with home.process() as world:
        wait_for(lambda: world.status() == "HEALTHY")
        assert len(world.ask("DescribeBackups")["Backups"]) == 1
        assert server(world)["MaintenanceStatus"] == "SUCCESS"


def test_opsworks_servers_that_wait_for_each_others_backups_can_both_be_deleted(world: World) -> None:
    """Each was being restored from the other's automated backup: neither deletion waits for ever."""
    for name in ("one", "two"):
        created(world, name, DisableAutomatedBackup=True)
        world.ask("StartMaintenance", {"ServerName": name})
        world.settle()
    sources = {one["ServerName"]: one["BackupId"] for one in world.ask("DescribeBackups")["Backups"]}
    fake(world).gate.clear()
    world.ask("RestoreServer", {"ServerName": "one", "BackupId": sources["two"]})
    world.ask("RestoreServer", {"ServerName": "two", "BackupId": sources["one"]})
    for name in ("one", "two"):
        world.ask("DeleteServer", {"ServerName": name})
    fake(world).gate.set()
    world.settle()
    world.jobs._look_at_all()
    world.settle()
    assert world.ask("DescribeServers")["Servers"] == world.ask("DescribeBackups")["Backups"] == []
    assert fake(world).server_ids() == []

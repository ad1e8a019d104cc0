"""Backups become servers again, with the real goiardi and the real object store: in place, renamed, after a loss."""

import http.client
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from opentrail.clock import SystemClock
from opentrail.opsworks.chef_signature import signed_headers
from opentrail.opsworks.goiardi_files import GoiardiFiles
from opentrail.opsworks.keys import KeyPair, generate_key_pair
from tests.scenario.test_opsworks_chef_server import api_of, create, goiardis, pytestmark, running, verified, wait_for
from tests.support.opsworks import World, create_request
from tests.support.seaweed import running_seaweed

__all__ = ["pytestmark"]


def status_for(home: Path, world: World, name: str, user: str, pair: KeyPair) -> int:
    """What goiardi answers when somebody asks for the roles with a key."""
    port = GoiardiFiles(home / "opsworks" / "servers" / world.server_id(name)).remembered_port()
    key = load_pem_private_key(pair.private_pem.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    assert port is not None
    headers = signed_headers("GET", "/roles", b"", user=user, key=key, at=SystemClock().now())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/roles", headers=dict(headers) | {"Accept": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def add_node(home: Path, world: World, name: str, pair: KeyPair) -> None:
    api = api_of(home, world.server_id())
    api._change("POST", "/clients", {"name": name, "public_key": pair.public_pem, "admin": False}, 201)
    api._change("POST", "/nodes", {"name": name, "json_class": "Chef::Node", "chef_type": "node"}, 201)


def names(home: Path, world: World, kind: str, name: str = "automate-06") -> set[str]:
    return api_of(home, world.server_id(name))._names(f"/{kind}")


def test_opsworks_backups_become_servers_again(tmp_path: Path) -> None:
    """Restored in place the nodes of the backup sign again and later ones do not; a server of another name has no node;
    one whose files are lost comes back; maintenance loses nothing; one process per server all the while.
    """
    home, old, late = tmp_path / "home", generate_key_pair(), generate_key_pair()
    with running_seaweed(tmp_path / "s3") as seaweed, running(home, seaweed.store()) as world:
        password = create(world)["CHEF_AUTOMATE_ADMIN_PASSWORD"]
        wait_for(lambda: world.status() == "HEALTHY")
        add_node(home, world, "i-old", old)
        backup_id = world.ask("CreateBackup", {"ServerName": "automate-06"})["Backup"]["BackupId"]
        wait_for(lambda: world.status() == "HEALTHY")
        add_node(home, world, "i-late", late)
        api_of(home, world.server_id())._change("DELETE", "/clients/i-old", None, 200)
        endpoint = world.ask("DescribeServers")["Servers"][0]["Endpoint"]
        assert status_for(home, world, "automate-06", "i-old", old) == 401

        world.ask("RestoreServer", {"ServerName": "automate-06", "BackupId": backup_id})
        wait_for(lambda: world.status() == "HEALTHY")
        assert status_for(home, world, "automate-06", "i-old", old) == 200
        assert status_for(home, world, "automate-06", "i-late", late) == 401
        assert names(home, world, "nodes") == {"i-old"}
        assert verified(api_of(home, world.server_id()), password)
        assert world.ask("DescribeServers")["Servers"][0]["Endpoint"] == endpoint

        world.ask("CreateServer", create_request("fresh", BackupId=backup_id))
        wait_for(lambda: world.status("fresh") == "HEALTHY")
        assert names(home, world, "nodes", "fresh") == set()
        assert status_for(home, world, "fresh", "i-old", old) == 401
        assert not verified(api_of(home, world.server_id("fresh")), password)

        add_node(home, world, "i-late", late)
        world.ask("StartMaintenance", {"ServerName": "automate-06"})  # at once: what was acknowledged must survive
        wait_for(lambda: world.status() == "HEALTHY")
        assert names(home, world, "nodes") == {"i-old", "i-late"}
        assert status_for(home, world, "automate-06", "i-late", late) == 200
        assert len(goiardis(home)) == 2
    shutil.rmtree(home / "opsworks" / "servers")
    with running_seaweed(tmp_path / "s3") as seaweed, running(home, seaweed.store()) as world:
        wait_for(lambda: world.status() == world.status("fresh") == "TERMINATED")
        assert goiardis(home) == []
        world.ask("RestoreServer", {"ServerName": "automate-06", "BackupId": backup_id})
        wait_for(lambda: world.status() == "HEALTHY")
        assert status_for(home, world, "automate-06", "i-old", old) == 200
        world.ask("DeleteServer", {"ServerName": "fresh"})
        wait_for(lambda: len(world.ask("DescribeServers")["Servers"]) == 1)
        assert len(goiardis(home)) == 1
    assert goiardis(home) == []

"""OpsWorks CM on a Chef server that somebody else runs: here goiardi behind the door of another OpenTrail."""

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.external_api import ExternalServer
from opentrail.opsworks.keys import generate_key_pair
from tests.support.chef_clients import ChefClient, knife_settings, private_key, unpack_kit
from tests.support.chef_product import external_server, healthy, make_server
from tests.support.gateway import Gateway, running

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]


def settings(server: ExternalServer, directory: Path, ca_file: str | None = None) -> dict[str, str]:
    """The environment of an OpenTrail whose Chef server is that one."""
    key_file = directory / "administrator.pem"
    key_file.write_bytes(server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "OPENTRAIL_OPSWORKS_ENGINE": "external",
        "OPENTRAIL_OPSWORKS_EXTERNAL_URL": f"https://{server.address}",
        "OPENTRAIL_OPSWORKS_EXTERNAL_USER": server.user,
        "OPENTRAIL_OPSWORKS_EXTERNAL_KEY": str(key_file),
        "OPENTRAIL_OPSWORKS_EXTERNAL_CA": server.ca_file if ca_file is None else ca_file,
        "OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "0.5",
    }


def status_when(gateway: Gateway, name: str, *wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        server: dict[str, Any] = gateway.client("opsworkscm").describe_servers(ServerName=name)["Servers"][0]
        if server["Status"] in wanted:
            return server
        assert time.monotonic() < deadline, server
        time.sleep(0.2)


def test_an_external_chef_server_is_used_and_left_as_it_was(tmp_path: Path) -> None:
    """Created: its host is the endpoint, the kit's key is pivotal's there. A second server and an untrusted one FAIL,
    a backup FAILS with the reason, an outage is UNHEALTHY, deletion deletes nothing there.
    """
    with running(tmp_path / "theirs") as theirs:
        server = external_server(theirs)
        with running(tmp_path / "untrusting", settings(server, tmp_path, "")) as ours:
            make_server(ours, "untrusted")
            assert "certificate" in status_when(ours, "untrusted", "FAILED")["StatusReason"]
        with running(tmp_path / "ours", settings(server, tmp_path)) as ours:
            made = make_server(ours, "borrowed")
            assert healthy(ours, "borrowed")["Endpoint"] == server.address
            kit = unpack_kit(made["EngineAttributes"], tmp_path / "kit")
            found = knife_settings(kit)
            assert found["chef_server_url"] == f"'https://{server.address}/organizations/default'"
            trusted = next((kit / ".chef" / "ca_certs").glob("*.pem"))
            key = private_key((kit / ".chef" / "private.pem").read_text())
            pivotal = ChefClient(f"https://{server.address}", "pivotal", key, str(trusted))
            assert pivotal.ask("POST", "/roles", {"name": "r", "json_class": "Chef::Role"})[0] == 201
            make_server(ours, "second")
            assert "another server's already" in status_when(ours, "second", "FAILED")["StatusReason"]
            opsworks = ours.client("opsworkscm")
            backup = opsworks.create_backup(ServerName="borrowed")["Backup"]["BackupId"]
            status_when(ours, "borrowed", "HEALTHY")
            failed = opsworks.describe_backups(BackupId=backup)["Backups"][0]
            assert (failed["Status"], "its own tools" in failed["StatusDescription"]) == ("FAILED", True)
            opsworks.delete_server(ServerName="borrowed")
            while any(one["ServerName"] == "borrowed" for one in opsworks.describe_servers()["Servers"]):
                time.sleep(0.2)
            assert pivotal.ask("GET", "/roles/r")[0] == 200
            assert healthy(theirs)["Status"] == "HEALTHY"
            make_server(ours, "third")
            healthy(ours, "third")
            theirs.client("opsworkscm").delete_server(ServerName="automate-06")
            assert "ConnectionRefusedError" in status_when(ours, "third", "UNHEALTHY")["StatusReason"]
        secret = (tmp_path / "administrator.pem").read_text().splitlines()[3].encode()
        for path in (tmp_path / "ours").rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes(), path


def test_an_external_server_needs_a_key_that_can_be_read(tmp_path: Path) -> None:
    """Before any port opens, with the setting's name and without the key."""
    import subprocess
    import sys

    pair = generate_key_pair()
    bad = tmp_path / "bad.pem"
    bad.write_text(pair.public_pem)
    environment = {
        "PATH": "/usr/bin:/bin",
        "OPENTRAIL_OPSWORKS_ENGINE": "external",
        "OPENTRAIL_OPSWORKS_EXTERNAL_URL": "https://127.0.0.1:1",
        "OPENTRAIL_OPSWORKS_EXTERNAL_KEY": str(bad),
    }
    command = [sys.executable, "-m", "opentrail", "up", "--home", str(tmp_path / "home"), "--port", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "opsworks.external_key" in done.stderr
    assert pair.public_pem.splitlines()[2] not in done.stderr

"""The userdata script, run for real: on a running product, with an instance's role, up to the node's own object."""

import base64
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opentrail.local.goiardi import goiardi_binary
from tests.support.chef_clients import ChefClient, private_key
from tests.support.chef_product import healthy, make_server, pivotal_of
from tests.support.gateway import Gateway, Key, running

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]
ROOT = Path(__file__).parents[2]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}],
}
NODES_MAY = ["opsworks-cm:AssociateNode", "opsworks-cm:DescribeNodeAssociationStatus"]
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": NODES_MAY, "Resource": "*"}]}
PUPPETEER = Key("AKIAUSERDATAUSERDATA", "secret-of-the-user-who-assumes-the-role")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(
        tmp_path_factory.mktemp("userdata") / "home", {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "1"}
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def pivotal(gateway: Gateway) -> ChefClient:
    """pivotal at a HEALTHY server ``automate-06``."""
    made = make_server(gateway)
    healthy(gateway)
    return pivotal_of(gateway, made)


@pytest.fixture(scope="module")
def role(gateway: Gateway) -> dict[str, str]:
    """Credentials of a role that has nothing but the policy that AWS's guide gives nodes."""
    iam = gateway.client("iam")
    made = iam.create_role(RoleName="aws-opsworks-cm-ec2-role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.put_role_policy(RoleName="aws-opsworks-cm-ec2-role", PolicyName="nodes", PolicyDocument=json.dumps(POLICY))
    gateway.import_key("123456789012", PUPPETEER, "--user", "puppeteer", "--admin")
    sts = gateway.client("sts", PUPPETEER)
    return dict(sts.assume_role(RoleArn=made["Arn"], RoleSessionName="i-0abc1234")["Credentials"])


def exported(gateway: Gateway, **inputs: str) -> str:
    given = [{"Name": name, "Value": value} for name, value in inputs.items()]
    answer = gateway.client("opsworkscm").export_server_engine_attribute(
        ServerName="automate-06", ExportAttributeName="Userdata", InputAttributes=given
    )
    return base64.b64decode(answer["EngineAttribute"]["Value"]).decode()


def run(script: str, machine: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a script as a new machine would, with a chef-client on its path and no AWS CLI."""
    tools = machine / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    standin = tools / "chef-client"
    standin.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.support.standin_chef_client "$@"\n')
    standin.chmod(0o755)
    known = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(machine),
        "CHEF_DIR": str(machine / "chef"),
        "CHEF_CLIENT_LOG_LOCATION": str(machine / "chef-client.log"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9",
    }
    return subprocess.run(
        ["/bin/bash", "-s"], input=script, env=known | environment, capture_output=True, text=True, timeout=150
    )


def variables(role: dict[str, str]) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
        "AWS_SESSION_TOKEN": role["SessionToken"],
    }


@contextmanager
def metadata_service(role: dict[str, str]) -> Iterator[str]:
    """An instance's metadata service, version 2: a token first."""
    pages = {
        "/latest/meta-data/instance-id": "i-0abc1234",
        "/latest/meta-data/iam/security-credentials/": "aws-opsworks-cm-ec2-role",
        "/latest/meta-data/iam/security-credentials/aws-opsworks-cm-ec2-role": json.dumps(
            {name: role[known] for name, known in (("AccessKeyId",) * 2, ("SecretAccessKey",) * 2)}
            | {"Token": role["SessionToken"]}
        ),
    }

    class Pages(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._say("the-token" if self.path == "/latest/api/token" else None)

        def do_GET(self) -> None:
            self._say(pages.get(self.path) if self.headers["X-aws-ec2-metadata-token"] == "the-token" else None)

        def _say(self, text: str | None) -> None:
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_userdata_script_associates_an_instance_and_runs_its_client(
    gateway: Gateway, pivotal: ChefClient, role: dict[str, str], tmp_path: Path
) -> None:
    """On an instance with a role: its id names the node, whose object has the run list, made with the node's own key;
    a second run keeps the key; disassociated, the key is refused at once.
    """
    pivotal.ask("POST", "/environments", {"name": "prod", "json_class": "Chef::Environment"})
    script = exported(gateway, RunList="role[opsworks-example-role]", NodeEnvironment="prod")
    with metadata_service(role) as metadata:
        for _ in range(2):
            done = run(script, tmp_path, AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata, JSON_ATTRIBUTES='{"a": 1}')
            assert done.returncode == 0, done.stderr + done.stdout
    status, node = pivotal.ask("GET", "/nodes/i-0abc1234")
    assert status == 200
    assert node["run_list"] == ["role[opsworks-example-role]"]
    assert (node["chef_environment"], node["normal"]) == ("prod", {"a": 1})
    assert (tmp_path / "chef" / "opsworks-cm-associated").exists()
    key_file = tmp_path / "chef" / "client.pem"
    assert key_file.stat().st_mode & 0o077 == 0
    own = ChefClient(pivotal.url, "i-0abc1234", private_key(key_file.read_text()), pivotal.ca_file)
    assert own.ask("GET", "/nodes/i-0abc1234")[0] == 200
    client = gateway.client("opsworkscm")
    token = client.disassociate_node(
        ServerName="automate-06",
        NodeName="i-0abc1234",
        EngineAttributes=[{"Name": "CHEF_AUTOMATE_ORGANIZATION", "Value": "default"}],
    )["NodeAssociationStatusToken"]
    waiter = client.get_waiter("node_associated")
    waiter.wait(
        ServerName="automate-06", NodeAssociationStatusToken=token, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert own.ask("GET", "/nodes/i-0abc1234")[0] == 401
    assert pivotal.ask("GET", "/nodes/i-0abc1234")[0] == 404


def test_the_kit_s_userdata_script_works_with_keys_in_the_environment(
    gateway: Gateway, pivotal: ChefClient, role: dict[str, str], tmp_path: Path
) -> None:
    """The same text is in the starter kit; without a metadata service the environment names the node."""
    answer = gateway.client("opsworkscm").update_server_engine_attributes(
        ServerName="automate-06", AttributeName="CHEF_AUTOMATE_PIVOTAL_KEY"
    )["Server"]
    shown = {item["Name"]: item["Value"] for item in answer["EngineAttributes"]}
    healthy(gateway)
    renewed = ChefClient(pivotal.url, "pivotal", private_key(shown["CHEF_AUTOMATE_PIVOTAL_KEY"]), pivotal.ca_file)
    assert pivotal.ask("GET", "/clients")[0] == 401
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(shown["CHEF_STARTER_KIT"]))) as kit:
        script = kit.read("userdata.sh").decode()
    assert script == exported(gateway)
    done = run(script, tmp_path, NODE_NAME="web-1.example", **variables(role))
    assert done.returncode == 0, done.stderr + done.stdout
    assert renewed.ask("GET", "/nodes/web-1.example")[0] == 200
    pivotal.key = renewed.key


def test_the_userdata_script_says_what_is_wrong(
    gateway: Gateway, pivotal: ChefClient, role: dict[str, str], tmp_path: Path
) -> None:
    """Without credentials, permission, a name, or with a taken name it stops with a line that says so, and no node."""
    assert pivotal.ask("GET", "/nodes")[0] == 200
    script = exported(gateway)
    other = run(script, tmp_path / "other", NODE_NAME="taken", **variables(role))
    assert other.returncode == 0, other.stderr
    nobody = {"AWS_ACCESS_KEY_ID": "AKIANOBODYNOBODY0000", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, environment, said in (
        ("n-1", {}, "there are no AWS credentials here"),
        ("n-1", nobody, "UnrecognizedClientException"),
        ("not a name", variables(role), "cannot be a node's name"),
        ("pivotal", variables(role), "is reserved"),
        ("taken", variables(role), "ended as FAILED"),
    ):
        done = run(script, tmp_path / "machine", NODE_NAME=name, **environment)
        assert done.returncode != 0
        assert said in done.stderr, (name, done.stderr)
        assert not (tmp_path / "machine" / "chef" / "opsworks-cm-associated").exists()
        assert "secret" not in done.stderr.lower() or name == "n-1"
    assert set(pivotal.ask("GET", "/nodes")[1]) >= {"taken"}
    assert "n-1" not in pivotal.ask("GET", "/nodes")[1]


def test_a_role_of_an_instance_may_associate_and_nothing_else(gateway: Gateway, role: dict[str, str]) -> None:
    """The policy lets nodes in, and not at the server's attributes."""
    client = gateway.client("opsworkscm", Key(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"]))
    with pytest.raises(ClientError, match="AccessDenied"):
        client.export_server_engine_attribute(ServerName="automate-06", ExportAttributeName="Userdata")

"""The Chef API door of a running OpenTrail: endpoints, certificates, custom domains, files, limits, restarts."""

import base64
import hashlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.keys import generate_key_pair
from tests.support.certificates import issue
from tests.support.chef_clients import ChefClient, knife_settings, private_key, send, unpack_kit
from tests.support.chef_product import healthy, make_server, pivotal_of
from tests.support.gateway import Gateway, delivered, make_trail, running, start

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is not installed"),
]
LOGS = "chef-logs"
COOKBOOK = "demo"
RECIPE = b"log 'hello'\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running product, with names below a domain on one port besides the local ports."""
    with running(tmp_path_factory.mktemp("front") / "home", {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "1"}) as gateway:
        make_trail(gateway, LOGS)
        yield gateway


@pytest.fixture(scope="module")
def pivotal(gateway: Gateway) -> ChefClient:
    """pivotal at a healthy server of the product."""
    made = make_server(gateway, "local")
    healthy(gateway, "local")
    return pivotal_of(gateway, made)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def shown_certificate(port: int, name: str, ca_file: str) -> dict[str, Any]:
    """What a TLS server shows to a client that asks for a name and trusts an authority; raises where that fails."""
    context = ssl.create_default_context(cafile=ca_file)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        found: Any = secured.getpeercert()
        assert secured.version() == "TLSv1.3"
        return dict(found)


def names_in(certificate: dict[str, Any]) -> set[str]:
    return {value for _, value in certificate["subjectAltName"]}


def test_a_node_lives_its_life_by_the_endpoint_as_it_is(pivotal: ChefClient) -> None:
    """A client with a key of its own makes its node, may not do what only administrators may, and is shut out at once
    when it is deleted.
    """
    pair = generate_key_pair()
    made = pivotal.ask("POST", "/clients", {"name": "i-0abc", "public_key": pair.public_pem})
    assert made[0] == 201
    assert made[1]["chef_key"]["expiration_date"] == "infinity"
    node = ChefClient(pivotal.url, "i-0abc", private_key(pair.private_pem), pivotal.ca_file)
    described = {"name": "i-0abc", "json_class": "Chef::Node", "chef_type": "node", "run_list": []}
    assert node.ask("POST", "/nodes", described) == (201, {"uri": f"{pivotal.url}/organizations/default/nodes/i-0abc"})
    assert node.ask("GET", "/nodes/i-0abc")[1]["name"] == "i-0abc"
    assert node.ask("POST", "/roles", {"name": "r"})[0] == 403
    assert node.ask("GET", "/clients/i-0abc/keys/default")[1]["public_key"].split() == pair.public_pem.split()
    assert pivotal.ask("DELETE", "/clients/i-0abc")[0] == 200
    assert node.ask("GET", "/nodes/i-0abc")[0] == 401


def test_nobody_passes_for_another(pivotal: ChefClient) -> None:
    """Stale and forged requests, and the engine's own trick, open nothing."""
    assert pivotal.ask("GET", "/nodes", at=datetime.now(UTC) - timedelta(minutes=16))[0] == 401
    pair = generate_key_pair()
    forger = ChefClient(pivotal.url, "admin", private_key(pair.private_pem), pivotal.ca_file)
    for version in ("1.0", "1.1", "1.3"):
        forger.version = version
        assert forger.ask("GET", "/users", headers={"X-Ops-Request-Source": "web"})[0] == 401
    assert pivotal.ask("PUT", "/users/admin", {"name": "admin", "public_key": pair.public_pem})[0] == 403
    assert pivotal.ask("GET", "/nodes", api_version="2")[0] == 406
    assert pivotal.ask("GET", "/nosuch")[0] == 404


def test_users_and_clients_share_their_names(pivotal: ChefClient) -> None:
    """A node's key never becomes an administrator's because somebody gives a user the node's name, or renames one."""
    pair = generate_key_pair()
    assert pivotal.ask("POST", "/clients", {"name": "twin", "public_key": pair.public_pem})[0] == 201
    user = {"name": "twin", "password": "Secret_of_1", "admin": True}
    assert pivotal.ask("POST", "/users", user)[0] == 409
    assert pivotal.ask("POST", "/users", user | {"name": "other-twin"})[0] == 201
    assert pivotal.ask("PUT", "/users/other-twin", {"name": "twin", "admin": True})[0] == 409
    assert pivotal.ask("PUT", "/users/other-twin", {"name": "other-twin", "admin": True})[0] == 200
    assert pivotal.ask("POST", "/clients", {"name": "other-twin"})[0] == 409
    node = ChefClient(pivotal.url, "twin", private_key(pair.private_pem), pivotal.ca_file)
    assert node.ask("GET", "/nodes")[0] == 200
    assert node.ask("POST", "/roles", {"name": "r"})[0] == 403


def test_a_cookbook_goes_up_and_its_files_come_down(pivotal: ChefClient) -> None:
    """Sandbox, upload, commit, cookbook version, download: by links alone, each one way."""
    checksum = hashlib.md5(RECIPE, usedforsecurity=False).hexdigest()
    status, sandbox = pivotal.ask("POST", "/sandboxes", {"checksums": {checksum: None}})
    assert status == 201
    upload = urlsplit(sandbox["checksums"][checksum]["url"])
    md5 = base64.b64encode(bytes.fromhex(checksum)).decode()
    headers = {"Content-Type": "application/x-binary", "Content-MD5": md5}
    bare, linked = upload.path, f"{upload.path}?{upload.query}"
    assert send(pivotal.url, "PUT", bare, RECIPE, headers, pivotal.ca_file)[0] == 403
    assert send(pivotal.url, "PUT", linked, RECIPE, headers, pivotal.ca_file)[0] == 200
    assert send(pivotal.url, "GET", linked, b"", {}, pivotal.ca_file)[0] == 403
    path = sandbox["uri"].partition("/organizations/default")[2]
    assert pivotal.ask("PUT", path, {"is_completed": True})[0] == 200
    recipe = {"name": "default.rb", "path": "recipes/default.rb", "checksum": checksum, "specificity": "default"}
    version = {
        "name": f"{COOKBOOK}-1.0.0",
        "cookbook_name": COOKBOOK,
        "version": "1.0.0",
        "json_class": "Chef::CookbookVersion",
        "chef_type": "cookbook_version",
        "metadata": {"name": COOKBOOK, "version": "1.0.0"},
        "recipes": [recipe],
        "frozen?": False,
    }
    assert pivotal.ask("PUT", f"/cookbooks/{COOKBOOK}/1.0.0", version)[0] in {200, 201}
    status, found = pivotal.ask("GET", f"/cookbooks/{COOKBOOK}/1.0.0")
    url = urlsplit(found["recipes"][0]["url"])
    assert (status, url.netloc) == (200, urlsplit(pivotal.url).netloc)
    assert send(pivotal.url, "GET", f"{url.path}?{url.query}", b"", {}, pivotal.ca_file) == (200, RECIPE)
    assert send(pivotal.url, "GET", url.path, b"", {}, pivotal.ca_file)[0] == 403
    status, found = pivotal.ask("POST", "/environments/_default/cookbook_versions", {"run_list": [COOKBOOK]})
    assert "signature=" in found[COOKBOOK]["recipes"][0]["url"]


def test_bodies_are_bounded(pivotal: ChefClient) -> None:
    """413 above the limit, announced or not; just below it the engine decides."""
    assert pivotal.ask("POST", "/roles", b"x" * 1_000_001)[0] == 413
    huge = {"name": "big", "json_class": "Chef::Role", "chef_type": "role", "description": "x" * 900_000}
    assert pivotal.ask("POST", "/roles", huge)[0] == 201
    assert pivotal.ask("DELETE", "/roles/big")[0] == 200


def test_strangers_are_told_little(gateway: Gateway, pivotal: ChefClient) -> None:
    """Whether somebody is there, and nothing else; plain HTTP gets no answer at the TLS port."""
    assert send(pivotal.url, "GET", "/_status", b"", {}, pivotal.ca_file) == (200, {"status": "pong"})
    assert send(pivotal.url, "GET", "/nodes", b"", {}, pivotal.ca_file)[0] == 401
    with pytest.raises(ssl.SSLCertVerificationError):
        send(pivotal.url, "GET", "/_status", b"", {}, None)
    assert "PRIVATE" not in gateway.log.read_text()


def test_requests_are_logged_and_counted_but_not_recorded(gateway: Gateway, pivotal: ChefClient) -> None:
    """Who, what and how it ended stand in the log; the metrics count; CloudTrail hears nothing."""
    assert pivotal.ask("GET", "/nodes/counted?x=a-canary-in-a-query")[0] == 404
    log = gateway.log.read_text()
    assert "as pivotal: GET /organizations/default/nodes/counted: 404" in log
    assert "a-canary-in-a-query" not in log
    _, page = send(gateway.url, "GET", "/_opentrail/metrics", b"", {}, None)
    counted = [line for line in page.decode().splitlines() if line.startswith("opentrail_chef_requests_total{")]
    assert any('outcome="client_error"' in line and float(line.split()[-1]) >= 1 for line in counted)
    create_record(gateway, "local")
    assert "/organizations/default" not in json.dumps(delivered(gateway.client("s3"), LOGS))


def test_custom_domains_show_their_own_certificate(gateway: Gateway, tmp_path: Path) -> None:
    """By SNI at the server's port; the kit uses the domain and trusts it; other names get the authority's; the key is
    nowhere.
    """
    domain = "chef.example.org"
    leaf = issue("chef", domain, now=datetime.now(UTC))
    members = {"CustomDomain": domain, "CustomCertificate": leaf.pem, "CustomPrivateKey": leaf.key_pem()}
    made = make_server(gateway, "custom", **members)
    healthy(gateway, "custom")
    port = int(made["Endpoint"].rpartition(":")[2])
    (tmp_path / "leaf.pem").write_text(leaf.pem)
    assert names_in(shown_certificate(port, domain, str(tmp_path / "leaf.pem"))) == {domain}
    ours = gateway.environment["OPENTRAIL_CHEF_CA"]
    assert "localhost" in names_in(shown_certificate(port, "localhost", ours))
    kit = unpack_kit(made["EngineAttributes"], tmp_path / "kit")
    assert knife_settings(kit)["chef_server_url"] == f"'https://{domain}:{port}/organizations/default'"
    assert (kit / ".chef" / "ca_certs" / "custom-domain.pem").read_text() == leaf.pem
    client = pivotal_of(gateway, made)
    url = f"https://{domain}:{port}"
    assert client.ask("POST", "/data", {"name": "bag"}, headers={"Host": f"{domain}:{port}"})[0] == 201
    found = client.ask("GET", "/data", headers={"Host": f"{domain}:{port}"})
    assert found == (200, {"bag": f"{url}/organizations/default/data/bag"})
    record = create_record(gateway, "custom")
    assert record["requestParameters"]["customPrivateKey"] == "*** Redacted ***"
    assert record["requestParameters"]["customCertificate"] == leaf.pem
    assert record["responseElements"]["server"]["customDomain"] == domain
    secret = leaf.key_pem().splitlines()[1].encode()
    for path in gateway.home.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path
    assert secret.decode() not in gateway.log.read_text()
    gateway.client("opsworkscm").delete_server(ServerName="custom")


def create_record(gateway: Gateway, name: str) -> dict[str, Any]:
    """The delivered record of a server's creation."""
    deadline = time.monotonic() + 60
    while True:
        for record in delivered(gateway.client("s3"), LOGS):
            is_creation = record["eventName"] == "CreateServer"
            if is_creation and record["requestParameters"]["serverName"] == name:
                return record
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_mismatching_custom_domain_is_refused(gateway: Gateway) -> None:
    """ValidationException on the wire, and no server."""
    opsworks = gateway.client("opsworkscm")
    leaf = issue("chef", "other.example.org", now=datetime.now(UTC))
    with pytest.raises(ClientError, match=r"\(ValidationException\).* not for CustomDomain"):
        make_server(
            gateway,
            "refused",
            CustomDomain="chef.example.org",
            CustomCertificate=leaf.pem,
            CustomPrivateKey=leaf.key_pem(),
        )
    assert "refused" not in {server["ServerName"] for server in opsworks.describe_servers()["Servers"]}


def test_ten_thousand_bytes_of_nonsense_break_nothing(pivotal: ChefClient) -> None:
    """A client that speaks something else is dropped, and the next one is served."""
    where = urlsplit(pivotal.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=20) as stranger:
        stranger.sendall(b"\x16\x03\x01" + b"A" * 10_000)
        stranger.settimeout(20)
        while stranger.recv(4096):
            pass
    assert pivotal.ask("GET", "/nodes")[0] == 200


def test_writes_survive_restarts_and_endpoints_stay(tmp_path: Path) -> None:
    """What was acknowledged right before a stop is there after the next start, at the same endpoint, under the same
    authority; a port that somebody took meanwhile is told as UNHEALTHY, and opened when it is free.
    """
    settings = {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "0.5"}
    home = tmp_path / "home"
    gateway = start(home, settings)
    made = make_server(gateway, "stays")
    healthy(gateway, "stays")
    client = pivotal_of(gateway, made)
    acknowledged = hammer(client, gateway)
    assert len(acknowledged) >= 3
    port = int(made["Endpoint"].rpartition(":")[2])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        gateway = start(home, settings)
        try:
            server = wait_for_status(gateway, "stays", "UNHEALTHY")
            assert f"127.0.0.1:{port} cannot be opened" in json.loads(server["StatusReason"])["message"]
            squatter.close()
            assert healthy(gateway, "stays")["Endpoint"] == made["Endpoint"]
            assert acknowledged <= set(client.ask("GET", "/roles")[1])
        finally:
            assert gateway.stop() == 0


def hammer(client: ChefClient, gateway: Gateway) -> set[str]:
    """Write roles until the product, told to stop meanwhile, answers no more; those that were acknowledged."""
    done: set[str] = set()
    stopper = threading.Timer(2.0, gateway.stop)
    stopper.start()
    for number in range(10_000):
        name = f"role-{number}"
        try:
            status, _ = client.ask("POST", "/roles", {"name": name, "json_class": "Chef::Role", "chef_type": "role"})
        except (OSError, ssl.SSLError):
            break
        if status == 201:
            done.add(name)
    stopper.join()
    return done


def wait_for_status(gateway: Gateway, name: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        server: dict[str, Any] = gateway.client("opsworkscm").describe_servers(ServerName=name)["Servers"][0]
        if server["Status"] == status:
            return server
        assert time.monotonic() < deadline, server
        time.sleep(0.1)


def test_names_under_a_domain_share_one_port(tmp_path: Path) -> None:
    """Endpoints are names with the shared port, each with a certificate of its own by SNI; servers made before keep
    their local ones; a name that no server has gets no certificate for it and no answer.
    """
    home, port = tmp_path / "home", free_port()
    with running(home) as gateway:
        before = make_server(gateway, "before")
    settings = {"OPENTRAIL_OPSWORKS_DOMAIN": "chef.test", "OPENTRAIL_OPSWORKS_FRONT_PORT": str(port)}
    with running(home, settings) as gateway:
        after = make_server(gateway, "Named")
        healthy(gateway, "Named")
        assert healthy(gateway, "before")["Endpoint"] == before["Endpoint"]
        host, _, shown_port = after["Endpoint"].rpartition(":")
        assert (host.startswith("named-"), host.endswith(".us-east-1.chef.test")) == (True, True)
        assert int(shown_port) == port
        authority = gateway.environment["OPENTRAIL_CHEF_CA"]
        assert names_in(shown_certificate(port, host, authority)) == {host}
        with pytest.raises(ssl.SSLCertVerificationError):
            shown_certificate(port, "other.us-east-1.chef.test", authority)
        assert curl(f"https://{after['Endpoint']}/_status", host, port, authority) == '{"status": "pong"}'
        named = pivotal_of(gateway, after, f"https://localhost:{port}")
        assert named.ask("GET", "/roles", headers={"Host": after["Endpoint"]}) == (200, {})
        assert named.ask("GET", "/roles", headers={"Host": "other.chef.test"})[0] == 404
        assert pivotal_of(gateway, before).ask("GET", "/roles") == (200, {})


def curl(url: str, host: str, port: int, authority: str) -> str:
    """What curl gets, with the name resolved as DNS would."""
    command = ["curl", "-sS", "--resolve", f"{host}:{port}:127.0.0.1", "--cacert", authority, "--noproxy", "*", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_without_tls_the_door_speaks_http(tmp_path: Path) -> None:
    """For this machine: the kit's URL says so, and has nothing to trust."""
    with running(tmp_path / "home", {"OPENTRAIL_OPSWORKS_TLS": "false"}) as gateway:
        made = make_server(gateway)
        healthy(gateway)
        kit = unpack_kit(made["EngineAttributes"], tmp_path / "kit")
        url = f"http://{made['Endpoint']}"
        assert knife_settings(kit)["chef_server_url"] == f"'{url}/organizations/default'"
        assert list((kit / ".chef" / "ca_certs").iterdir()) == []
        assert pivotal_of(gateway, made, url).ask("GET", "/nodes") == (200, {})

"""The life of a Chef server, from creation to deletion, told once and lived by any client of OpsWorks CM.

Every step does something through the client, looks at what came of it (through the Chef API too), and says in a line
what was seen: two clients that are served alike tell the same story.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opentrail.opsworks.keys import KeyPair, generate_key_pair
from tests.support.chef_clients import ChefClient, knife_settings, private_key, send, unpack_kit
from tests.support.opsworks import create_request
from tests.support.opsworks_clients import WAIT, OpsWorksClient, Refused

RECIPE = b"log 'a recipe of the life'\n"
COOKBOOK = "/cookbooks/lived/1.0.0"
NODE = "i-0123456789abcdef0"
PATIENCE_S = 180.0
PIVOTAL_KEY = "CHEF_AUTOMATE_PIVOTAL_KEY"


@dataclass
class Life:
    """One server's life: its client, its name, a directory for the starter kit, and what was learned on the way.

    ``asked`` is the names of the operations that the client was asked for.
    """

    client: OpsWorksClient
    name: str
    directory: Path
    asked: set[str] = field(default_factory=set)
    node_pair: KeyPair = field(default_factory=generate_key_pair)
    server: dict[str, Any] = field(default_factory=dict)
    backup_id: str = ""

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """An operation on this server."""
        self.asked.add(operation)
        return self.client.call(operation, {"ServerName": self.name} | parameters)

    def of_account(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """An operation whose parameters name no server."""
        self.asked.add(operation)
        return self.client.call(operation, parameters)

    def refusal(self, operation: str, **parameters: Any) -> str:
        """The error that an operation on this server ends with, the server's name left out."""
        try:
            self.call(operation, **parameters)
        except Refused as refused:
            assert refused.status in {None, 400}
            return f"{refused.code}: {refused.message.replace(self.name, 'NAME')}"
        return f"{operation} was not refused"

    def described(self) -> dict[str, Any]:
        """The server as DescribeServers shows it, alone in its answer."""
        (server,) = self.call("DescribeServers")["Servers"]
        assert server["EngineAttributes"] == []
        found: dict[str, Any] = server
        return found

    def healthy(self) -> dict[str, Any]:
        """The server once it is HEALTHY."""
        server: dict[str, Any] = self.until(lambda: _if_status(self.described(), "HEALTHY"), "HEALTHY")
        return server

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """What a look finds, once it finds something."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline, f"waited for {what}"
            time.sleep(0.2)
        return found

    def pivotal(self, kit: str) -> ChefClient:
        """The administrator, as an unpacked starter kit says who and where that is."""
        place = self.directory / kit
        settings = knife_settings(place)
        url = settings["chef_server_url"].strip("'").partition("/organizations/")[0]
        key = private_key((place / ".chef" / "private.pem").read_text())
        return ChefClient(url, settings["node_name"].strip("'"), key, self.authority(place))

    def node(self) -> ChefClient:
        """The node, with the key that it was associated with."""
        administrator = self.pivotal("kit")
        return ChefClient(administrator.url, NODE, private_key(self.node_pair.private_pem), administrator.ca_file)

    @staticmethod
    def authority(kit: Path) -> str:
        """What a starter kit says is to be trusted."""
        return str(next((kit / ".chef" / "ca_certs").glob("*.pem")))


def _if_status(server: dict[str, Any], status: str) -> dict[str, Any] | None:
    assert server["Status"] not in {"FAILED", "TERMINATED"}, server
    return server if server["Status"] == status else None


def _names(attributes: list[dict[str, str]]) -> str:
    return " ".join(sorted(attribute["Name"] for attribute in attributes))


def _check_recent(told: Any) -> None:
    """A date, in whatever form the client shows it, is of the last minutes."""
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    at = datetime.fromtimestamp(told, UTC) if isinstance(told, int | float) else told
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=15), told


def created(life: Life) -> Iterator[str]:
    """Credentials come once; a name is taken once."""
    tags = [{"Key": "stage", "Value": "life"}]
    asked = create_request(life.name, BackupRetentionCount=2, DisableAutomatedBackup=True, Tags=tags)
    answer = life.call("CreateServer", **asked)["Server"]
    _check_recent(answer["CreatedAt"])
    life.server = answer
    kit = unpack_kit(answer["EngineAttributes"], life.directory / "kit")
    shown = {attribute["Name"]: attribute["Value"] for attribute in answer["EngineAttributes"]}
    assert (kit / ".chef" / "private.pem").read_text().split() == shown[PIVOTAL_KEY].split()
    yield f"made: {answer['Status']} with {_names(answer['EngineAttributes'])}"
    yield f"made again: {life.refusal('CreateServer', **asked)}"
    server = life.healthy()
    same = ("ServerArn", "Endpoint", "Engine", "EngineVersion", "InstanceType", "BackupRetentionCount")
    assert {name: server[name] for name in same} == {name: answer[name] for name in same}
    yield f"then: {server['Status']}, automated backups off: {server['DisableAutomatedBackup']}"


def counted_tagged_and_updated(life: Life) -> Iterator[str]:
    """What is in the control plane only."""
    attributes = {one["Name"]: one["Maximum"] for one in life.of_account("DescribeAccountAttributes")["Attributes"]}
    yield f"account: {sorted(attributes.items())}"
    arn = life.server["ServerArn"]
    life.of_account("TagResource", ResourceArn=arn, Tags=[{"Key": "team", "Value": ""}, {"Key": "stage", "Value": "2"}])
    tags = life.of_account("ListTagsForResource", ResourceArn=arn)["Tags"]
    life.of_account("UntagResource", ResourceArn=arn, TagKeys=["team", "absent"])
    left = life.of_account("ListTagsForResource", ResourceArn=arn)["Tags"]
    yield f"tags: {_pairs(tags)}, then {_pairs(left)}"
    updated = life.call("UpdateServer", BackupRetentionCount=3, PreferredMaintenanceWindow="Fri:18:15")["Server"]
    yield f"updated: {updated['BackupRetentionCount']}, {updated['PreferredMaintenanceWindow']}"


def _pairs(tags: list[dict[str, str]]) -> str:
    return " ".join(f"{tag['Key']}={tag['Value']}" for tag in tags)


def associated(life: Life) -> Iterator[str]:
    """The client's own waiter ends, and the node's key opens the Chef API."""
    given = [
        {"Name": "CHEF_AUTOMATE_ORGANIZATION", "Value": "default"},
        {"Name": "CHEF_AUTOMATE_NODE_PUBLIC_KEY", "Value": life.node_pair.public_pem},
    ]
    yield f"before: {life.node().ask('GET', '/nodes')[0]}"
    token = life.call("AssociateNode", NodeName=NODE, EngineAttributes=given)["NodeAssociationStatusToken"]
    life.client.call(WAIT, {"ServerName": life.name, "NodeAssociationStatusToken": token})
    told = life.call("DescribeNodeAssociationStatus", NodeAssociationStatusToken=token)
    described = {"name": NODE, "json_class": "Chef::Node", "chef_type": "node", "run_list": []}
    made = life.node().ask("POST", "/nodes", described)[0]
    yield f"associated: {told['NodeAssociationStatus']}, node object made: {made}"
    unknown = life.refusal("DescribeNodeAssociationStatus", NodeAssociationStatusToken="another")
    yield f"another token: {unknown}"


def exported(life: Life) -> Iterator[str]:
    """The userdata script names this server and what was asked for."""
    inputs = [{"Name": "RunList", "Value": "recipe[lived]"}]
    answer = life.call("ExportServerEngineAttribute", ExportAttributeName="Userdata", InputAttributes=inputs)
    script = base64.b64decode(answer["EngineAttribute"]["Value"]).decode()
    assert life.server["Endpoint"] in script
    assert life.name in script
    yield f"exported: {answer['EngineAttribute']['Name']}, {script.splitlines()[0]}, {'recipe[lived]' in script}"


def cookbook_uploaded(life: Life) -> Iterator[str]:
    """By sandbox, with the starter kit's key, at the address and under the authority that the kit names."""
    chef = life.pivotal("kit")
    checksum = hashlib.md5(RECIPE, usedforsecurity=False).hexdigest()
    sandbox = chef.ask("POST", "/sandboxes", {"checksums": {checksum: None}})[1]
    upload = urlsplit(sandbox["checksums"][checksum]["url"])
    md5 = base64.b64encode(bytes.fromhex(checksum)).decode()
    headers = {"Content-Type": "application/x-binary", "Content-MD5": md5}
    put = send(chef.url, "PUT", f"{upload.path}?{upload.query}", RECIPE, headers, chef.ca_file)[0]
    committed = chef.ask("PUT", sandbox["uri"].partition("/organizations/default")[2], {"is_completed": True})[0]
    recipe = {"name": "default.rb", "path": "recipes/default.rb", "checksum": checksum, "specificity": "default"}
    version = {
        "name": "lived-1.0.0",
        "cookbook_name": "lived",
        "version": "1.0.0",
        "json_class": "Chef::CookbookVersion",
        "chef_type": "cookbook_version",
        "metadata": {"name": "lived", "version": "1.0.0"},
        "recipes": [recipe],
        "frozen?": False,
    }
    assert chef.ask("PUT", COOKBOOK, version)[0] in {200, 201}
    yield f"uploaded: {put} {committed}, the node reads {cookbook(life.node())}"


def cookbook(chef: ChefClient) -> str:
    """The recipe as a Chef client gets it: the cookbook's version, then the file behind the link in it."""
    status, version = chef.ask("GET", COOKBOOK)
    if status != 200:
        return str(status)
    link = urlsplit(version["recipes"][0]["url"])
    found: tuple[int, bytes] = send(chef.url, "GET", f"{link.path}?{link.query}", b"", {}, chef.ca_file)
    return found[1].decode().strip()


def backed_up(life: Life) -> Iterator[str]:
    """A manual backup, with the server's tags and its own."""
    tags = [{"Key": "kept", "Value": "yes"}]
    begun = life.call("CreateBackup", Description="before the accident", Tags=tags)["Backup"]
    _check_recent(begun["CreatedAt"])
    life.backup_id = begun["BackupId"]
    assert begun["BackupId"].startswith(f"{life.name}-20")
    yield f"backup begun: {begun['Status']} {begun['BackupType']} {begun['Description']}"
    life.healthy()
    (backup,) = life.of_account("DescribeBackups", BackupId=life.backup_id)["Backups"]
    listed = life.call("DescribeBackups")["Backups"]
    found = life.of_account("ListTagsForResource", ResourceArn=backup["BackupArn"])["Tags"]
    same = [one["BackupId"] for one in listed] == [life.backup_id]
    yield f"backup ended: {backup['Status']}, tags {_pairs(found)}, the only one: {same}"


def broken_and_restored(life: Life) -> Iterator[str]:
    """What an administrator deletes comes back, at the same endpoint and with the node."""
    deleted = life.pivotal("kit").ask("DELETE", COOKBOOK)[0]
    yield f"broken: {deleted}, the node reads {cookbook(life.node())}"
    yield f"from nothing: {life.refusal('RestoreServer', BackupId='absent-20261123000000000')}"
    begun = life.call("RestoreServer", BackupId=life.backup_id, InstanceType="r5.xlarge")["Server"]
    yield f"restore begun: {begun['Status']}"
    server = life.healthy()
    assert server["Endpoint"] == life.server["Endpoint"]
    yield f"restored: {server['InstanceType']}, the node reads {cookbook(life.node())}"


def rekeyed(life: Life) -> Iterator[str]:
    """Pivotal's new key is in the new kit; the old one is refused."""
    begun = life.call("UpdateServerEngineAttributes", AttributeName=PIVOTAL_KEY, AttributeValue="null")["Server"]
    unpack_kit(begun["EngineAttributes"], life.directory / "second")
    yield f"key changed: {begun['Status']} with {_names(begun['EngineAttributes'])}"
    life.healthy()
    statuses = [life.pivotal(kit).ask("GET", "/nodes")[0] for kit in ("kit", "second")]
    yield f"the old key and the new: {statuses}"


def maintained(life: Life) -> Iterator[str]:
    """A new instance with what the old one had."""
    wrong = [{"Name": "CHEF_MAJOR_UPGRADE", "Value": "perhaps"}]
    yield f"maintenance refused: {life.refusal('StartMaintenance', EngineAttributes=wrong)}"
    begun = life.call("StartMaintenance")["Server"]
    server = life.healthy()
    yield f"maintenance: {begun['Status']}, then {server['MaintenanceStatus']}, the node reads {cookbook(life.node())}"


def disassociated(life: Life) -> Iterator[str]:
    """The node's key is refused from then on."""
    organization = [{"Name": "CHEF_AUTOMATE_ORGANIZATION", "Value": "default"}]
    token = life.call("DisassociateNode", NodeName=NODE, EngineAttributes=organization)["NodeAssociationStatusToken"]

    def ended() -> str | None:
        told = life.call("DescribeNodeAssociationStatus", NodeAssociationStatusToken=token)["NodeAssociationStatus"]
        return None if told == "IN_PROGRESS" else str(told)

    told = life.until(ended, "the end of the disassociation")
    yield f"disassociated: {told}, the node reads {cookbook(life.node())}"


def remembered(life: Life) -> Iterator[str]:
    """Server events, newest first, in pages."""
    first = life.call("DescribeEvents", MaxResults=2)
    second = life.call("DescribeEvents", MaxResults=2, NextToken=first["NextToken"])
    whole = life.call("DescribeEvents", MaxResults=500)["ServerEvents"]
    _check_recent(whole[0]["CreatedAt"])
    paged = first["ServerEvents"] + second["ServerEvents"]
    same = [event["Message"] for event in paged] == [event["Message"] for event in whole[:4]]
    yield f"events: {len(first['ServerEvents'])} by page, the same as at once: {same}"
    yield f"a strange page: {life.refusal('DescribeEvents', NextToken='strange')}"


def deleted(life: Life) -> Iterator[str]:
    """The server goes, its manual backup stays until it is deleted too."""
    life.call("DeleteServer")
    life.until(lambda: "ResourceNotFound" in life.refusal("DescribeServers"), "the server's end")
    yield f"deleted: {life.refusal('DescribeServers')}"
    (backup,) = life.of_account("DescribeBackups", BackupId=life.backup_id)["Backups"]
    life.of_account("DeleteBackup", BackupId=life.backup_id)

    def backup_is_gone() -> str | None:
        try:
            life.of_account("DescribeBackups", BackupId=life.backup_id)
        except Refused as refused:
            return refused.code
        return None

    yield f"its backup: {backup['Status']}, then {life.until(backup_is_gone, 'the end of the backup')}"


STEPS: tuple[Callable[[Life], Iterator[str]], ...] = (
    created,
    counted_tagged_and_updated,
    associated,
    exported,
    cookbook_uploaded,
    backed_up,
    broken_and_restored,
    rekeyed,
    maintained,
    disassociated,
    remembered,
    deleted,
)


def lived(life: Life) -> list[str]:
    """The whole life, as a story of one line for each thing that was seen."""
    return [line for step in STEPS for line in step(life)]

"""Every call to OpsWorks CM made once with success and once refused, with a canary in every secret place."""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from opentrail.opsworks.keys import generate_key_pair
from tests.support.certificates import issue
from tests.support.gateway import Gateway, Key
from tests.support.opsworks import create_request

NAME, SECOND = "recorded", "generated"
DOMAIN = "chef.example.org"
NODE = "i-0abc"
PATIENCE_S = 150.0
PIVOTAL_KEY = "CHEF_AUTOMATE_PIVOTAL_KEY"


@dataclass(frozen=True)
class Called:
    """One call: what was asked, and what came back; ``code`` where it was refused, empty otherwise."""

    operation: str
    parameters: Mapping[str, Any]
    answer: Mapping[str, Any]
    code: str = ""

    @property
    def request_id(self) -> str:
        """The request's id."""
        return str(self.answer["ResponseMetadata"]["RequestId"])

    @property
    def members(self) -> dict[str, Any]:
        """The answer without what boto3 adds."""
        return {name: value for name, value in self.answer.items() if name not in {"ResponseMetadata", "Error"}}


@dataclass
class Canaries:
    """Texts by what they are. ``secret`` ones may be nowhere; ``hidden`` ones (public keys and other values of secret
    members, which OpenTrail has to keep to do its work) in no evidence, log or answer; ``seen`` is in all of these.
    """

    secret: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    seen: str = field(default_factory=lambda: f"seen{secrets.token_hex(8)}")

    def key(self, what: str, pem: str, *, public: bool) -> str:
        """Remember a line of a key's PEM text; the text."""
        lines = pem.strip().splitlines()
        (self.hidden if public else self.secret)[what] = lines[len(lines) // 2]
        return pem

    def text(self, what: str, form: str = "{}", *, hidden: bool = False) -> str:
        """A new canary in a text of some form."""
        canary = secrets.token_hex(8)
        (self.hidden if hidden else self.secret)[what] = canary
        return form.format(canary)

    def credentials(self, what: str, attributes: list[dict[str, str]]) -> None:
        """Remember what an answer shows once: a private key, a kit (base64, and the ZIP), a password."""
        for attribute in attributes:
            name, value = f"{attribute['Name']} of {what}", attribute["Value"]
            if name.startswith("CHEF_STARTER_KIT"):
                self.secret[name] = value[len(value) // 2 : len(value) // 2 + 60]
            elif "KEY" in name:
                self.key(name, value, public=False)
            else:
                self.secret[name] = value


class Scene:
    """A running OpenTrail's OpsWorks CM after all the calls; ``good`` and ``bad`` hold one of each operation."""

    def __init__(self, gateway: Gateway) -> None:
        """Make the calls, in the order in which a server lives through them."""
        self.gateway, self.canaries = gateway, Canaries()
        self.client = gateway.client("opsworkscm")
        self.good: dict[str, Called] = {}
        self.bad: dict[str, Called] = {}
        self.others: list[Called] = []
        self._create()
        self._change()
        self._nodes()
        self._instances()
        self._end()

    @property
    def calls(self) -> list[Called]:
        """All of them."""
        return [*self.good.values(), *self.bad.values(), *self.others]

    def ask(self, operation: str, client: Any = None, **parameters: Any) -> Called:
        """Make a call and keep it: the first of its operation and outcome in ``good`` or ``bad``."""
        try:
            answer = getattr(client or self.client, xform_name(operation))(**parameters)
            called = Called(operation, parameters, answer)
        except ClientError as error:
            called = Called(operation, parameters, error.response, error.response["Error"]["Code"])
        kept = self.bad if called.code else self.good
        if operation in kept:
            self.others.append(called)
        else:
            kept[operation] = called
        return called

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        """What a look finds, once it finds something."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline, f"waited for {what}"
            time.sleep(0.2)
        return found

    def healthy(self, name: str = NAME) -> None:
        """Wait until a server is HEALTHY."""
        self.wait(lambda: self._status(name) == "HEALTHY", f"{name} to be HEALTHY")

    def _status(self, name: str) -> str:
        return str(self.client.describe_servers(ServerName=name)["Servers"][0]["Status"])

    def _create(self) -> None:
        canaries, pair = self.canaries, generate_key_pair()
        leaf = issue("chef", DOMAIN, now=datetime.now(UTC))
        password = canaries.text("password", "Aa1!{}")
        given = [
            {"Name": PIVOTAL_KEY, "Value": canaries.key("pivotal's public key", pair.public_pem, public=True)},
            {"Name": "CHEF_AUTOMATE_ADMIN_PASSWORD", "Value": password},
        ]
        custom = {
            "CustomDomain": DOMAIN,
            "CustomCertificate": leaf.pem,
            "CustomPrivateKey": canaries.key("custom private key", leaf.key_pem(), public=False),
        }
        windows = {"PreferredMaintenanceWindow": "Sun:01:00", "PreferredBackupWindow": "15:00"}
        place = {"SecurityGroupIds": ["sg-1"], "SubnetIds": ["subnet-1"], "KeyPair": "pair"}
        counts = {"AssociatePublicIpAddress": False, "DisableAutomatedBackup": True, "BackupRetentionCount": 2}
        engine = {"EngineModel": "Single", "EngineVersion": "2", "EngineAttributes": given}
        tags = [{"Key": "seen", "Value": canaries.seen}]
        asked = create_request(NAME, **custom, **windows, **place, **counts, **engine, Tags=tags)
        made = self.ask("CreateServer", **asked)
        canaries.credentials("CreateServer", made.answer["Server"]["EngineAttributes"])
        self.ask("CreateServer", **asked)
        wrong = [{"Name": "CHEF_AUTOMATE_ADMIN_PASSWORD", "Value": canaries.text("bad password", "{} and a space")}]
        self.ask("CreateServer", **create_request("refused", EngineAttributes=wrong))
        wrong = [{"Name": PIVOTAL_KEY, "Value": canaries.text("bad key")}]
        self.ask("CreateServer", **create_request("refused", EngineAttributes=wrong))
        wrong = [{"Name": PIVOTAL_KEY, "Value": canaries.text("a key beyond the model's length", "{}" + "x" * 10_000)}]
        self.ask("CreateServer", **create_request("refused", EngineAttributes=wrong))
        self.ask("CreateServer", **create_request("refused", CustomPrivateKey=canaries.text("a key of another form")))
        made = self.ask("CreateServer", **create_request(SECOND, DisableAutomatedBackup=True))
        canaries.credentials("the second CreateServer", made.answer["Server"]["EngineAttributes"])
        self.healthy(NAME)
        self.healthy(SECOND)

    def _change(self) -> None:
        canaries, arn = self.canaries, self.good["CreateServer"].answer["Server"]["ServerArn"]
        self.ask("DescribeServers", ServerName=NAME)
        self.ask("DescribeServers", ServerName="nobody")
        self.ask("DescribeAccountAttributes")
        self.ask("DescribeAccountAttributes", self._powerless())
        self.ask("UpdateServer", ServerName=NAME, BackupRetentionCount=3, DisableAutomatedBackup=True)
        self.ask("UpdateServer", ServerName=NAME, BackupRetentionCount=0, PreferredBackupWindow="16:00")
        self.ask("TagResource", ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
        self.ask("TagResource", ResourceArn=f"{arn}0", Tags=[{"Key": "a", "Value": "1"}])
        self.ask("ListTagsForResource", ResourceArn=arn, MaxResults=50)
        self.ask("ListTagsForResource", ResourceArn=f"{arn}0")
        self.ask("UntagResource", ResourceArn=arn, TagKeys=["a"])
        self.ask("UntagResource", ResourceArn=f"{arn}0", TagKeys=["a"])
        changed = self.ask("UpdateServerEngineAttributes", ServerName=NAME, AttributeName=PIVOTAL_KEY)
        canaries.credentials("UpdateServerEngineAttributes", changed.answer["Server"]["EngineAttributes"])
        self.healthy()
        wrong = {"AttributeName": PIVOTAL_KEY, "AttributeValue": canaries.text("bad AttributeValue")}
        self.ask("UpdateServerEngineAttributes", ServerName=NAME, **wrong)
        pem = canaries.key("AttributeValue", generate_key_pair().public_pem, public=True)
        changed = self.ask(
            "UpdateServerEngineAttributes", ServerName=NAME, AttributeName=PIVOTAL_KEY, AttributeValue=pem
        )
        canaries.credentials("the second UpdateServerEngineAttributes", changed.answer["Server"]["EngineAttributes"])
        self.healthy()

    def _powerless(self) -> Any:
        """A client of a user who may do nothing."""
        iam = self.gateway.client("iam")
        iam.create_user(UserName="ada")
        made = iam.create_access_key(UserName="ada")["AccessKey"]
        return self.gateway.client("opsworkscm", Key(made["AccessKeyId"], made["SecretAccessKey"]))

    def _nodes(self) -> None:
        canaries = self.canaries
        pem = canaries.key("a node's public key", generate_key_pair().public_pem, public=True)
        key = {"Name": "CHEF_AUTOMATE_NODE_PUBLIC_KEY", "Value": pem}
        organization = {"Name": "CHEF_AUTOMATE_ORGANIZATION", "Value": "default"}
        node = {"ServerName": NAME, "NodeName": NODE, "EngineAttributes": [organization, key]}
        token = self.ask("AssociateNode", **node).answer["NodeAssociationStatusToken"]
        self._ended(token)
        self.ask("AssociateNode", **node | {"ServerName": "nobody"})
        wrong = key | {"Value": canaries.text("a node's bad key")}
        self.ask("AssociateNode", **node | {"EngineAttributes": [organization, wrong]})
        strange = organization | {"Value": canaries.text("a strange organization", hidden=True)}
        self._ended(
            self.ask("AssociateNode", **node | {"EngineAttributes": [strange, key]}).answer[
                "NodeAssociationStatusToken"
            ]
        )
        self.ask("DescribeNodeAssociationStatus", ServerName=NAME, NodeAssociationStatusToken=token)
        self.ask("DescribeNodeAssociationStatus", ServerName=NAME, NodeAssociationStatusToken="another")
        run_list = canaries.text("RunList", "recipe[{}]")
        export = {"ServerName": NAME, "InputAttributes": [{"Name": "RunList", "Value": run_list}]}
        self.ask("ExportServerEngineAttribute", **export, ExportAttributeName="Userdata")
        self.ask("ExportServerEngineAttribute", **export, ExportAttributeName="Other")
        bad = [{"Name": "RunList", "Value": canaries.text("bad RunList", "{};")}]
        self.ask("ExportServerEngineAttribute", ServerName=NAME, ExportAttributeName="Userdata", InputAttributes=bad)

    def _ended(self, token: str) -> None:
        asked = {"ServerName": NAME, "NodeAssociationStatusToken": token}
        look = self.client.describe_node_association_status
        self.wait(lambda: look(**asked)["NodeAssociationStatus"] != "IN_PROGRESS", "the end of a request")

    def _instances(self) -> None:
        tags = [{"Key": "kind", "Value": self.canaries.seen}]
        made = self.ask("CreateBackup", ServerName=NAME, Description=self.canaries.seen, Tags=tags)
        backup_id = made.answer["Backup"]["BackupId"]
        self.healthy()
        self.ask("CreateBackup", ServerName="nobody", Description="none")
        self.ask("DescribeBackups", ServerName=NAME, BackupId=backup_id)
        self.ask("DescribeBackups", BackupId="nobody-1")
        self.ask("RestoreServer", ServerName=NAME, BackupId=backup_id, InstanceType="r5.xlarge", KeyPair="other")
        self.healthy()
        self.ask("RestoreServer", ServerName=NAME, BackupId="nobody-1")
        wrong = [{"Name": "CHEF_MAJOR_UPGRADE", "Value": self.canaries.text("upgrade")}]
        self.ask("StartMaintenance", ServerName=NAME, EngineAttributes=wrong)
        self.ask("StartMaintenance", ServerName=NAME)
        self.healthy()

    def _end(self) -> None:
        strange = [{"Name": "CHEF_ORGANIZATION", "Value": self.canaries.text("a node's organization", hidden=True)}]
        organization = [{"Name": "CHEF_AUTOMATE_ORGANIZATION", "Value": "default"}]
        node = {"ServerName": NAME, "NodeName": NODE}
        gone = self.ask("DisassociateNode", **node, EngineAttributes=organization)
        self._ended(gone.answer["NodeAssociationStatusToken"])
        self.ask("DisassociateNode", ServerName="nobody", NodeName=NODE, EngineAttributes=strange)
        self._ended(self.ask("DisassociateNode", **node, EngineAttributes=strange).answer["NodeAssociationStatusToken"])
        self.ask("DescribeEvents", ServerName=NAME, MaxResults=2)
        self.ask("DescribeEvents", ServerName=NAME, NextToken="strange")
        backup_id = self.good["CreateBackup"].answer["Backup"]["BackupId"]
        self.ask("DeleteBackup", BackupId=backup_id)
        self.ask("DeleteBackup", BackupId="nobody-1")
        self.ask("DeleteServer", ServerName="nobody")
        self.later = self._later_answers()
        self.ask("DeleteServer", ServerName=NAME)

    def _later_answers(self) -> list[Any]:
        """What everything that can be read says when all secrets were given."""
        arn = self.good["CreateServer"].answer["Server"]["ServerArn"]
        client = self.client
        token = self.good["AssociateNode"].answer["NodeAssociationStatusToken"]
        return [
            client.describe_servers(),
            client.describe_backups(),
            client.describe_events(ServerName=NAME),
            client.describe_events(ServerName=SECOND),
            client.list_tags_for_resource(ResourceArn=arn),
            client.describe_node_association_status(ServerName=NAME, NodeAssociationStatusToken=token),
            client.update_server(ServerName=NAME, BackupRetentionCount=2),
            base64.b64decode(
                client.export_server_engine_attribute(ServerName=NAME, ExportAttributeName="Userdata")[
                    "EngineAttribute"
                ]["Value"]
            ).decode(),
        ]

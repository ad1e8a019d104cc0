"""Random sequences of valid and invalid calls against a pure model of OpsWorks CM: no disagreement, no 500.

Whatever a call raises other than a modelled error fails the test.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from opentrail.services.operation import handlers_of
from opentrail.services.opsworks_cm import OpsWorksCmService
from tests.support.opsworks import create_request
from tests.support.opsworks_model import (
    ACCOUNTS,
    BAD_NODES,
    BUSY,
    IDLE,
    KEYS,
    NAMES,
    NEXT,
    NODE_KEYS,
    NODES,
    ORGANIZATIONS,
    QUOTAS,
    RULED,
    Chef,
    Copy,
    Node,
    OpsWorksModel,
    mostly,
    ruled,
)

BOUNDS = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failure is shown as it was found: shrinking takes long
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


SOON = st.booleans()


class OpsWorksCm(OpsWorksModel):
    """Every rule makes one call, says what the model expects of it, and moves the model."""

    # servers

    ruled("CreateServer")

    @rule(
        account=ACCOUNTS,
        name=NAMES,
        engine=mostly("ChefAutomate", "Chef", rarely=("Puppet", "Other")),
        retention=mostly(None, 1, 30, rarely=(0,)),
        window=mostly(None, "Thu:10:00", rarely=("Thr:10:00",)),
        password=mostly(None, "Passw0rd!", rarely=("short",)),
        key=mostly(*KEYS, None, rarely=("no key",)),
        which=st.none() | NEXT,
    )
    def create(self, account: str, name: str, engine: str, retention: int | None, **given: Any) -> None:
        window, password, key = given["window"], given["password"], given["key"]
        copy, backup_id = (None, None) if given["which"] is None else self.chosen(account, given["which"])
        request = create_request(name, Engine=engine)
        request |= {} if retention is None else {"BackupRetentionCount": retention}
        request |= {} if window is None else {"PreferredMaintenanceWindow": window}
        request |= {} if backup_id is None else {"BackupId": backup_id}
        chosen = {"CHEF_PIVOTAL_KEY": key, "CHEF_AUTOMATE_ADMIN_PASSWORD": password}
        request["EngineAttributes"] = [{"Name": n, "Value": value} for n, value in chosen.items() if value is not None]
        bad = "bad" in name or engine not in {"ChefAutomate", "Chef"} or retention == 0 or window == "Thr:10:00"
        answer = self.ask("CreateServer", request, account)
        if bad or password == "short" or key == "no key":
            assert answer == "ValidationException"
        elif self.find(account, name):
            assert answer == "ResourceAlreadyExistsException"
        elif sum(one.account == account for one in self.servers) >= QUOTAS.servers:
            assert answer == "LimitExceededException"
        elif backup_id is not None and copy is None:
            assert answer == "ResourceNotFoundException"
        elif copy is not None and copy.status != "OK":
            assert answer == "ValidationException"
        else:
            assert isinstance(answer, dict)
            made = answer["Server"]
            assert made["Status"] == "CREATING"
            server_id = made["ServerArn"].rpartition("/")[2]
            self.servers.append(Chef(account, name, server_id, key or KEYS[0], retention=retention or 1, source=copy))

    ruled("UpdateServer")

    @rule(account=ACCOUNTS, name=NAMES, retention=mostly(2, 5, rarely=(0,)))
    def update(self, account: str, name: str, retention: int) -> None:
        chef = self.find(account, name)
        answer = self.ask("UpdateServer", {"ServerName": name, "BackupRetentionCount": retention}, account)
        allowed = IDLE | {"FAILED", "TERMINATED", "SETUP"}
        problem = self.expected(chef, "bad" in name or retention == 0, allowed)
        if problem is not None:
            assert answer == problem
        else:
            assert chef is not None
            chef.retention = retention

    ruled("DeleteServer")

    @rule(account=ACCOUNTS, name=mostly("eve", "bob", rarely=("ada", "9 bad")))
    def delete(self, account: str, name: str) -> None:
        chef = self.find(account, name)
        answer = self.ask("DeleteServer", {"ServerName": name}, account)
        problem = self.expected(chef, "bad" in name)
        if problem is None and chef is not None and chef.status == "DELETING":
            problem = "InvalidStateException"
        assert answer == (problem or {})
        if problem is None and chef is not None:
            chef.status, chef.source = "DELETING", None  # it waits for no instance any more

    ruled("DescribeEvents", "ExportServerEngineAttribute")

    @rule(
        account=ACCOUNTS, name=NAMES, what=mostly("Userdata", rarely=("Nothing",)), run_list=mostly("a", rarely=(";",))
    )
    def look(self, account: str, name: str, what: str, run_list: str) -> None:
        chef = self.find(account, name)
        events = self.ask("DescribeEvents", {"ServerName": name, "MaxResults": 3}, account)
        problem = self.expected(chef, "bad" in name)
        assert (events if isinstance(events, str) else None) == problem
        inputs = [{"Name": "RunList", "Value": run_list}]
        request = {"ServerName": name, "ExportAttributeName": what, "InputAttributes": inputs}
        script = self.ask("ExportServerEngineAttribute", request, account)
        bad = "bad" in name or what == "Nothing" or run_list == ";"
        problem = self.expected(chef, bad, IDLE | BUSY)
        assert (script if isinstance(script, str) else None) == problem

    # backups

    ruled("CreateBackup")

    @rule(account=ACCOUNTS, name=NAMES, tag=mostly("k", rarely=("aws:k",)))
    def back_up(self, account: str, name: str, tag: str) -> None:
        chef = self.find(account, name)
        request = {"ServerName": name, "Tags": [{"Key": tag, "Value": "v"}]}
        answer = self.ask("CreateBackup", request, account)
        problem = self.expected(chef, "bad" in name or tag == "aws:k", {"HEALTHY", "UNHEALTHY", "RUNNING"})
        if problem is None and self.manual_copies(account) >= QUOTAS.manual_backups:
            problem = "LimitExceededException"
        if problem is not None:
            assert answer == problem
            return
        assert isinstance(answer, dict)
        assert chef is not None
        assert answer["Backup"]["Status"] == "IN_PROGRESS"
        self.copies.append(Copy(account, answer["Backup"]["BackupId"], chef))
        chef.status = "BACKING_UP"

    def manual_copies(self, account: str) -> int:
        """How many count for the quota."""
        return sum(one.account == account and not one.automated for one in self.copies)

    ruled("DeleteBackup")

    @rule(account=ACCOUNTS, which=NEXT)
    def delete_backup(self, account: str, which: int) -> None:
        copy, backup_id = self.chosen(account, which)
        answer = self.ask("DeleteBackup", {"BackupId": backup_id}, account)
        if copy is None:
            assert answer == "ResourceNotFoundException"
        elif copy.status in {"IN_PROGRESS", "DELETING"} or any(chef.source is copy for chef in self.servers):
            assert answer == "InvalidStateException"
        else:
            assert answer == {}
            copy.status = "DELETING"

    # new instances

    def chosen(self, account: str, which: int) -> tuple[Copy | None, str]:
        """The id of a backup that exists, maybe another account's, or of one that never did; and what the account has
        under it: two accounts may have the same id, made of the server's name and the time.
        """
        backup_id = self.copies[which].backup_id if which < len(self.copies) else "nobody-20260101000000000"
        own = (copy for copy in self.copies if (copy.account, copy.backup_id) == (account, backup_id))
        return next(own, None), backup_id

    ruled("RestoreServer")

    @rule(account=ACCOUNTS, name=NAMES, which=NEXT, soon=SOON)
    def restore(self, account: str, name: str, which: int, soon: bool) -> None:
        (copy, backup_id), chef = self.chosen(account, which), self.find(account, name)
        answer = self.ask("RestoreServer", {"ServerName": name, "BackupId": backup_id}, account)
        problem = self.expected(chef, "bad" in name)
        if problem is None and copy is None:
            problem = "ResourceNotFoundException"
        if problem is None:
            problem = self.expected(chef, False, IDLE)
        if problem is None and copy is not None and copy.status != "OK":
            problem = "InvalidStateException"
        if problem is not None:
            assert answer == problem
            return
        assert isinstance(answer, dict)
        assert chef is not None
        assert answer["Server"]["Status"] == "RESTORING"
        chef.status, chef.source = "RESTORING", copy
        if soon:
            self.work()

    ruled("StartMaintenance")

    @rule(account=ACCOUNTS, name=NAMES, attribute=mostly(None, rarely=("CHEF_MAJOR_UPGRADE", "X")), soon=SOON)
    def maintain(self, account: str, name: str, attribute: str | None, soon: bool) -> None:
        request: dict[str, Any] = {"ServerName": name}
        if attribute is not None:
            request["EngineAttributes"] = [{"Name": attribute, "Value": "true"}]
        chef, answer = self.find(account, name), self.ask("StartMaintenance", request, account)
        problem = self.expected(chef, "bad" in name or attribute == "X", {"HEALTHY", "UNHEALTHY"})
        if problem is None and attribute is not None:
            problem = "ValidationException"
        if problem is not None:
            assert answer == problem
            return
        assert isinstance(answer, dict)
        assert chef is not None
        assert answer["Server"]["Status"] == "UNDER_MAINTENANCE"
        newest = self.ask("DescribeBackups", {"MaxResults": 1}, account)
        assert isinstance(newest, dict)
        assert newest["Backups"][0]["BackupType"] == "AUTOMATED"
        self.copies.append(Copy(account, newest["Backups"][0]["BackupId"], chef, automated=True))
        chef.status = "UNDER_MAINTENANCE"
        if soon:
            self.work()

    # tags

    ruled("TagResource", "UntagResource", "ListTagsForResource")

    @precondition(lambda self: self.servers)
    @rule(account=ACCOUNTS, which=NEXT, key=mostly("a", "b", rarely=("aws:a", "")), value=st.sampled_from("xy"))
    def tag(self, account: str, which: int, key: str, value: str) -> None:
        chef = self.servers[which % len(self.servers)]
        arn = f"arn:aws:opsworks-cm:us-east-1:{chef.account}:server/{chef.name}/{chef.server_id}"
        bad = key not in {"a", "b"}
        mine = chef if chef.account == account else None
        wanted = self.expected(mine, bad, IDLE | BUSY | {"CREATING", "FAILED"})
        tagged = self.ask("TagResource", {"ResourceArn": arn, "Tags": [{"Key": key, "Value": value}]}, account)
        assert tagged == (wanted or {})
        if wanted is None:
            chef.tags[key] = value
        if value == "y":
            untagged = self.ask("UntagResource", {"ResourceArn": arn, "TagKeys": [key]}, account)
            assert untagged == (wanted or {})
            if wanted is None:
                chef.tags.pop(key)
        listed = self.ask("ListTagsForResource", {"ResourceArn": arn}, account)
        if mine is None:
            assert listed == "ResourceNotFoundException"
        else:
            assert isinstance(listed, dict)
            assert {tag["Key"]: tag["Value"] for tag in listed["Tags"]} == chef.tags

    # nodes and keys

    ruled("AssociateNode")

    @rule(account=ACCOUNTS, name=NAMES, node=NODES, key=NODE_KEYS, organization=ORGANIZATIONS, soon=SOON)
    def associate(self, account: str, name: str, node: str, key: str | None, **more: Any) -> None:
        given = {"CHEF_NODE_PUBLIC_KEY": key, "CHEF_AUTOMATE_ORGANIZATION": more["organization"]}
        pairs = [{"Name": n, "Value": value} for n, value in given.items() if value is not None]
        request = {"ServerName": name, "NodeName": node, "EngineAttributes": pairs}
        bad = "bad" in name or node in BAD_NODES or key not in KEYS
        self.begin("AssociateNode", account, request, bad=bad, key=key, **more)

    ruled("DisassociateNode")

    @rule(account=ACCOUNTS, name=NAMES, node=NODES, organization=ORGANIZATIONS, soon=SOON)
    def disassociate(self, account: str, name: str, node: str, organization: str | None, soon: bool) -> None:
        request: dict[str, Any] = {"ServerName": name, "NodeName": node}
        if organization is not None:
            request["EngineAttributes"] = [{"Name": "CHEF_ORGANIZATION", "Value": organization}]
        bad = "bad" in name or node in BAD_NODES
        self.begin("DisassociateNode", account, request, bad=bad, key=None, organization=organization, soon=soon)

    def begin(
        self,
        operation: str,
        account: str,
        request: dict[str, Any],
        *,
        bad: bool,
        key: str | None,
        organization: str | None,
        soon: bool,
    ) -> None:
        """Ask for a node, let the model remember it, and have it done at once or some time."""
        chef = self.find(account, request["ServerName"])
        answer = self.ask(operation, request, account)
        problem = self.expected(chef, bad, {"HEALTHY"})
        if problem is not None:
            assert answer == problem
            return
        assert isinstance(answer, dict)
        assert chef is not None
        token = answer["NodeAssociationStatusToken"]
        chef.requests.append(Node(token, request["NodeName"], key, organization or "default", self.clock.at))
        if soon:
            self.work(crashes=1)

    ruled("DescribeNodeAssociationStatus")

    @rule(account=ACCOUNTS, name=NAMES, which=NEXT)
    def association(self, account: str, name: str, which: int) -> None:
        known = [node for chef in self.servers for node in chef.requests]
        token = known[which].token if which < len(known) else self.dead_tokens[which % len(self.dead_tokens)]
        self.told(account, name, token)

    ruled("UpdateServerEngineAttributes")

    @rule(
        account=ACCOUNTS,
        name=NAMES,
        attribute=mostly("CHEF_PIVOTAL_KEY", "CHEF_AUTOMATE_PIVOTAL_KEY", rarely=("CHEF_AUTOMATE_ADMIN_PASSWORD",)),
        value=mostly(*KEYS, "null", None, rarely=("no key",)),
    )
    def update_key(self, account: str, name: str, attribute: str, value: str | None) -> None:
        request = {"ServerName": name, "AttributeName": attribute}
        request |= {} if value is None else {"AttributeValue": value}
        answer = self.ask("UpdateServerEngineAttributes", request, account)
        chef = self.find(account, name)
        bad = "bad" in name or attribute.endswith("PASSWORD") or value == "no key"
        problem = self.expected(chef, bad, {"HEALTHY", "UNHEALTHY"})
        if problem is not None:
            assert answer == problem
            return
        assert isinstance(answer, dict)
        assert chef is not None
        shown = {item["Name"] for item in answer["Server"]["EngineAttributes"]}
        assert len(shown) == (1 if value in KEYS else 2)
        chef.status, chef.next_pivotal = "MODIFYING", value if value in KEYS else KEYS[0]


def test_opsworks_every_served_operation_takes_part() -> None:
    """An operation that is served has a rule above."""
    assert set(handlers_of(object.__new__(OpsWorksCmService))) == RULED


class LongOpsWorksCm(OpsWorksCm):
    """The same, for as long as it takes to find what is rare."""


TestOpsWorksCm = OpsWorksCm.TestCase
TestOpsWorksCm.settings = settings(BOUNDS, max_examples=60, stateful_step_count=40)
TestOpsWorksCmForLong = pytest.mark.soak(LongOpsWorksCm.TestCase)
TestOpsWorksCmForLong.settings = settings(BOUNDS, max_examples=1500, stateful_step_count=60)

"""The pure model of OpsWorks CM that random calls are compared with, and the service beside it.

The service is real up to the engine, which is a fake; the background works only when a rule lets it, so that calls meet
every state in between.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from opentrail.aws.model import Catalogue
from opentrail.aws.validate import check
from opentrail.errors import ApiError, OutboundError
from opentrail.opsworks.keys import generate_key_pair
from opentrail.services.opsworks_cm import OpsWorksCmService
from opentrail.services.opsworks_cm.parts import Quotas
from opentrail.state.database import Database
from tests.support.memory_store import MemoryObjectStore
from tests.support.opsworks import ACCOUNT, KEY_PAIR, OTHER_ACCOUNT, FakeEngine, World, create_request, new_seal

SERVICE = Catalogue().service("opsworkscm")
QUOTAS = Quotas(servers=2, manual_backups=2)
KEYS = (KEY_PAIR.public_pem, generate_key_pair().public_pem)


def mostly(*usual: Any, rarely: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """The first ones nine times out of ten, so that sequences get somewhere."""
    return st.integers(0, 9).flatmap(lambda drawn: st.sampled_from(usual if drawn or not rarely else rarely))


NAMES = mostly("ada", rarely=("bob", "eve", "9 bad"))
ACCOUNTS = mostly(ACCOUNT, rarely=(OTHER_ACCOUNT,))
NODES = mostly("n1", rarely=("n2", "pivotal", "a:b", "no node"))
NODE_KEYS = mostly(*KEYS, rarely=("no key", None))
ORGANIZATIONS = mostly("default", None, rarely=("mine",))
BAD_NODES = {"pivotal", "a:b", "no node"}
NEXT = st.integers(0, 3)
"""Which of the things that exist is meant; a number beyond them means one that never did."""

Outcome = str | dict[str, Any]
IDLE = {"HEALTHY", "UNHEALTHY", "RUNNING", "CONNECTION_LOST"}
BUSY = {"BACKING_UP", "MODIFYING", "RESTORING", "UNDER_MAINTENANCE"}


@dataclass
class Node:
    """A request for a node, as the model has it."""

    token: str
    name: str
    key: str | None
    organization: str
    at: datetime
    status: str = "IN_PROGRESS"


@dataclass
class Chef:
    """A server, as the model has it."""

    account: str
    name: str
    server_id: str
    pivotal: str
    status: str = "CREATING"
    sick: bool = False
    retention: int = 1
    next_pivotal: str | None = None
    source: "Copy | None" = None
    nodes: dict[str, str] = field(default_factory=dict)
    requests: list[Node] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> str:
        return "UNHEALTHY" if self.sick else "HEALTHY"


@dataclass
class Copy:
    """A backup, as the model has it."""

    account: str
    backup_id: str
    server: Chef
    automated: bool = False
    status: str = "IN_PROGRESS"
    nodes: dict[str, str] = field(default_factory=dict)


class StillClock:
    """A clock that moves when a rule says so."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Held:
    """A background that does nothing until it is let."""

    def look_at_server(self, server_id: str) -> None:
        """Wait."""

    def look_at_backup(self, number: int) -> None:
        """Wait."""


RULED: set[str] = set()
"""Operations that some rule asks."""


def ruled(*names: str) -> None:
    """Note that a rule asks these operations."""
    RULED.update(names)


class OpsWorksModel(RuleBasedStateMachine):
    """The model, the service beside it, and what happens without a call. Rules that call are a subclass's."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="opsworks-machine-"))
        self.engine = FakeEngine(self.directory / "engine")
        self.database, self.objects = Database(None), MemoryObjectStore()
        self.clock, self.seal = StillClock(), new_seal()
        self.servers: list[Chef] = []
        self.copies: list[Copy] = []
        self.dead_tokens: list[str] = ["x" * 88]
        self.open()

    def open(self) -> None:
        """One life of the process."""
        self.world = World(self.database, self.engine, self.objects, self.directory, self.clock, seal=self.seal)
        parts = replace(self.world.service.parts, jobs=Held(), quotas=QUOTAS)
        self.world.service = OpsWorksCmService(parts)

    def teardown(self) -> None:
        """Leave nothing."""
        self.world.jobs.stop()
        self.database.close()
        shutil.rmtree(self.directory)

    def ask(self, name: str, request: Mapping[str, Any], account: str = ACCOUNT) -> Outcome:
        """One call as the dispatcher makes it: the answer, or the error's code."""
        try:
            check(SERVICE.operation(name), request)
            return self.world.ask(name, request, account_id=account)
        except ApiError as error:
            assert error.status < 500
            return error.code

    def find(self, account: str, name: str) -> Chef | None:
        """The model's server of that name."""
        return next((one for one in self.servers if (one.account, one.name) == (account, name)), None)

    def expected(self, chef: Chef | None, bad: bool, allowed: set[str] | None = None) -> str | None:
        """The refusal that every operation on a server shares: wrong parameters, then no server, then its state."""
        if bad:
            return "ValidationException"
        if chef is None:
            return "ResourceNotFoundException"
        return "InvalidStateException" if allowed is not None and chef.status not in allowed else None

    def told(self, account: str, name: str, token: str) -> None:
        """What a token's state is said to be."""
        request = {"ServerName": name, "NodeAssociationStatusToken": token}
        answer = self.ask("DescribeNodeAssociationStatus", request, account)
        chef = self.find(account, name)
        problem = self.expected(chef, "bad" in name)
        found = None if chef is None else next((node for node in chef.requests if node.token == token), None)
        if problem is None and (found is None or self.clock.at - found.at >= timedelta(hours=24)):
            problem = "ResourceNotFoundException"
        if problem is not None:
            assert answer == problem
        else:
            assert isinstance(answer, dict)
            assert found is not None
            assert answer["NodeAssociationStatus"] == found.status

    # what happens without a call

    @precondition(lambda self: self.servers)
    @rule(which=NEXT, sick=st.booleans())
    def fall_ill(self, which: int, sick: bool) -> None:
        """A server's health check fails from now on, or no more, and that is seen."""
        chef = self.servers[which % len(self.servers)]
        chef.sick = sick
        (self.engine.bad.add if sick else self.engine.bad.discard)(chef.server_id)
        self.work()

    @precondition(lambda self: self.servers)
    @rule(which=NEXT)
    def crash(self, which: int) -> None:
        """An engine ends; what it was told, and callers were told, it must still know."""
        chef = self.servers[which % len(self.servers)]
        if chef.server_id in self.engine.up:
            self.engine.crash(chef.server_id)
            self.engine.up.discard(chef.server_id)

    @rule()
    def restart(self) -> None:
        """OpenTrail ends and starts again."""
        self.world.jobs.stop()
        self.open()

    @rule(minutes=mostly(1, rarely=(4, 1500)))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.clock.at += timedelta(minutes=minutes)

    @initialize()
    def begin_with_one(self) -> None:
        """Most sequences begin where something can be done."""
        made = self.ask("CreateServer", create_request("ada"))
        assert isinstance(made, dict)
        self.servers.append(Chef(ACCOUNT, "ada", made["Server"]["ServerArn"].rpartition("/")[2], KEYS[0]))
        self.work()

    @rule(broken=mostly(False, rarely=(True,)), crashes=st.integers(0, 2))
    def work(self, broken: bool = False, crashes: int = 0) -> None:
        """The background does what there is to do; no engine starts while they are broken, and what was written to one
        is forgotten a few times before it is on its disk.
        """
        self.engine.crashes = crashes
        self.engine.problem = OutboundError("EngineMissing", "none here", retryable=False) if broken else None
        for chef in list(self.servers):
            able = chef.server_id in self.engine.up or not broken
            self.world.jobs.look_at_server(chef.server_id)
            self.world.settle()
            self.move(chef, able=able)
        with self.database.read() as connection:
            deleting = self.world.store.backups_being_deleted(connection)
        for number in deleting:
            self.world.jobs.look_at_backup(number)
        self.world.settle()
        self.copies = [copy for copy in self.copies if copy.status != "DELETING"]

    def move(self, chef: Chef, *, able: bool) -> None:
        """What the background makes of a server, whose engine runs or can be started, or cannot."""
        if chef.status == "DELETING":
            self.remove(chef)
            return
        if chef.status == "FAILED" or (chef.status == "CREATING" and not able and chef.source is None):
            chef.status = "FAILED"
            return
        if chef.status in {"CREATING", "RESTORING", "UNDER_MAINTENANCE"}:
            able = self.renew(chef) or able
        for node in chef.requests:
            if node.status == "IN_PROGRESS" and able:
                node.status = "SUCCESS" if self.apply(chef, node) else "FAILED"
            elif node.status == "IN_PROGRESS" and self.clock.at - node.at >= timedelta(minutes=3):
                node.status = "FAILED"
        self.end_copies(chef, "OK" if able else "FAILED")
        if chef.next_pivotal is not None:
            chef.pivotal, chef.next_pivotal = chef.next_pivotal if able else chef.pivotal, None
        chef.status = chef.healthy if able else "CONNECTION_LOST"

    def renew(self, chef: Chef) -> bool:
        """A server gets the instance that it waits for; False where it waits for none."""
        if chef.status == "UNDER_MAINTENANCE":  # from a backup of this moment: nothing changes but the backups
            self.end_copies(chef, "OK")
            own = [one for one in self.copies if one.server is chef and one.automated and one.status == "OK"]
            for copy in own[: -chef.retention]:
                if not any(one.source is copy for one in self.servers):
                    self.copies.remove(copy)
            return True
        if chef.source is None:
            return False
        chef.nodes = dict(chef.source.nodes) if chef.source.server is chef else {}
        chef.source = None
        return True

    def remove(self, chef: Chef) -> None:
        """A server goes, unless another one is being made from an automated backup of it."""
        if any(one.source and one.source.automated and one.source.server is chef for one in self.servers):
            return
        self.dead_tokens += [node.token for node in chef.requests]
        self.servers.remove(chef)
        self.engine.bad.discard(chef.server_id)
        self.end_copies(chef, "FAILED")
        self.copies = [copy for copy in self.copies if copy.server is not chef or not copy.automated]

    def end_copies(self, chef: Chef, status: str) -> None:
        """The backup that a server was being backed up into ends."""
        for copy in self.copies:
            if copy.server is chef and copy.status == "IN_PROGRESS":
                copy.status, copy.nodes = status, dict(chef.nodes)

    def apply(self, chef: Chef, node: Node) -> bool:
        """What a request does to the engine, and whether it can be done."""
        if node.organization != "default":
            return False
        if node.key is None:
            chef.nodes.pop(node.name, None)
            return True
        return chef.nodes.setdefault(node.name, node.key) == node.key

    # what must always hold

    ruled("DescribeServers", "DescribeBackups", "DescribeAccountAttributes")

    @invariant()
    def agrees(self) -> None:
        """What the API tells is what the model has, newest first, and the engine knows what it was told."""
        for account in (ACCOUNT, OTHER_ACCOUNT):
            mine = [chef for chef in reversed(self.servers) if chef.account == account]
            told = self.ask("DescribeServers", {}, account)
            assert isinstance(told, dict)
            shown = [(one["ServerName"], one["Status"], one["BackupRetentionCount"]) for one in told["Servers"]]
            assert shown == [(chef.name, chef.status, chef.retention) for chef in mine]
            copies = [copy for copy in reversed(self.copies) if copy.account == account]
            told = self.ask("DescribeBackups", {}, account)
            assert isinstance(told, dict)
            assert [(one["BackupId"], one["Status"]) for one in told["Backups"]] == [
                (copy.backup_id, copy.status) for copy in copies
            ]
            told = self.ask("DescribeAccountAttributes", {}, account)
            assert isinstance(told, dict)
            assert [one["Used"] for one in told["Attributes"]] == [
                len(mine),
                sum(not copy.automated for copy in copies),
            ]
        for chef in self.servers:
            if chef.server_id in self.engine.clients:
                assert self.engine.clients[chef.server_id] == chef.nodes
                assert self.engine.pivotal[chef.server_id] == chef.pivotal
            for node in chef.requests:
                self.told(chef.account, chef.name, node.token)

"""What the tests of OpsWorks CM share: a fake engine and a whole service without a gateway."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from opentrail.aws.http import Reply
from opentrail.clock import Clock, SystemEntropy
from opentrail.errors import OutboundError
from opentrail.events.call import Call
from opentrail.events.record import ServiceEvent
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.opsworks.backup_work import BackupPlaces
from opentrail.opsworks.engine import (
    ENGINE_GONE,
    ENGINE_RESTARTED,
    Engine,
    EngineCall,
    EngineSpec,
    FirstUsers,
    Health,
    HealthState,
    Restoration,
)
from opentrail.opsworks.jobs import JobOptions, Jobs
from opentrail.opsworks.keys import KeyPair, generate_key_pair
from opentrail.opsworks.paging import PageTokens
from opentrail.opsworks.store import OpsWorksStore
from opentrail.services.operation import handlers_of
from opentrail.services.opsworks_cm import OpsWorksCmService, Parts
from opentrail.state.database import Database, Unit
from opentrail.state.sealing import Seal
from opentrail.storage.bucket import ObjectStore
from tests.support.memory_store import MemoryObjectStore

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"
REGION = "us-east-1"
KEY_PAIR: KeyPair = generate_key_pair()
PASSWORD = "Canary_free1"
MODEL = ServiceModel(Loader().load_service_model("opsworkscm", "service-2"))


class SteppingClock:
    """A clock that moves one second at every look at the wall, and not at all otherwise."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self.at += timedelta(seconds=1)
            return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def new_seal() -> Seal:
    """A seal with a key of its own."""
    entropy = SystemEntropy()
    return Seal(entropy.token(32), entropy)


class FakeEngine:
    """An engine whose servers are a directory with one file; faults are set from outside.

    ``problem`` is raised by provision and start, ``bad`` server ids fail their health check, ``gate`` holds provision
    back until it is set, ``entered`` is set once it began. ``clients`` are what is in memory; ``crash`` loses what was
    written since the last ``durably`` ended, ``crashes`` has it happen that often at the ends of such blocks.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.up: set[str] = set()
        self.bad: set[str] = set()
        self.problem: OutboundError | None = None
        self.snapshot_problem: OutboundError | None = None
        self.restore_problem: OutboundError | None = None
        self.restored: dict[str, Restoration] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.users: dict[str, FirstUsers] = {}
        self.clients: dict[str, dict[str, str]] = {}
        self.pivotal: dict[str, str] = {}
        self.client_problem: OutboundError | None = None
        self.crashes = 0
        self.calls: list[EngineCall] = []
        self.answers: dict[tuple[str, str], Reply] = {}
        self.log: list[str] = []

    def describe(self) -> str:
        return "fake 1"

    def provision(self, spec: EngineSpec, users: FirstUsers) -> None:
        self.log.append("provision")
        self.entered.set()
        self.gate.wait(20)
        if self.problem is not None:
            raise self.problem
        directory = self.root / spec.server_id
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "data.bin").write_text(spec.endpoint)
        self.users[spec.server_id] = users
        self.clients[spec.server_id] = {}
        self.pivotal[spec.server_id] = users.pivotal_public_key
        self._freeze(spec.server_id)
        self.up.add(spec.server_id)

    def restore(self, spec: EngineSpec, source: Restoration) -> None:
        self.log.append("restore")
        self.entered.set()
        self.gate.wait(20)
        if self.restore_problem is not None:
            raise self.restore_problem
        directory = self.root / spec.server_id
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(source.directory, directory)
        self.restored[spec.server_id] = source
        self.crash(spec.server_id)
        if not source.keeps_nodes:
            self.clients[spec.server_id] = {}
        self.pivotal[spec.server_id] = source.pivotal_public_key
        self._freeze(spec.server_id)
        self.up.add(spec.server_id)

    def start(self, spec: EngineSpec) -> None:
        if spec.server_id in self.up:
            return
        self.log.append("start")
        if self.problem is not None:
            raise self.problem
        if not (self.root / spec.server_id).exists():
            raise OutboundError(ENGINE_GONE, "the server's files are missing", retryable=False)
        self.crash(spec.server_id)
        self.up.add(spec.server_id)

    def is_up(self, server_id: str) -> bool:
        return server_id in self.up

    def stop(self, server_id: str) -> None:
        if server_id in self.up:
            self._freeze(server_id)
        self.up.discard(server_id)

    def health(self, server_id: str) -> Health:
        if server_id not in self.up:
            return Health(HealthState.DEAD, "The Chef engine's process is not running")
        return Health(HealthState.FAILING, "it says 500") if server_id in self.bad else Health(HealthState.OK)

    @contextmanager
    def durably(self, server_id: str) -> Iterator[None]:
        yield
        if self.crashes:
            self.crashes -= 1
            self.crash(server_id)
            raise OutboundError(ENGINE_RESTARTED, "the engine was restarted")
        self._freeze(server_id)

    def client_key(self, server_id: str, name: str) -> str | None:
        if self.client_problem is not None:
            raise self.client_problem
        return self._running(server_id).get(name)

    def add_client(self, server_id: str, name: str, public_key: str) -> None:
        if name in self._running(server_id):
            raise OutboundError("EngineRefused", "409 Client already exists", retryable=False)
        self.clients[server_id][name] = public_key

    def remove_node(self, server_id: str, name: str) -> None:
        self._running(server_id).pop(name, None)

    def set_pivotal_key(self, server_id: str, public_key: str) -> None:
        if self.client_problem is not None:
            raise self.client_problem
        self._running(server_id)
        self.pivotal[server_id] = public_key

    def crash(self, server_id: str) -> None:
        """End and start again with what was frozen."""
        frozen = self.root / server_id / "frozen.json"
        self.clients[server_id], self.pivotal[server_id] = json.loads(frozen.read_text())

    def _freeze(self, server_id: str) -> None:
        if server_id in self.clients:  # otherwise this engine has not looked at it yet
            text = json.dumps([self.clients[server_id], self.pivotal[server_id]])
            (self.root / server_id / "frozen.json").write_text(text)

    def _running(self, server_id: str) -> dict[str, str]:
        if server_id not in self.up:
            raise OutboundError("NotRunning", "the engine does not run")
        return self.clients[server_id]

    @contextmanager
    def snapshot(self, server_id: str) -> Iterator[Path]:
        if self.snapshot_problem is not None:
            raise self.snapshot_problem
        if not (self.root / server_id).exists():
            raise OutboundError(ENGINE_GONE, "the server's files are missing", retryable=False)
        self._freeze(server_id)
        yield self.root / server_id

    def delete(self, server_id: str) -> None:
        self.log.append("delete")
        self.up.discard(server_id)
        shutil.rmtree(self.root / server_id, ignore_errors=True)

    def call(self, server_id: str, call: EngineCall) -> Reply:
        """What ``answers`` has for a method and path; 404 without a body otherwise."""
        if server_id not in self.up:
            raise OutboundError("NotRunning", "the Chef engine does not run")
        self.calls.append(call)
        return self.answers.get((call.method, call.path), Reply(404, {}, b'{"error":["not found"]}'))

    def server_ids(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir()) if self.root.exists() else []


def call_of(name: str, *, account_id: str = ACCOUNT, region: str = REGION) -> Call:
    """A call by the account's root."""
    return Call(
        request_id="9f4f2ab0-0000-4000-8000-000000000000",
        received_at=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        account_id=account_id,
        region=region,
        principal=Principal(PrincipalType.ROOT, account_id, account_id, f"arn:aws:iam::{account_id}:root"),
        event_source="opsworks-cm.amazonaws.com",
        event_name=name,
        read_only=False,
    )


def create_request(name: str = "automate-06", **members: Any) -> dict[str, Any]:
    """A CreateServer request with what the model requires."""
    return {
        "ServerName": name,
        "Engine": "ChefAutomate",
        "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/aws-opsworks-cm-ec2-role",
        "ServiceRoleArn": "arn:aws:iam::123456789012:role/service-role/aws-opsworks-cm-service-role",
        "InstanceType": "m5.large",
    } | members


def check_against_model(name: str, answer: Mapping[str, Any]) -> None:
    """Fail for an answer with members or types that the operation's output shape does not have."""
    shape = MODEL.operation_model(name).output_shape
    assert shape is not None
    report = ParamValidator().validate(answer, shape)
    assert not report.has_errors(), report.generate_report()


@dataclass
class World:
    """A service, its background and its surroundings. ``ask`` does what the dispatcher does after validation."""

    database: Database
    engine: Engine
    objects: ObjectStore
    scratch: Path
    clock: Clock
    seal: Seal = field(default_factory=new_seal)
    token_key: bytes = b"k" * 32
    interval_s: float = 3600
    make_key_pair: Any = lambda: KEY_PAIR
    registered: list[tuple[str, str, str]] = field(default_factory=list)
    service_events: list[ServiceEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database.create_tables()
        self.store = OpsWorksStore(self.database)
        places = BackupPlaces(self.objects, self.scratch, self._register)
        options = JobOptions(interval_s=self.interval_s)
        entropy = SystemEntropy()
        self.jobs = Jobs(
            self.store,
            self.engine,
            places,
            seal=self.seal,
            clock=self.clock,
            entropy=entropy,
            commit=self._commit,
            options=options,
        )
        parts = Parts(
            store=self.store,
            jobs=self.jobs,
            clock=self.clock,
            entropy=entropy,
            seal=self.seal,
            tokens=PageTokens(self.token_key),
            make_key_pair=self.make_key_pair,
        )
        self.service = OpsWorksCmService(parts)

    def ask(
        self, name: str, request: Mapping[str, Any] | None = None, *, account_id: str = ACCOUNT, region: str = REGION
    ) -> dict[str, Any]:
        """Carry out one operation in a unit of its own where it writes."""
        handler = handlers_of(self.service)[name]
        call = call_of(name, account_id=account_id, region=region)
        if handler.writes:
            with self.database.unit() as unit:
                answer = dict(handler.method(call, request or {}, unit))
        else:
            answer = dict(handler.method(call, request or {}))
        check_against_model(name, answer)
        return answer

    def settle(self, timeout_s: float = 30) -> None:
        """Wait until the background has nothing left to do."""
        assert self.jobs.wait_idle(timeout_s)

    def status(self, name: str = "automate-06") -> str:
        """A server's status as DescribeServers tells it."""
        return str(self.ask("DescribeServers", {"ServerName": name})["Servers"][0]["Status"])

    def messages(self, name: str = "automate-06") -> list[str]:
        """A server's events, newest first."""
        return [event["Message"] for event in self.ask("DescribeEvents", {"ServerName": name})["ServerEvents"]]

    def server_id(self, name: str = "automate-06") -> str:
        """The uuid in a server's ARN."""
        return str(self.ask("DescribeServers", {"ServerName": name})["Servers"][0]["ServerArn"]).rpartition("/")[2]

    def _commit(self, change: Callable[[Unit], Sequence[ServiceEvent]]) -> None:
        with self.database.unit() as unit:
            events = change(unit)
        self.service_events.extend(events)

    def _register(self, unit: Unit, bucket: str, account_id: str, region: str) -> None:
        assert unit.connection.in_transaction()
        self.registered.append((bucket, account_id, region))


@contextmanager
def fake_world(directory: Path, *, database: Database | None = None, start: bool = True) -> Iterator[World]:
    """A world with a fake engine and a store in memory, its background running until the block ends."""
    directory.mkdir(exist_ok=True)
    engine = FakeEngine(directory / "engine")
    world = World(database or Database(None), engine, MemoryObjectStore(), directory, SteppingClock())
    if start:
        world.jobs.start()
    try:
        yield world
    finally:
        engine.gate.set()
        world.jobs.stop()

"""The part of OpenTrail that needs no servers: HOME, state, identities, journal, recording and the dispatcher.

``up`` builds on it; commands that find no running gateway open it by themselves.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from opentrail.app.internal import RecordedInternally
from opentrail.app.meters import Meters
from opentrail.aws.http import Reply
from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import protocol_of
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.backup.snapshot import Snapshots
from opentrail.clock import Clock, Entropy
from opentrail.config import Settings
from opentrail.errors import ApiError, ConfigError
from opentrail.events.call import Call, Outcome
from opentrail.events.classify import is_read_only
from opentrail.events.record import ServiceEvent
from opentrail.events.selectors import Category
from opentrail.events.selectors_facts import category_of, facts_of_call, facts_of_service_event
from opentrail.gateway.authorise import authorise
from opentrail.gateway.dispatch import Dispatcher, Hosted, Throttle, appending
from opentrail.gateway.permissions import FindResource, Resource
from opentrail.gateway.recording import Recording
from opentrail.identity import unique_ids
from opentrail.identity.buckets import Buckets
from opentrail.identity.principal import Principal
from opentrail.identity.sealing_keys import SealingKeys
from opentrail.identity.session_tokens import SessionTokens
from opentrail.identity.store import Identities, KeyOwner
from opentrail.journal import Doors, Journal, JournalOptions, intents, outbox
from opentrail.kms.store import Keys
from opentrail.organizations.store import Organizations
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID, DEFAULT_REGION
from opentrail.services.opentrail import MODEL_PATH
from opentrail.services.opentrail.backups import BackupService
from opentrail.services.opentrail.service import OpenTrailService
from opentrail.services.opentrail.simulation import PolicySimulation
from opentrail.state.database import Database, Unit
from opentrail.state.home import Home, HomeLock
from opentrail.state.migrations import prepare
from opentrail.state.private_files import write_private
from opentrail.state.sealing import Seal
from opentrail.trails.routing import routes
from opentrail.trails.store import Trails
from opentrail.trails.trail_set import TrailSet
from opentrail.version import __version__

log = logging.getLogger(__name__)

_SEGMENTS_KEPT_FREE = 4
"""So many segments of the journal find room on HOME's disk while a backup lies there."""


@dataclass(frozen=True, slots=True)
class World:
    """Where a process takes its settings, time and randomness from."""

    home: Home
    settings: Settings
    clock: Clock
    entropy: Entropy


def _complain(reason: str) -> None:
    log.critical("the journal failed: %s", reason)


class Core:
    """Everything that stands between a call and its durable record, without the servers around it."""

    def __init__(
        self,
        world: World,
        *,
        accept_damage: bool = False,
        on_journal_failure: Callable[[str], None] = _complain,
        meters: Meters | None = None,
    ) -> None:
        """Open HOME, whose lock the caller holds; a new one is made ready. ``meters`` count what happens.

        Raises ConfigError (HOME cannot be used), IntegrityError (the journal is damaged), JournalError.
        """
        self.world = world
        home = world.home
        home.database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        prepare(home)
        self.database = Database(home.database)
        self.database.create_tables()
        self.seal = Seal.at(home.sealing_key, world.entropy)
        self.identities = Identities(self.database, self.seal, world.entropy)
        _ensure_root(self)
        rotate_s = world.settings.sts.key_rotation_s
        self.sealing_keys = SealingKeys(self.database, self.seal, world.clock, world.entropy, rotate_s=rotate_s)
        self.tokens = SessionTokens(self.sealing_keys)
        self.catalogue = Catalogue([MODEL_PATH])
        self.organizations = Organizations(self.database)
        self.identities.directory.ask_organizations(self.organizations.principal_keys)
        self.trails = Trails(self.database, self.organizations)
        self.buckets = Buckets(self.database)
        self.keys = Keys(self.database, self.seal)
        options = JournalOptions(segment_bytes=world.settings.journal.segment_bytes)
        meters = meters or Meters()
        doors = Doors(files=meters.files, entropy=world.entropy, on_failure=on_journal_failure)
        self.journal = Journal.open(home.journal, options, accept_damage=accept_damage, doors=doors)
        self.recording = Recording(self.journal, world.clock, world.entropy, self._routes, count=meters.calls)
        self.internal = RecordedInternally(self.journal, self.recording, world.clock, world.entropy, self._event_routes)
        self.drain = outbox.OutboxDrain()
        self.dispatcher = Dispatcher(
            self.database,
            self.journal,
            self.recording,
            world.clock,
            authorise=self.authorise,
            drain=self.drain,
            new_routes=self._new_routes,
        )
        self.hosted: dict[str, Hosted] = {}
        self.finders: dict[str, FindResource] = {}
        simulation = PolicySimulation(self.identities.directory, self.buckets, DEFAULT_ACCOUNT_ID)
        self.host("opentrail", OpenTrailService(self.identities, DEFAULT_ACCOUNT_ID), {})
        self.snapshots = Snapshots(
            home, self.journal, world.clock, world.entropy, kept_free_bytes=_SEGMENTS_KEPT_FREE * options.segment_bytes
        )
        backups = BackupService(self.snapshots, DEFAULT_ACCOUNT_ID)
        self.hosted["opentrail"] = self.hosted["opentrail"].joined_by(simulation).joined_by(backups)
        replayed = outbox.replay(self.database, self.journal)
        if replayed:
            log.warning(
                "%d records were committed with their changes but not in the journal yet; they are now", replayed
            )
        unknown = intents.recover(self.database, self.journal)
        if unknown:
            calls = "1 call was" if unknown == 1 else f"{unknown} calls were"
            log.warning("%s under way to an upstream when OpenTrail stopped: recorded with an unknown outcome", calls)
        self._report_recovery()

    def host(
        self,
        name: str,
        implementation: object,
        unsupported: Mapping[str, str],
        *,
        open_to_all: frozenset[str] = frozenset(),
        unsigned: frozenset[str] = frozenset(),
        throttle: Throttle | None = None,
    ) -> None:
        """Serve a service by its botocore name; the rest as for ``Hosted.of``."""
        service = self.catalogue.service(name)
        self.hosted[name] = Hosted.of(
            service,
            protocol_of(service),
            implementation,
            unsupported,
            open_to_all=open_to_all,
            unsigned=unsigned,
            throttle=throttle,
        )

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out a call as the default account's root, as a command on this machine. Raises ApiError."""
        hosted = self.hosted[service]
        call = Call(
            request_id=self.world.entropy.uuid(),
            received_at=self.world.clock.now(),
            account_id=DEFAULT_ACCOUNT_ID,
            region=DEFAULT_REGION,
            principal=self._root(),
            event_source=hosted.service.event_source,
            event_name=operation,
            read_only=is_read_only(hosted.service.event_source, operation),
            operation=hosted.service.operation(operation),
            parameters=parameters,
            source_ip="127.0.0.1",
            user_agent=f"opentrail-cli/{__version__}",
        )
        reply, error = self.carry_out(service, call)
        if error is not None:
            raise ApiError(error.code, error.message, status=reply.status)
        answer: dict[str, Any] = orjson.loads(reply.body or b"{}")
        return answer

    def carry_out(self, service: str, call: Call) -> tuple[Reply, ErrorText | None]:
        """Carry out a parsed call to a service of ours, on a thread of one's own: its answer, and the error in it.

        Raises JournalError where the record is nowhere on disk: a refusal's, or a read's.
        """
        hosted = self.hosted[service]
        executed = self.dispatcher.execute(hosted, call)
        with appending(executed, self.drain.appended):
            if executed.drafts:
                self.journal.append(executed.drafts).result()
        reply = executed.reply
        return reply, None if reply.status == 200 else hosted.wire.read_error(hosted.service, reply)

    def commit(self, change: Callable[[Unit], Sequence[ServiceEvent]]) -> None:
        """Make a change of our own and the service events that tell of it durable together; none, where none happened.

        Raises JournalError where the events are not in the journal yet: they are in the outbox then, and the change
        stands.
        """
        with self.database.unit() as unit:
            drafts = [self.internal.draft(event) for event in change(unit)]
            if not drafts:
                return
            self.drain.sweep(unit)
            row = outbox.add(unit, drafts, self.journal.next_sequence)
        self.journal.append(drafts).result()
        self.drain.appended(row)

    def close(self) -> None:
        """Close the journal and the database."""
        self.journal.close()
        with self.database.unit() as unit:
            self.drain.sweep(unit)
        self.database.close()

    def _root(self) -> Principal:
        key = _read_root_key(self.world.home)
        credential = self.identities.credential(key[0])
        if credential is None:
            raise ConfigError(f"the key in {self.world.home.credentials} is not known to this HOME's state")
        return credential.principal

    def authorise(self, call: Call) -> None:
        """Raises ApiError where the caller's policies do not allow a call to a service of ours."""
        authorise(call, self.identities.directory, find=self._find)

    def _find(self, kind: str, account_id: str, region: str, name: str) -> Resource | None:
        """What a service knows of one of its resources; ``finders`` holds one look-up for each kind."""
        finder = self.finders.get(kind)
        return finder(kind, account_id, region, name) if finder else None

    def _event_routes(self, event: ServiceEvent) -> tuple[str, ...]:
        return routes(
            self.trails.snapshot,
            account_id=event.account_id,
            region=event.region,
            event_source=event.event_source,
            event_category=Category.MANAGEMENT,
            facts=lambda: facts_of_service_event(event),
        )

    def _routes(self, call: Call, outcome: Outcome, recipient: str) -> tuple[str, ...]:
        return _routes_of(self.trails.snapshot, call, outcome, recipient)

    def _new_routes(self, unit: Unit, call: Call) -> tuple[str, ...]:
        """The trails that take a call's record once this unit is committed: StartLogging is in the trail it starts,
        and PutEventSelectors in the one that it makes listen.
        """
        if call.event_source != "cloudtrail.amazonaws.com":
            return ()
        succeeded = Outcome(completed_at=call.received_at)
        return _routes_of(self.trails.within(unit), call, succeeded, call.account_id)

    def _report_recovery(self) -> None:
        """Accepted damage leaves a record, in the default account's trails."""
        report = self.journal.recovery
        if report.cut_bytes:
            log.warning(
                "the journal's tail was torn by the last stop: %d bytes that nobody was told of were cut",
                report.cut_bytes,
            )
        if not report.damages:
            return
        event = ServiceEvent(
            event_source="opentrail.amazonaws.com",
            event_name="JournalDamageAccepted",
            account_id=DEFAULT_ACCOUNT_ID,
            region=DEFAULT_REGION,
            occurred_at=self.world.clock.now(),
            details={"damage": [str(item) for item in report.damages]},
        )
        self.internal.happened(event)


def _routes_of(snapshot: TrailSet, call: Call, outcome: Outcome, recipient: str) -> tuple[str, ...]:
    return routes(
        snapshot,
        account_id=recipient,
        region=call.region,
        event_source=call.event_source,
        event_category=category_of(call),
        facts=lambda: facts_of_call(call, outcome, recipient),
    )


@contextmanager
def open_offline(world: World, lock: HomeLock) -> Iterator[Core]:
    """A core for one command, while no gateway runs on this HOME."""
    core = Core(world)
    try:
        yield core
    finally:
        core.close()
        lock.release()


def _ensure_root(core: Core) -> None:
    """The default account and its root key; made at first start, the file before the row, so that a crash between
    leaves a file whose key is simply imported."""
    home, entropy = core.world.home, core.world.entropy
    if not home.credentials.exists():
        key, secret = unique_ids.access_key_id(entropy), unique_ids.secret_access_key(entropy)
        text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        write_private(home.credentials, text.encode())
    key, secret = _read_root_key(home)
    if core.identities.credential(key) is not None:
        return
    now = core.world.clock.now()
    with core.database.unit() as unit:
        if not any(account.account_id == DEFAULT_ACCOUNT_ID for account in core.identities.list_accounts()):
            core.identities.create_account(unit, DEFAULT_ACCOUNT_ID, "default", now)
        core.identities.import_key(unit, DEFAULT_ACCOUNT_ID, KeyOwner.root(), (key, secret), at=now)


def _read_root_key(home: Home) -> tuple[str, str]:
    """Raises ConfigError where the file cannot be read."""
    key = home.root_key()
    if key is None:
        raise ConfigError(f"{home.credentials} does not hold an access key in AWS's form")
    return key

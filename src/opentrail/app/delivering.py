"""Delivery put together: the courier for log files, the notary for digest files with the key pairs that sign them, the
chronicler for log groups, and the herald for event buses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentrail.app.core import Core
from opentrail.delivery.bus_entries import Choice
from opentrail.delivery.carrier import DeliveryOptions
from opentrail.delivery.chronicler import LOGS, Chronicler
from opentrail.delivery.courier import Courier
from opentrail.delivery.deposits import Deposits
from opentrail.delivery.digest import time_text
from opentrail.delivery.herald import BUSES, EventBus, Herald, retire
from opentrail.delivery.keyring import Keyring, SigningKey
from opentrail.delivery.notary import Notary, NotaryOptions
from opentrail.delivery.stretches import Stretches
from opentrail.events.record import ServiceEvent
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID
from opentrail.state.database import Unit
from opentrail.storage.bucket import ObjectStore
from opentrail.trails.bucket_access import BucketPolicyMode
from opentrail.trails.log_groups import LogGroups
from opentrail.trails.notification import Publisher


@dataclass(frozen=True, slots=True)
class Delivery:
    """What carries evidence to the buckets, to trails' log groups and to event buses."""

    courier: Courier
    notary: Notary
    chronicler: Chronicler
    stretches: Stretches
    herald: Herald | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self.courier.start()
        self.notary.start()
        self.chronicler.start()
        if self.herald is not None:
            self.herald.start()

    def stop(self, deadline_s: float) -> None:
        """Finish the puts under way, at most until the deadline for each part, and start no more."""
        self.notary.stop(deadline_s)
        self.courier.stop(deadline_s)
        self.chronicler.stop(deadline_s)
        if self.herald is not None:
            self.herald.stop(deadline_s)

    def waiting_since(self) -> Mapping[str, datetime | None]:
        """Since when log groups and event buses miss records; None where they miss none."""
        return {"logs": self.stretches.waiting_since(LOGS), "event_bus": self.stretches.waiting_since(BUSES)}

    def problems(self) -> tuple[tuple[str, str | None], ...]:
        """What stands still, in words with a place for the reason, and the reason where it does."""
        return (
            ("delivery stands still: {}", self.courier.lag.failure),
            ("digest files stand still: {}", self.notary.failure),
        )


def open_keyring(core: Core) -> Keyring:
    """The key pairs that sign digest files; a new one is recorded in the default account, whose OpenTrail this is."""

    def commit(region: str, key: SigningKey, store: Callable[[Unit], None]) -> None:
        def change(unit: Unit) -> list[ServiceEvent]:
            store(unit)
            return [_new_key(core, region, key)]

        core.commit(change)

    validity = timedelta(seconds=core.world.settings.delivery.digest_key_validity_s)
    return Keyring(core.database, core.seal, core.world.clock, commit, validity=validity)


def open_delivery(
    core: Core,
    store: ObjectStore,
    keyring: Keyring,
    *,
    publisher: Publisher,
    log_groups: LogGroups,
    bus: EventBus,
    accept_damage: bool,
) -> Delivery:
    """Everything that delivers for a core, over an object store; nothing is read or put yet."""
    settings, clock = core.world.settings, core.world.clock
    courier = _open_courier(core, store, publisher, accept_damage=accept_damage)
    notary = Notary(
        journal=core.journal,
        database=core.database,
        trails=core.trails,
        deposits=Deposits(store, core.buckets, BucketPolicyMode(settings.trails.bucket_policy), core.keys),
        keyring=keyring,
        deliveries=courier,
        clock=clock,
        options=NotaryOptions(interval_s=settings.delivery.digest_interval_s),
    )
    chronicler = Chronicler(
        journal=core.journal,
        database=core.database,
        trails=core.trails,
        identities=core.identities.directory,
        groups=log_groups,
        clock=clock,
    )
    return Delivery(courier, notary, chronicler, Stretches(core.database), _open_herald(core, bus))


def _open_courier(core: Core, store: ObjectStore, publisher: Publisher, *, accept_damage: bool) -> Courier:
    settings = core.world.settings
    return Courier(
        journal=core.journal,
        database=core.database,
        trails=core.trails,
        store=store,
        buckets=core.buckets,
        clock=core.world.clock,
        entropy=core.world.entropy,
        drain=core.drain,
        publisher=publisher,
        keys=core.keys,
        options=DeliveryOptions(
            interval_s=settings.delivery.interval_s,
            max_bytes=settings.delivery.max_bytes,
            bucket_policy=BucketPolicyMode(settings.trails.bucket_policy),
            accept_damage=accept_damage,
        ),
    )


def _open_herald(core: Core, bus: EventBus) -> Herald | None:
    """The herald, where event buses are to be told."""
    settings = core.world.settings.delivery
    if not settings.event_bus:
        retire(core.database)
        return None
    return Herald(
        journal=core.journal,
        database=core.database,
        trails=core.trails,
        bus=bus,
        clock=core.world.clock,
        choice=Choice(read_only=settings.event_bus_read_only, source=settings.event_bus_source),
    )


def _new_key(core: Core, region: str, key: SigningKey) -> ServiceEvent:
    """The record of a new key pair, in the form of KMS's RotateKey (cloudtrail fact sheet 1.9)."""
    return ServiceEvent(
        event_source="opentrail.amazonaws.com",
        event_name="CreateDigestKey",
        account_id=DEFAULT_ACCOUNT_ID,
        region=region,
        occurred_at=core.world.clock.now(),
        details={
            "fingerprint": key.fingerprint,
            "validityStartTime": time_text(key.valid_from),
            "validityEndTime": time_text(key.valid_until),
        },
    )

"""What runs behind the gateway, put together and started in order: upstreams, the object store, the services of ours,
delivery, Chef servers, lifecycle rules.

Everything that is started here is stopped by the stack that it is given, in the opposite order.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from opentrail.app.callers import host_identity_services
from opentrail.app.chef import open_chef
from opentrail.app.core import Core
from opentrail.app.delivering import Delivery, open_delivery, open_keyring
from opentrail.app.event_bus import UpstreamEventBus
from opentrail.app.kms import host_key_service, open_private_kms, trail_keys
from opentrail.app.lifecycle import open_lifecycle
from opentrail.app.log_groups import UpstreamLogGroups
from opentrail.app.meters import Meters
from opentrail.app.metrics import UpstreamState
from opentrail.app.notifications import Notifications, open_notifications
from opentrail.app.object_storage import ObjectStorage, open_object_storage
from opentrail.app.organizations import host_organizations
from opentrail.app.recorded_store import RecordedStore
from opentrail.app.resources import trail_finder
from opentrail.app.tagging import host_tagging
from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.app.upstreams import EMBEDDED, BehindUs
from opentrail.delivery.keyring import Keyring
from opentrail.lifecycle.worker import LifecycleWorker
from opentrail.local.seaweedfs_files import KeyServer
from opentrail.processes.supervisor import Supervisor
from opentrail.services.cloudtrail.refusals import UNSUPPORTED as CLOUDTRAIL_UNSUPPORTED
from opentrail.services.cloudtrail.service import CloudTrailService
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.services.opsworks_cm import UNSUPPORTED as OPSWORKS_CM_UNSUPPORTED
from opentrail.trails.bucket_access import BucketPolicyMode
from opentrail.trails.log_groups import LogGroups
from opentrail.trails.notification import Publisher

CLOUDTRAIL = "cloudtrail.amazonaws.com"
"""The service principal that CloudTrail's own calls to S3 are recorded under."""

_STOP_DELIVERY_S = 15.0
_STOP_LIFECYCLE_S = 15.0


@dataclass(frozen=True, slots=True)
class Workers:
    """What runs behind the gateway."""

    core: Core
    storage: ObjectStorage
    delivery: Delivery
    behind: BehindUs
    calls: UpstreamCalls
    notifications: Notifications
    lifecycle: LifecycleWorker | None

    def reasons(self) -> list[str]:
        """Why calls cannot be served, or evidence cannot move on, at the moment."""
        journal = self.core.journal
        found = [
            ("the journal failed: {}", journal.failure),
            ("the journal cannot grow: {}", journal.problem),
            *self.delivery.problems(),
            ("{}", self.storage.problem()),
        ]
        return [text.format(reason) for text, reason in found if reason]

    def upstream_states(self) -> list[UpstreamState]:
        """The servers behind us: those that we run ourselves are up when they say so, others when the last call says
        so.
        """
        problems = {EMBEDDED: self.behind.problem(), "s3": self.storage.problem()}
        clients = {"s3": self.storage.upstream} | {one.name: one.upstream for one in self.behind.upstreams.every}
        return [
            UpstreamState(
                name,
                is_up=client.is_up and problems.get(name) is None,
                in_flight=client.in_flight,
                errors=client.errors,
            )
            for name, client in clients.items()
        ]


def open_workers(
    core: Core, supervisor: Supervisor, stack: ExitStack, *, url: str, meters: Meters, accept_damage: bool
) -> Workers:
    """Open and start them. ``url``: where the gateway is going to answer.

    Raises what starting the parts raises: ConfigError, OutboundError, IntegrityError.
    """
    behind = BehindUs(core.world, core.catalogue, supervisor)
    behind.start()
    stack.callback(behind.stop)
    serves_kms = host_key_service(core)
    storage = open_object_storage(core.world, supervisor, _key_server(core, stack) if serves_kms else None)
    stack.callback(storage.stop)
    calls = UpstreamCalls(behind.upstreams, core.catalogue)
    notifications = open_notifications(core, calls, url)
    log_groups = UpstreamLogGroups(calls, core.internal)
    keyring = open_keyring(core)
    keys = trail_keys(core) if serves_kms and storage.is_embedded else None
    _host_cloudtrail(core, storage, keyring, notifications.publisher, log_groups, keys)
    host_identity_services(core)
    host_organizations(core)
    delivery = open_delivery(
        core,
        storage.store,
        keyring,
        publisher=notifications.publisher,
        log_groups=log_groups,
        bus=UpstreamEventBus(calls),
        accept_damage=accept_damage,
    )
    chef = open_chef(core, supervisor, storage, url, meters.chef)
    core.host("opsworkscm", chef.service, OPSWORKS_CM_UNSUPPORTED, throttle=chef.throttle.admit)
    host_tagging(core, calls)
    stack.callback(chef.stop)
    chef.start()
    delivery.start()
    stack.callback(delivery.stop, _STOP_DELIVERY_S)
    lifecycle = open_lifecycle(core, storage)
    if lifecycle is not None:
        lifecycle.start()
        stack.callback(lifecycle.stop, _STOP_LIFECYCLE_S)
    return Workers(core, storage, delivery, behind, calls, notifications, lifecycle)


def _host_cloudtrail(
    core: Core,
    storage: ObjectStorage,
    keyring: Keyring,
    publisher: Publisher,
    log_groups: LogGroups,
    keys: TrailKeys | None,
) -> None:
    service = CloudTrailService(
        trails=core.trails,
        organizations=core.organizations,
        buckets=core.buckets,
        store=RecordedStore(storage.store, core.internal, core.buckets, CLOUDTRAIL, probe="GetBucketAcl"),
        quiet_store=storage.store,
        keys=keyring,
        clock=core.world.clock,
        entropy=core.world.entropy,
        mode=BucketPolicyMode(core.world.settings.trails.bucket_policy),
        publisher=publisher,
        trail_keys=keys,
        identities=core.identities.directory,
        log_groups=log_groups,
    )
    core.host("cloudtrail", service, CLOUDTRAIL_UNSUPPORTED)
    core.finders["trail"] = trail_finder(core.trails)


def _key_server(core: Core, stack: ExitStack) -> KeyServer | None:
    """Start the KMS that the embedded object store calls; a foreign one has its own."""
    if core.world.settings.upstream_s3.endpoint:
        return None
    private = open_private_kms(core)
    private.start()
    stack.callback(private.stop)
    return KeyServer(private.endpoint, private.key.access_key_id, private.key.secret_access_key)

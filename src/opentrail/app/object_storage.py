"""The S3 server behind us: the embedded SeaweedFS, or whatever ``[upstream.s3]`` names."""

from collections.abc import Callable
from dataclasses import dataclass

from opentrail.app.core import World
from opentrail.app.upstream_credentials import target_settings
from opentrail.config import UpstreamSettings as UpstreamSection
from opentrail.gateway.upstream import Upstream, UpstreamSettings
from opentrail.local.seaweedfs import CHILD_NAME, SeaweedFS
from opentrail.local.seaweedfs_files import KeyServer
from opentrail.local.seaweedfs_limits import MISUNDERSTOOD
from opentrail.processes.supervisor import Supervisor
from opentrail.services.defaults import DEFAULT_REGION
from opentrail.storage.bucket import S3ObjectStore


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    """One S3 server, seen by the door (``upstream``) and by our own workers (``store``).

    ``problem`` says why it cannot be used at the moment; ``stop`` ends it in order. Both are about the embedded server.
    ``not_served`` are S3 operations that the server would take for others; ``is_embedded``: we start it.
    """

    upstream: Upstream
    store: S3ObjectStore
    problem: Callable[[], str | None]
    stop: Callable[[], None]
    not_served: frozenset[str] = frozenset()
    is_embedded: bool = False

    def reconfigure(self, settings: UpstreamSection) -> None:
        """Call the server of ``[upstream.s3]`` with these settings from now on; the embedded one stays as it is.

        Raises ConfigError where credentials cannot be read, and then nothing has changed.
        """
        if settings.endpoint:
            where = target_settings(settings, region=settings.region or DEFAULT_REGION)
            self.upstream.reconfigure(where)
            self.store.reconfigure(where.endpoint, where.region, where.access_key_id, where.secret_access_key)


def open_object_storage(world: World, supervisor: Supervisor, key_server: KeyServer | None = None) -> ObjectStorage:
    """Start or find the S3 server; the embedded one takes KMS keys from ``key_server``.

    Raises ConfigError (credentials), OutboundError (it does not come up).
    """
    settings = world.settings.upstream_s3
    if not settings.endpoint:
        return _embedded(world, supervisor, key_server)
    where = target_settings(settings, region=settings.region or DEFAULT_REGION)
    upstream = Upstream(where, world.clock)
    store = S3ObjectStore(where.endpoint, where.region, where.access_key_id, where.secret_access_key)
    return ObjectStorage(upstream, store, lambda: None, lambda: None)


def _embedded(world: World, supervisor: Supervisor, key_server: KeyServer | None) -> ObjectStorage:
    seaweed = SeaweedFS(world.home.seaweedfs, supervisor, world.entropy, key_server)
    seaweed.start()
    where = UpstreamSettings(seaweed.endpoint, seaweed.region, seaweed.access_key_id, seaweed.secret_access_key)

    def problem() -> str | None:
        child = supervisor.child(CHILD_NAME)
        return (
            None if child is not None and child.is_alive() else "the embedded S3 server is down; it is being restarted"
        )

    return ObjectStorage(
        Upstream(where, world.clock), seaweed.store(), problem, seaweed.stop, MISUNDERSTOOD, is_embedded=True
    )

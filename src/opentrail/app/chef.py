"""OpsWorks CM put together: its state, its engine, its background work, its API and the door for Chef clients."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from opentrail.app.core import Core
from opentrail.app.object_storage import ObjectStorage
from opentrail.app.recorded_store import RecordedStore
from opentrail.app.resources import resource_finders
from opentrail.config import OpsworksSettings
from opentrail.errors import ConfigError
from opentrail.gateway.chef_front import ChefFront, ChefHandler
from opentrail.gateway.chef_tls import ChefTls
from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.authority import open_authority
from opentrail.opsworks.backup_work import BackupPlaces
from opentrail.opsworks.endpoints import HTTPS_PORT, EndpointRule
from opentrail.opsworks.engine import Engine
from opentrail.opsworks.external import ExternalChef
from opentrail.opsworks.external_api import ExternalApi, ExternalServer
from opentrail.opsworks.front.door import ChefDoor
from opentrail.opsworks.front.file_links import FileLinks
from opentrail.opsworks.front.places import Places
from opentrail.opsworks.goiardi import BINARY, Goiardi
from opentrail.opsworks.jobs import JobOptions, Jobs
from opentrail.opsworks.paging import PageTokens
from opentrail.opsworks.store import OpsWorksStore
from opentrail.opsworks.throttling import Throttle
from opentrail.processes.supervisor import Supervisor
from opentrail.services.opsworks_cm.parts import Parts, Quotas
from opentrail.services.opsworks_cm.service import OpsWorksCmService
from opentrail.state.authorities import Authority
from opentrail.state.database import Unit
from opentrail.state.private_files import write_private

SERVICE = "opsworks-cm.amazonaws.com"
"""The service principal that OpsWorks CM's own calls to S3 are recorded under."""

EXTERNAL = "external"
"""The setting ``opsworks.engine`` for a Chef server of somebody else's."""

_TOKEN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Chef:
    """The service, the jobs behind it, what counts its calls, and the door that lets Chef clients in."""

    service: OpsWorksCmService
    jobs: Jobs
    store: OpsWorksStore
    throttle: Throttle
    front: ChefFront
    shared: tuple[str, int] | None
    has_doors: bool

    def start(self) -> None:
        """Let clients in, and go on with what was begun. Raises ConfigError where the shared port is taken."""
        try:
            self.front.start(self.shared)
        except OSError as problem:
            host, port = self.shared or ("", 0)
            raise ConfigError(f"opsworks.front_port: cannot listen on {host}:{port}: {problem.strerror}") from problem
        if self.has_doors:
            with self.store.database.read() as connection:
                servers = self.store.all_servers(connection)
            for server in servers:  # before any engine takes a port; what is wrong, health checks tell
                self.front.open(server)
        self.jobs.start()

    def stop(self) -> None:
        """Let nobody in any more, then stop the servers."""
        self.front.stop()
        self.jobs.stop()


def open_chef(
    core: Core, supervisor: Supervisor, storage: ObjectStorage, url: str, count: Callable[[int], None]
) -> Chef:
    """Put OpsWorks CM together; nothing runs until ``start()``. ``url`` is where callers reach us, S3 included;
    ``count`` gets each status that Chef clients get.
    """
    world = core.world
    clock, entropy = world.clock, world.entropy
    store = OpsWorksStore(core.database)

    def register_bucket(unit: Unit, bucket: str, account_id: str, region: str) -> None:
        core.buckets.create(unit, bucket, account_id, region, clock.now())

    objects = RecordedStore(storage.store, core.internal, core.buckets, SERVICE)
    places = BackupPlaces(objects, world.home.opsworks / "staging", register_bucket)
    settings = world.settings.opsworks
    engine = _engine(core, supervisor)
    options = JobOptions(settings.health_interval_s, is_scheduled=settings.engine != EXTERNAL)
    authority = _authority(core)
    front = _front(core, engine, authority, count)
    jobs = Jobs(
        store,
        engine,
        places,
        seal=core.seal,
        clock=clock,
        entropy=entropy,
        commit=core.commit,
        options=options,
        doors=None if settings.engine == EXTERNAL else front,
    )
    parts = Parts(
        store=store,
        jobs=jobs,
        clock=clock,
        entropy=entropy,
        seal=core.seal,
        tokens=PageTokens(_token_key(core)),
        s3_url=url,
        quotas=Quotas(settings.server_limit, settings.manual_backup_limit),
        endpoints=_endpoints(settings, front),
        scheme=_scheme(settings),
        authority_pem=_trusted(settings, authority),
    )
    for kind, finder in resource_finders(store).items():
        core.finders[kind] = finder
    shared = (settings.front_host, settings.front_port) if settings.front_port else None
    throttle = Throttle(settings.requests_per_s, clock)
    has_doors = settings.engine != EXTERNAL
    return Chef(OpsWorksCmService(parts), jobs, store, throttle, front, shared, has_doors=has_doors)


def _authority(core: Core) -> Authority:
    """The authority of the door's certificates; what clients must trust lies in HOME, where they find it."""
    authority = open_authority(core.database, core.seal, core.world.clock.now())
    write_private(core.world.home.chef_authority, authority.certificate_pem)
    return authority


def _front(core: Core, engine: Engine, authority: Authority, count: Callable[[int], None]) -> ChefFront:
    world, settings = core.world, core.world.settings
    clock, entropy = world.clock, world.entropy
    places = Places(core.database, core.seal)
    links = FileLinks(entropy.token(_TOKEN_KEY_BYTES))
    door = ChefDoor(engine, places, links, clock, scheme=_scheme(settings.opsworks))
    handler = ChefHandler(door, count)
    tls = ChefTls(authority, places, clock, world.home.run).context if settings.opsworks.tls else None
    return ChefFront(handler, tls, clock, entropy)


def _engine(core: Core, supervisor: Supervisor) -> Engine:
    """The driver that the settings name. Raises ConfigError where the external server's key cannot be read."""
    world, settings = core.world, core.world.settings.opsworks
    if settings.engine != EXTERNAL:
        binary = str(goiardi_binary() or BINARY)
        return Goiardi(world.home.opsworks, supervisor, world.clock, world.entropy, binary=binary)
    try:
        key = load_pem_private_key(Path(settings.external_key).read_bytes(), None)
    except (OSError, ValueError, TypeError) as problem:
        text = f"opsworks.external_key: no unencrypted private key can be read from {settings.external_key}"
        raise ConfigError(text) from problem
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError("opsworks.external_key must hold an RSA key")
    server = ExternalServer(_external_host(settings), settings.external_user, key, settings.external_ca)
    return ExternalChef(world.home.opsworks, ExternalApi(server, world.clock))


def _endpoints(settings: OpsworksSettings, front: ChefFront) -> EndpointRule:
    if settings.engine == EXTERNAL:
        return EndpointRule(fixed=_external_host(settings))
    return EndpointRule(settings.domain, settings.front_port or HTTPS_PORT, front.choose_port)


def _trusted(settings: OpsworksSettings, authority: Authority) -> str:
    """What clients must trust, besides the system's authorities. Raises ConfigError where it cannot be read."""
    if settings.engine != EXTERNAL:
        return authority.certificate_pem if settings.tls else ""
    try:
        return Path(settings.external_ca).read_text("ascii") if settings.external_ca else ""
    except (OSError, ValueError) as problem:
        raise ConfigError(f"opsworks.external_ca: {settings.external_ca} cannot be read") from problem


def _external_host(settings: OpsworksSettings) -> str:
    return settings.external_url.removeprefix("https://").rstrip("/")


def _scheme(settings: OpsworksSettings) -> str:
    return "https" if settings.tls or settings.engine == EXTERNAL else "http"


def _token_key(core: Core) -> bytes:
    """The key of paging tokens, made at first use."""
    path = core.world.home.token_key
    if not path.exists():
        write_private(path, core.world.entropy.token(_TOKEN_KEY_BYTES))
    return path.read_bytes()

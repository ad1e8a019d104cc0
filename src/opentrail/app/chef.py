"""OpsWorks CM put together: its state, its engine, its background work and its API."""

from dataclasses import dataclass

from opentrail.app.core import Core
from opentrail.app.object_storage import ObjectStorage
from opentrail.app.recorded_store import RecordedStore
from opentrail.app.resources import resource_finders
from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.backup_work import BackupPlaces
from opentrail.opsworks.goiardi import BINARY, Goiardi
from opentrail.opsworks.jobs import JobOptions, Jobs
from opentrail.opsworks.paging import PageTokens
from opentrail.opsworks.store import OpsWorksStore
from opentrail.processes.supervisor import Supervisor
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.services.opsworks_cm.service import OpsWorksCmService
from opentrail.state.database import Unit
from opentrail.state.private_files import write_private

SERVICE = "opsworks-cm.amazonaws.com"
"""The service principal that OpsWorks CM's own calls to S3 are recorded under."""

_TOKEN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Chef:
    """The service and the jobs behind it."""

    service: OpsWorksCmService
    jobs: Jobs


def open_chef(core: Core, supervisor: Supervisor, storage: ObjectStorage) -> Chef:
    """Put OpsWorks CM together; nothing runs until ``jobs.start()``."""
    world = core.world
    clock, entropy = world.clock, world.entropy
    store = OpsWorksStore(core.database)

    def register_bucket(unit: Unit, bucket: str, account_id: str, region: str) -> None:
        core.buckets.create(unit, bucket, account_id, region, clock.now())

    objects = RecordedStore(storage.store, core.internal, core.buckets, SERVICE)
    places = BackupPlaces(objects, world.home.opsworks / "staging", register_bucket)
    engine = Goiardi(world.home.opsworks, supervisor, clock, entropy, binary=str(goiardi_binary() or BINARY))
    options = JobOptions(world.settings.opsworks.health_interval_s)
    jobs = Jobs(store, engine, places, seal=core.seal, clock=clock, entropy=entropy, options=options)
    parts = Parts(
        store=store, jobs=jobs, clock=clock, entropy=entropy, seal=core.seal, tokens=PageTokens(_token_key(core))
    )
    for kind, finder in resource_finders(store).items():
        core.finders[kind] = finder
    return Chef(OpsWorksCmService(parts), jobs)


def _token_key(core: Core) -> bytes:
    """The key of paging tokens, made at first use."""
    path = core.world.home.token_key
    if not path.exists():
        write_private(path, core.world.entropy.token(_TOKEN_KEY_BYTES))
    return path.read_bytes()

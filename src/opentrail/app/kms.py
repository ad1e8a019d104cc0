"""KMS put together: its keys, its API, and what it does by the clock."""

import asyncio
import logging
from datetime import datetime

from opentrail.app.core import Core
from opentrail.events.record import ServiceEvent
from opentrail.gateway.authorise import call_context
from opentrail.gateway.private_kms import PrivateKms
from opentrail.gateway.s3_keys import ObjectKeys
from opentrail.gateway.upstream import Upstream
from opentrail.kms.key import Key
from opentrail.kms.making import S3_ALIAS, ensure_s3_key
from opentrail.kms.references import KeyReference
from opentrail.kms.vault import Vault
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.services.kms import UNSUPPORTED, KmsService
from opentrail.services.kms.parts import Parts
from opentrail.services.kms.schedule import EVENT_SOURCE
from opentrail.services.operation import handlers_of
from opentrail.state.database import Unit

_log = logging.getLogger(__name__)


def host_key_service(core: Core) -> bool:
    """Serve ``kms``, unless an upstream is configured to; whether it is ours.

    Its handlers ask key policies themselves, so nothing is asked before them.
    """
    named = [name for name, upstream in core.world.settings.upstreams.items() if "kms" in upstream.services]
    if named:
        _log.info("calls to KMS go to upstream.%s", named[0])
        return False
    directory, clock, entropy = core.identities.directory, core.world.clock, core.world.entropy
    parts = Parts(
        keys=core.keys,
        vault=Vault(entropy),
        clock=clock,
        entropy=entropy,
        policies_of=directory.policies_of,
        context_of=lambda call: call_context(call, directory),
    )
    service = KmsService(parts)
    core.host("kms", service, UNSUPPORTED, open_to_all=frozenset(handlers_of(service)))
    return True


def open_private_kms(core: Core) -> PrivateKms:
    """KMS for the embedded object store; nothing listens yet."""
    return PrivateKms(core.catalogue.service("kms"), core.keys, core.world.clock, core.world.entropy)


def object_keys(core: Core, upstream: Upstream, *, served: bool) -> ObjectKeys:
    """The S3 door's way to the keys of the object store's objects. ``served``: KMS is ours."""

    async def default_key(account_id: str, region: str) -> Key:
        return await asyncio.to_thread(_default_key, core, KeyReference(account_id, region, S3_ALIAS))

    keys = core.keys if served else None
    return ObjectKeys(keys, default_key, upstream, core.recording, core.world.clock, core.world.entropy)


def trail_keys(core: Core) -> TrailKeys:
    """CloudTrail's way to keys."""

    def region_of(bucket: str) -> str | None:
        found = core.buckets.find(bucket)
        return found.region if found else None

    return TrailKeys(core.keys, core.internal, region_of)


def _default_key(core: Core, reference: KeyReference) -> Key:
    """The key that S3 keeps for an account; making it leaves a service event."""
    found = core.keys.snapshot.find(reference)
    if found is not None:
        return found
    now, made = core.world.clock.now(), list[Key]()

    def make(unit: Unit) -> list[ServiceEvent]:
        key, is_new = ensure_s3_key(core.keys, unit, core.world.entropy, reference, now)
        made.append(key)
        return [_creation(key, now)] if is_new else []

    core.commit(make)
    return made[0]


def _creation(key: Key, at: datetime) -> ServiceEvent:
    return ServiceEvent(
        event_source=EVENT_SOURCE,
        event_name="CreateKey",
        account_id=key.account_id,
        region=key.region,
        occurred_at=at,
        details={"keyId": key.key_id, "aliasName": S3_ALIAS},
        resources=(key.record_resource,),
    )

"""Lifecycle rules on the embedded S3 server: the worker that carries them out, put together; and the archive.

A foreign S3 server keeps and carries out its buckets' rules itself.
"""

import logging
from collections.abc import Mapping

from opentrail.app.core import Core
from opentrail.app.object_storage import ObjectStorage
from opentrail.app.upstream_credentials import target_settings
from opentrail.config import Settings
from opentrail.errors import ApiError, ConfigError
from opentrail.identity.buckets import Bucket
from opentrail.lifecycle.archive import Archive
from opentrail.lifecycle.document import read_configuration, write_configuration
from opentrail.lifecycle.rules import Rule
from opentrail.lifecycle.worker import LifecycleWorker, Parts
from opentrail.services.defaults import DEFAULT_REGION
from opentrail.storage.bucket import S3ObjectStore
from opentrail.storage.versions import S3Versions

log = logging.getLogger(__name__)

_SHOWN_BYTES = 2000


def open_lifecycle(core: Core, storage: ObjectStorage) -> LifecycleWorker | None:
    """The worker for the embedded server, not started; None for a foreign one. Raises ConfigError (credentials)."""
    if not storage.is_embedded:
        return None
    settings = core.world.settings
    parts = Parts(S3Versions(storage.store), lambda: _rules(core), core.world.clock, open_archive(settings))
    return LifecycleWorker(parts, interval_s=settings.lifecycle.interval_s, before=lambda: take_over(core, storage))


def open_archive(settings: Settings) -> Archive | None:
    """The bucket of ``[upstream.archive]``; None where there is none. Raises ConfigError (credentials)."""
    archive = settings.upstream_archive
    if archive is None:
        return None
    try:
        where = target_settings(archive, region=archive.region or DEFAULT_REGION)
    except ConfigError as problem:
        raise ConfigError([f"upstream.archive.credentials: {text}" for text in problem.problems]) from None
    store = S3ObjectStore(
        where.endpoint,
        where.region,
        where.access_key_id,
        where.secret_access_key,
        connect_timeout_s=where.connect_timeout_s,
        read_timeout_s=where.read_timeout_s,
    )
    return Archive(store, archive.bucket)


def take_over(core: Core, storage: ObjectStorage) -> None:
    """Move configurations that the embedded server still keeps, from releases that left them to it, into our state.

    One that S3 would not have taken is dropped, and shown in the log: there it would be carried out past our archive.
    Raises OutboundError.
    """
    versions = S3Versions(storage.store)
    for bucket in core.buckets.every():
        text = versions.lifecycle(bucket.name)
        if text is None:
            continue
        if bucket.lifecycle_text is None:
            _adopt(core, bucket, text)
        versions.delete_lifecycle(bucket.name)


def _adopt(core: Core, bucket: Bucket, text: bytes) -> None:
    try:
        rules = read_configuration(text, new_id=core.world.entropy.uuid())
    except ApiError as problem:
        shown = text[:_SHOWN_BYTES].decode(errors="replace")
        log.warning("lifecycle: the rules that bucket %s had are dropped: %s: %r", bucket.name, problem, shown)
        return
    with core.database.unit() as unit:
        core.buckets.put_lifecycle(unit, bucket.name, write_configuration(rules).decode())


def _rules(core: Core) -> Mapping[str, tuple[Rule, ...]]:
    texts = {bucket.name: bucket.lifecycle_text for bucket in core.buckets.every()}
    return {name: read_configuration(text.encode()) for name, text in texts.items() if text is not None}

"""The Resource Groups Tagging API put together: whose tags it shows, and how it changes them."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from opentrail.app.core import Core
from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.errors import ApiError, OutboundError
from opentrail.events.call import Call
from opentrail.events.internal_calls import InternalCall
from opentrail.kms.key import AWS
from opentrail.opsworks.tags import tagged_resources
from opentrail.services.tagging import UNSUPPORTED, TaggingService
from opentrail.services.tagging.parts import Failure, Parts, Source
from opentrail.services.tagging.tagged import Tagged, service_in
from opentrail.topics.store import TopicStore

_log = logging.getLogger(__name__)

SERVICE = "resourcegroupstaggingapi"
SIGNING_NAME = "tagging"
EVENT_SOURCE = "tagging.amazonaws.com"
_NOT_TAGGABLE = frozenset({"iam", "opentrail", "organizations", "s3", "sts"})
_Tags = Mapping[str, str] | Sequence[str]


@dataclass(frozen=True, slots=True)
class _Tagger:
    """How one service's own operations change tags: their names, and the members that a request has."""

    service: str
    adds: str
    removes: str
    resource: str
    tags: str = "Tags"
    key: str = "Key"
    value: str = "Value"
    keys: str = "TagKeys"

    def request(self, arn: str, tags: _Tags) -> tuple[str, Mapping[str, Any]]:
        """The operation that does it, and its parameters."""
        if isinstance(tags, Mapping):
            added = [{self.key: key, self.value: value} for key, value in tags.items()]
            return self.adds, {self.resource: arn, self.tags: added}
        removed = list(tags) if self.keys else [{self.key: key} for key in tags]
        return self.removes, {self.resource: arn, self.keys or self.tags: removed}


_TAGGERS: Mapping[str, _Tagger] = MappingProxyType(
    {
        "cloudtrail": _Tagger("cloudtrail", "AddTags", "RemoveTags", "ResourceId", tags="TagsList", keys=""),
        "kms": _Tagger("kms", "TagResource", "UntagResource", "KeyId", key="TagKey", value="TagValue"),
        "opsworks-cm": _Tagger("opsworkscm", "TagResource", "UntagResource", "ResourceArn"),
        "sns": _Tagger("sns", "TagResource", "UntagResource", "ResourceArn"),
    }
)


def host_tagging(core: Core, calls: UpstreamCalls) -> None:
    """Serve the API once every other service of ours is hosted, unless an upstream is configured to."""
    settings = core.world.settings
    if settings.is_upstreams(SERVICE) or settings.is_upstreams(SIGNING_NAME):
        _log.info("calls to the Resource Groups Tagging API go to an upstream")
        return
    sources = {arn_service: source for arn_service, source in _sources(core).items() if _is_ours(core, arn_service)}
    parts = Parts(
        sources=sources,
        own=frozenset(sources) | {name for name in _NOT_TAGGABLE if name == "s3" or name in core.hosted},
        taggers=_ThroughServices(core),
        elsewhere=_Upstream(core, calls),
    )
    core.host(SERVICE, TaggingService(parts), UNSUPPORTED)


def _is_ours(core: Core, arn_service: str) -> bool:
    return _TAGGERS[arn_service].service in core.hosted


def _sources(core: Core) -> Mapping[str, Source]:
    """Each service's tagged resources of an account in a region."""

    def trails(account_id: str, region: str) -> Iterable[Tagged]:
        for trail in core.trails.snapshot.of(account_id):
            if trail.home_region == region and trail.tags:
                yield Tagged(trail.arn, {key: value or "" for key, value in trail.tags.items()})

    def keys(account_id: str, region: str) -> Iterable[Tagged]:
        for key in core.keys.snapshot.keys_of(account_id, region):
            if key.tags and key.manager != AWS:
                yield Tagged(key.arn, key.tags)

    def topics(account_id: str, region: str) -> Iterable[Tagged]:
        with core.database.read() as connection:
            found = TopicStore(core.database).tagged_topics(connection, account_id, region)
        return [Tagged(topic.arn, topic.tags) for topic in found]

    def servers(account_id: str, region: str) -> Iterable[Tagged]:
        with core.database.read() as connection:
            found = tagged_resources(connection, account_id, region)
        return [Tagged(arn, tags) for arn, tags in found.items()]

    return {"cloudtrail": trails, "kms": keys, "opsworks-cm": servers, "sns": topics}


class _ThroughServices:
    """Changes tags of our own resources by calling their services, as the caller: rules, permissions and records are
    theirs, and the record says who invoked them.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def change(self, call: Call, arn: str, tags: _Tags) -> Failure | None:
        """Why it was refused; None where it was done. Raises JournalError."""
        tagger = _TAGGERS[service_in(arn)]
        name, parameters = tagger.request(arn, tags)
        service = self._core.hosted[tagger.service].service
        inner = replace(
            call,
            request_id=self._core.world.entropy.uuid(),
            principal=replace(call.principal, service=EVENT_SOURCE, access_key_id=""),
            event_source=service.event_source,
            event_name=name,
            operation=service.operation(name),
            parameters=parameters,
            source_ip=EVENT_SOURCE,
            user_agent=EVENT_SOURCE,
            host="",
            tls=None,
        )
        reply, error = self._core.carry_out(tagger.service, inner)
        return None if error is None else Failure(reply.status, error.code, error.message)


class _Upstream:
    """The upstream's API, for what is not ours."""

    def __init__(self, core: Core, calls: UpstreamCalls) -> None:
        self._core = core
        self._calls = calls

    def is_there(self) -> bool:
        """Whether an upstream serves it."""
        return self._calls.serves(SERVICE)

    def read(self, operation: str, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask it. Raises ApiError InternalServiceException, or with the upstream's code."""
        return _told(lambda: self._calls.json(SERVICE, operation, call.account_id, call.region, request))

    def change(self, operation: str, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change tags there. Raises ApiError as ``read``, JournalError."""
        shown = {member[0].lower() + member[1:]: value for member, value in request.items()}
        announced = self._core.internal.intend(
            InternalCall(
                service=EVENT_SOURCE,
                account_id=call.account_id,
                region=call.region,
                event_source=EVENT_SOURCE,
                event_name=operation,
                parameters=shown,
                on_behalf_of=call.principal,
            )
        )
        try:
            answer = self.read(operation, call, request)
        except ApiError as error:
            announced.conclude(error=(error.code, error.message))
            raise
        announced.conclude()
        return answer


def _told(ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    try:
        return ask()
    except OutboundError as problem:
        _log.warning("the upstream's Resource Groups Tagging API failed: %s", problem)
        message = "The server behind that serves this API for other services' resources did not answer as it should"
        raise ApiError("InternalServiceException", message, status=500) from problem

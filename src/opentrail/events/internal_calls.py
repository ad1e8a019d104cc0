"""Calls that our own services make: the port through which they become event records.

Rules (cloudtrail fact sheet 1.6, 2.1, 2.3, trap 41). A service that acts for itself is ``AWSService``; one that uses
somebody's credentials shows that identity with ``invokedBy``. Either way sourceIPAddress and userAgent are the
service's host name, there is no TLS, and a service's own calls have a sharedEventID although there is a single copy.
The record belongs to the account whose resource was touched. What the courier delivers is not recorded: a record of
every delivery would be a record to deliver (trap 47).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from opentrail.events import s3_elements
from opentrail.events.call import Call, Outcome
from opentrail.events.classify import is_read_only
from opentrail.events.record import ServiceEvent
from opentrail.events.s3 import EVENT_SOURCE as S3
from opentrail.identity.principal import Principal, PrincipalType

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_BUCKET_LEVEL = frozenset({"CreateBucket", "GetBucketAcl", "HeadBucket"})
_SUB_RESOURCE = MappingProxyType({"GetBucketAcl": "acl"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalCall:
    """One call from a service of ours to another.

    ``service`` is the acting service's host name (``opsworks-cm.amazonaws.com``); ``account_id`` and ``region`` are
    those of the resource. ``parameters`` and ``resources`` are in record form. ``on_behalf_of``: the principal whose
    credentials the service uses, None where it acts as itself.
    """

    service: str
    account_id: str
    region: str
    event_source: str
    event_name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resources: tuple[Mapping[str, str], ...] = ()
    management_event: bool = True
    on_behalf_of: Principal | None = None


class InternalCalls(Protocol):
    """The way to evidence for what services do by themselves. Safe from any thread; blocks until it is on disk."""

    def require(self) -> None:
        """Raise JournalError where nothing could be recorded now: then nothing may be changed either."""

    def record(self, call: InternalCall, *, error: tuple[str, str] | None = None, bytes_in: int = 0) -> None:
        """Record a call that was made; ``error``: the code and message it failed with. Raises JournalError."""

    def intend(self, call: InternalCall) -> "Announced":
        """Make it durable that a change is about to be made. Raises JournalError: then it must not be made."""

    def happened(self, event: ServiceEvent) -> None:
        """Record what a service did without calling anybody (``AwsServiceEvent``). Raises JournalError."""


class Announced(Protocol):
    """A change whose intent is on disk."""

    def conclude(self, *, error: tuple[str, str] | None = None, bytes_in: int = 0) -> None:
        """Record how it ended; as for ``InternalCalls.record``."""


def call_of(internal: InternalCall, *, request_id: str, at: datetime) -> Call:
    """The call that the record of an internal call is built from."""
    principal = Principal(PrincipalType.AWS_SERVICE, service=internal.service)
    if internal.on_behalf_of is not None:
        # A service that uses a role's credentials shows no access key (2.1, measured).
        principal = replace(internal.on_behalf_of, service=internal.service, access_key_id="")
    return Call(
        request_id=request_id,
        received_at=at,
        account_id=internal.account_id,
        region=internal.region,
        principal=principal,
        event_source=internal.event_source,
        event_name=internal.event_name,
        read_only=is_read_only(internal.event_source, internal.event_name),
        parameters=internal.parameters,
        source_ip=internal.service,
        user_agent=internal.service,
        management_event=internal.management_event,
    )


def outcome_of(
    internal: InternalCall, *, at: datetime, error: tuple[str, str] | None = None, bytes_in: int = 0
) -> Outcome:
    """How an internal call ended. ``bytes_in``: how much it uploaded."""
    code, message = error or (None, None)
    data = None
    if internal.event_source == S3:
        data = s3_elements.additional_event_data(authentication=s3_elements.AUTH_HEADER, bytes_in=bytes_in)
    return Outcome(
        completed_at=at,
        error_code=code,
        error_message=message,
        additional_event_data=data,
        resources=internal.resources,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where in S3 an internal call goes: a bucket with the account that owns it and its region, and maybe a key."""

    bucket: str
    owner: str
    region: str
    key: str = ""


def s3_call(service: str, event_name: str, place: Place, headers: Mapping[str, str] = _NOTHING) -> InternalCall:
    """A service's call to S3. ``headers``: those x-amz- request headers that S3's records show."""
    is_bucket_level = event_name in _BUCKET_LEVEL
    parameters: dict[str, Any] = {"bucketName": place.bucket, "Host": "s3.amazonaws.com"}
    if place.key:
        parameters["key"] = place.key
    if event_name in _SUB_RESOURCE:
        parameters[_SUB_RESOURCE[event_name]] = ""
    arn = f"arn:aws:s3:::{place.bucket}"
    bucket = {"accountId": place.owner, "type": "AWS::S3::Bucket", "ARN": arn}
    resources: tuple[Mapping[str, str], ...] = (bucket,)
    if not is_bucket_level:
        kind = {"ARN": f"{arn}/{place.key}"} if place.key else {"ARNPrefix": f"{arn}/"}
        resources = ({"type": "AWS::S3::Object", **kind}, bucket)
    return InternalCall(
        service=service,
        account_id=place.owner,
        region=place.region,
        event_source=S3,
        event_name=event_name,
        parameters=parameters | dict(headers),
        resources=resources,
        management_event=is_bucket_level,
    )

"""One S3 exchange, and the event record that it leaves.

Rules. A call is recorded for the caller's account and, where the bucket belongs to another, for the owner's; without
credentials for the owner's alone (cloudtrail fact sheet 2.4). A refused caller does not learn from its copy whose the
bucket is (1.5). S3 writes the user agent in square brackets (1.6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentrail.aws.protocols.s3_errors import ErrorText
from opentrail.aws.sigv2 import is_presigned_v2
from opentrail.clock import Clock
from opentrail.events import s3_elements
from opentrail.events.call import Call, Outcome
from opentrail.events.s3 import EVENT_SOURCE, CopySource, Location, S3Call, query_pairs
from opentrail.gateway.exchange import Caller, Incoming, Intended, Recorder
from opentrail.gateway.s3_bodies import Arrival, CheckedBody
from opentrail.identity.authorization import NO_POLICIES, PolicySet
from opentrail.identity.buckets import Bucket
from opentrail.identity.context import Values

_APPLIED = {"AES256": "SSE_S3", "aws:kms": "SSE_KMS"}
_NOT_SHOWN = ("x-amz-request-id", "x-amz-id-2", "x-amz-meta-", "x-amz-bucket-region")


@dataclass(slots=True)
class Exchange:
    """What is known of one request by now. ``body_parameters`` is what its body adds to requestParameters;
    ``policies`` are the caller's own, ``told`` the condition keys that follow from who he is; ``encryption`` are the
    headers about KMS that go to the upstream in place of his; ``intended`` is set once the intent is on disk.
    """

    incoming: Incoming
    arrival: Arrival
    caller: Caller
    call: S3Call
    location: Location
    source: CopySource | None
    host_id: str
    policies: PolicySet = NO_POLICIES
    told: Values = field(default_factory=dict)
    bucket: Bucket | None = None
    source_bucket: Bucket | None = None
    body: CheckedBody | None = None
    body_parameters: Mapping[str, Any] = field(default_factory=dict)
    encryption: Mapping[str, str] = field(default_factory=dict)
    intended: Intended | None = None
    recorded: bool = False

    @property
    def owners(self) -> tuple[str, ...]:
        """The accounts, other than the caller's, whose buckets the request is about."""
        own = self.caller.principal.account_id
        found = [bucket.account_id for bucket in (self.bucket, self.source_bucket) if bucket is not None]
        return tuple(dict.fromkeys(account for account in found if account != own))


class Evidence:
    """Makes event records of exchanges and hands them to the recorder."""

    def __init__(self, recorder: Recorder, clock: Clock, region: str, *, intents: bool = True) -> None:
        """``intents``: whether changes leave an intent before they are sent on."""
        self._recorder = recorder
        self._clock = clock
        self._region = region
        self.intents = intents

    async def intend(self, exchange: Exchange) -> None:
        """Make it durable that a change is about to be sent on. Raises JournalError: then it must not be."""
        if exchange.call.read_only or exchange.intended is not None or not self.intents:
            return
        exchange.intended = await self._recorder.intend(
            self._call(exchange), resources=_resources(exchange, hidden=False), also_for=exchange.owners
        )

    async def write(
        self,
        exchange: Exchange,
        *,
        error: ErrorText | None = None,
        headers: Mapping[str, str] | None = None,
        bytes_out: int = 0,
    ) -> None:
        """Record how an exchange ended; ``headers`` are the answer's. Raises JournalError."""
        call = self._call(exchange)
        outcome = Outcome(
            completed_at=self._clock.now(),
            response=None if error or call.read_only else response_elements(headers or {}),
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            additional_event_data=self._additional(exchange, headers or {}, bytes_out),
            resources=_resources(exchange, hidden=error is not None and error.code == "AccessDenied"),
        )
        if not exchange.owners and not call.account_id:
            exchange.recorded = True  # nobody is concerned: a stranger asked for what nobody owns
            return
        if exchange.intended is not None:
            await self._recorder.conclude(exchange.intended, call, outcome)
        else:
            await self._recorder.record(call, outcome, also_for=exchange.owners)
        exchange.recorded = True

    def _call(self, exchange: Exchange) -> Call:
        head, s3, principal = exchange.incoming.head, exchange.call, exchange.caller.principal
        authorization = exchange.caller.authorization
        signed_region = authorization.scope.region if authorization else self._region
        return Call(
            request_id=exchange.incoming.request_id,
            received_at=exchange.incoming.received_at,
            account_id=principal.account_id,
            region=exchange.bucket.region if exchange.bucket else signed_region,
            principal=principal,
            event_source=EVENT_SOURCE,
            event_name=s3.event_name,
            read_only=s3.read_only,
            parameters=s3_elements.request_parameters(s3, head, body=exchange.body_parameters),
            source_ip=head.peer,
            user_agent=f"[{head.headers.get('user-agent', '')}]",
            host=head.host,
            tls=head.tls,
            management_event=s3.management,
        )

    def _additional(self, exchange: Exchange, headers: Mapping[str, str], bytes_out: int) -> dict[str, Any]:
        authorization, tls = exchange.caller.authorization, exchange.incoming.head.tls
        presigned = authorization is not None and authorization.presigned
        method = s3_elements.QUERY_STRING if presigned else s3_elements.AUTH_HEADER
        data = s3_elements.additional_event_data(
            authentication=method if authorization else None,
            signature_version="SigV2" if authorization and is_presigned_v2(authorization) else "SigV4",
            cipher_suite=tls.cipher_suite if tls else None,
            bytes_in=exchange.body.received_bytes if exchange.body else 0,
            bytes_out=bytes_out,
            host_id=exchange.host_id,
        )
        applied = headers.get("x-amz-server-side-encryption")
        if not exchange.call.read_only and applied in _APPLIED:
            asked = "x-amz-server-side-encryption" in exchange.incoming.head.headers
            data["SSEApplied"] = _APPLIED[applied] if asked else f"Default_{_APPLIED[applied]}"
        return data


def response_elements(headers: Mapping[str, str]) -> dict[str, str] | None:
    """``responseElements`` of a write: S3's own answer headers as they were sent (1.9); None where there are none."""
    shown = {
        name: value
        for name, value in headers.items()
        if name.startswith("x-amz-") and not name.startswith(_NOT_SHOWN) and "customer-key" not in name
    }
    return shown or None


def _resources(exchange: Exchange, *, hidden: bool) -> tuple[Mapping[str, str], ...]:
    owner = exchange.bucket.account_id if exchange.bucket else None
    if hidden and owner != exchange.caller.principal.account_id:
        owner = None
    prefix = next((value for name, value in query_pairs(exchange.incoming.head.query) if name == "prefix"), "")
    return s3_elements.resources(exchange.call, owner, prefix=prefix)

"""From a request to the call that its record is made of, as far as it is known at each step."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import WireProtocol
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.events.classify import is_read_only
from opentrail.events.data_events import is_data_event
from opentrail.gateway.admit import Claim
from opentrail.gateway.exchange import Incoming
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.trails.keepers import GLOBAL_SERVICE_REGION
from opentrail.trails.routing import GLOBAL_EVENT_SOURCES

UNKNOWN_NAME = "Unknown"
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]{1,128})(?:&|$)")
_ACTION_WITHIN_BYTES = 8192
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")


def name_of(service: Service, wire: WireProtocol, incoming: Incoming, body: bytes) -> str:
    """The operation's name as far as it can be told; ``Unknown`` rather than a caller's arbitrary text."""
    try:
        name = wire.operation_name(service, incoming.head, body)
    except ApiError:
        found = _ACTION.search(body[:_ACTION_WITHIN_BYTES]) if service.protocol in {"query", "ec2"} else None
        name = found[1].decode() if found else ""
    return name if _NAME.fullmatch(name) else UNKNOWN_NAME


def call_of(
    incoming: Incoming, service: Service, who: Principal, claim: Claim, name: str, *, default_region: str
) -> Call:
    """A call whose parameters are not known yet. An unproved signature does not decide about the region."""
    head = incoming.head
    proved = claim.authorization is not None and who.type is not PrincipalType.UNKNOWN
    region = claim.authorization.scope.region if claim.authorization and proved else default_region
    if service.event_source in GLOBAL_EVENT_SOURCES:
        region = GLOBAL_SERVICE_REGION
    return Call(
        request_id=incoming.request_id,
        received_at=incoming.received_at,
        account_id=who.account_id,
        region=region,
        principal=who,
        event_source=service.event_source,
        event_name=name,
        read_only=is_read_only(service.event_source, name),
        source_ip=head.peer,
        user_agent=head.headers.get("user-agent", ""),
        host=head.host,
        tls=head.tls,
    )


def parsed(call: Call, operation: Operation, parameters: Mapping[str, Any]) -> Call:
    """A call, now that its operation and parameters are known."""
    return replace(
        call,
        event_name=operation.name,
        operation=operation,
        parameters=parameters,
        management_event=not is_data_event(operation.service.name, operation.name),
    )

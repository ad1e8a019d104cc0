"""From a call and its outcome to the bytes of one event record.

Rules (cloudtrail fact sheet 1.2, 1.4, 1.5, 2.4):

* a record is encoded here, once; its bytes go unchanged into log files, history and exports;
* keys stand in the order measured in real files; requestParameters and responseElements are always there and may be
  null: null for what is empty, and responseElements for failures and reads (the STS AssumeRole family excepted);
* every value is within its limit (``limits``): texts are cut at 1 KB; ``{"reason": "requestParameters too large",
  "omitted": true, "originalSize": N}`` stands in place of larger objects, and additionalEventData has the SHA-256
  of the JSON text omitted (``omittedRequestParametersSha256``, ``omittedResponseElementsSha256``, ...);
* nothing that is secret is in it (``elements``, ``redaction``), error messages included (``scrubbing``);
* what a session's tags say about agent, run and person (``delegation``) is told to the caller's own account;
* any text, whatever it holds, yields valid JSON.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from orjson import Fragment

from opentrail.aws.http import TlsDetails
from opentrail.events.call import Call, Outcome
from opentrail.events.classify import records_response
from opentrail.events.delegation import delegation
from opentrail.events.elements import request_elements, response_elements, secrets_in
from opentrail.events.encoding import encode
from opentrail.events.error_codes import recorded_error_code
from opentrail.events.event_names import api_version
from opentrail.events.limits import cut, encode_record, shortened
from opentrail.events.redaction import HIDDEN
from opentrail.events.scrubbing import scrub
from opentrail.events.timestamps import event_time
from opentrail.events.unknown_outcome import OUR_SENTENCES
from opentrail.events.user_identity import as_other_account, service_identity, user_identity
from opentrail.identity.principal import Principal, PrincipalType

EVENT_VERSION = "1.11"
"""The current documented version (cloudtrail fact sheet 1.1)."""

KEY_ORDER = (
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "apiVersion",
    "managementEvent",
    "recipientAccountId",
    "sharedEventID",
    "serviceEventDetails",
    "eventCategory",
    "tlsDetails",
)
"""The order of keys in real files, as far as we write them (cloudtrail fact sheet 1.2, measured without exception)."""

_ACCESS_DENIED = "AccessDenied"
_STS = "sts.amazonaws.com"


def build(
    call: Call, outcome: Outcome, *, event_id: str, recipient_account_id: str, shared_event_id: str | None = None
) -> bytes:
    """The event record of a call for one recipient account: compact JSON in UTF-8, at most 256 KB, without a line end.

    Copies for several accounts are built one by one, with an event id each and the same ``shared_event_id``. An account
    other than the caller's sees the caller as ``AWSAccount`` (2.4).
    """
    event = _opening(call, outcome, recipient_account_id)
    _add_result(event, call, outcome)
    additional = _additional(call, outcome, is_own=call.principal.account_id == recipient_account_id)
    if additional:
        event["additionalEventData"] = additional
    event["requestID"] = cut(call.request_id)
    event["eventID"] = event_id
    event["readOnly"] = call.read_only
    if outcome.resources:
        event["resources"] = _resources(call, outcome, recipient_account_id)
    event["eventType"] = "AwsApiCall"
    if call.operation is not None and (version := api_version(call.operation)) is not None:
        event["apiVersion"] = version
    event["managementEvent"] = call.management_event
    event["recipientAccountId"] = recipient_account_id
    shared = shared_event_id or _own_shared_event_id(call.principal, event_id)
    if shared is not None:
        event["sharedEventID"] = shared
    event["eventCategory"] = "Management" if call.management_event else "Data"
    if call.tls is not None and call.principal.type is not PrincipalType.AWS_SERVICE:
        event["tlsDetails"] = _tls_details(call.tls, call.host)
    return encode_record(event, KEY_ORDER)


def without_response(payload: bytes) -> bytes:
    """A record that ``build`` made, with what was answered omitted: for a disk that has room for no more."""
    return shortened(payload, KEY_ORDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEvent:
    """Something that a service did by itself: a scheduled backup, a recovery, an intent found without its outcome.

    ``details`` becomes ``serviceEventDetails``. ``invoked_by`` is the acting service's host name, or ``AWS Internal``.
    """

    event_source: str
    event_name: str
    account_id: str
    region: str
    occurred_at: datetime
    details: Mapping[str, Any]
    invoked_by: str = "AWS Internal"
    read_only: bool = False
    request_id: str = ""
    resources: tuple[Mapping[str, str], ...] = ()


def service_event(event: ServiceEvent, *, event_id: str, shared_event_id: str | None = None) -> bytes:
    """The event record of a service's own action (``AwsServiceEvent``), with the form and limits of ``build`` (1.9)."""
    invoked_by = cut(event.invoked_by)
    record: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": service_identity(event.account_id, invoked_by),
        "eventTime": event_time(event.occurred_at),
        "eventSource": cut(event.event_source),
        "eventName": cut(event.event_name),
        "awsRegion": cut(event.region),
        "sourceIPAddress": invoked_by,
        "userAgent": invoked_by,
        "requestParameters": None,
        "responseElements": None,
        "requestID": cut(event.request_id) or None,
        "eventID": event_id,
        "readOnly": event.read_only,
        "resources": list(event.resources) or None,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": cut(event.account_id),
        "sharedEventID": shared_event_id,
        "serviceEventDetails": dict(event.details),
        "eventCategory": "Management",
    }
    nullable = ("requestParameters", "responseElements")
    return encode_record(
        {key: value for key, value in record.items() if value is not None or key in nullable}, KEY_ORDER
    )


def _opening(call: Call, outcome: Outcome, recipient_account_id: str) -> dict[str, Any]:
    """The members that every record begins with: who did what, when and from where."""
    principal = call.principal
    is_own = principal.account_id == recipient_account_id
    is_service = principal.type is PrincipalType.AWS_SERVICE
    return {
        "eventVersion": EVENT_VERSION,
        "userIdentity": _identity(principal) if is_own else _identity_abroad(principal),
        "eventTime": event_time(outcome.completed_at),
        "eventSource": cut(call.event_source),
        "eventName": cut(call.event_name),
        "awsRegion": cut(call.region),
        # A service's calls show its host name in both places, and no TLS (1.6, trap 41).
        "sourceIPAddress": cut(principal.service if is_service else call.source_ip),
        "userAgent": cut(principal.service if is_service else call.user_agent),
    }


def _add_result(event: dict[str, Any], call: Call, outcome: Outcome) -> None:
    """The members that say what was asked and what came of it, from errorCode to responseElements."""
    failed = outcome.error_code is not None
    if outcome.error_code is not None:
        event["errorCode"] = cut(recorded_error_code(call.event_source, outcome.error_code))
        if outcome.error_message is not None:
            event["errorMessage"] = cut(_scrubbed(call, outcome.error_message))
    event["requestParameters"] = None if _hides_request(call, outcome) else _request_parameters(call)
    shows_response = not failed and records_response(call.event_source, call.event_name, read_only=call.read_only)
    event["responseElements"] = _response_elements(call, outcome) if shows_response else None


def _additional(call: Call, outcome: Outcome, *, is_own: bool) -> dict[str, Any]:
    """``additionalEventData``: the service's own, and the delegation of the caller's session."""
    data = dict(outcome.additional_event_data or {})
    delegated = delegation(call.principal) if is_own else {}
    return data | ({"delegation": delegated} if delegated else {})


def _hides_request(call: Call, outcome: Outcome) -> bool:
    """A denied AssumeRole shows null instead of what was asked for (2.3, measured)."""
    is_assume = call.event_name == "AssumeRole" and call.event_source == _STS
    return is_assume and outcome.error_code == _ACCESS_DENIED


def _request_parameters(call: Call) -> Mapping[str, Any] | None:
    """The request in record form; null where it is empty or was never parsed."""
    if call.parameters is None:
        return None
    return (call.parameters if call.operation is None else request_elements(call.operation, call.parameters)) or None


def _response_elements(call: Call, outcome: Outcome) -> Mapping[str, Any] | None:
    """The response in record form; null where it is empty."""
    if outcome.response is None:
        return None
    if call.operation is None:
        return outcome.response or None
    return response_elements(call.operation, outcome.response, request_id=call.request_id) or None


def _scrubbed(call: Call, message: str) -> str:
    """The message without any secret that the request carried; hidden whole where that cannot be told.

    Our own fixed sentences echo nothing. A word taken out of them would tell that it is a secret of the request.
    """
    if call.operation is None or not call.parameters or message in OUR_SENTENCES:
        return message
    try:
        secrets = secrets_in(call.operation, call.parameters)
    except RecursionError:
        return HIDDEN
    return scrub(message, secrets) if secrets else message


@lru_cache(maxsize=2048)
def _identity(principal: Principal) -> Fragment:
    """A principal's userIdentity for its own account, encoded: callers come again and again."""
    return Fragment(encode(user_identity(principal)))


@lru_cache(maxsize=2048)
def _identity_abroad(principal: Principal) -> Fragment:
    """A principal's userIdentity for other accounts, encoded."""
    return Fragment(encode(as_other_account(principal)))


def _resources(call: Call, outcome: Outcome, recipient_account_id: str) -> list[Mapping[str, str]]:
    """The resources touched. A caller who was denied is not told whose they are (1.5)."""
    if outcome.error_code != _ACCESS_DENIED or call.principal.account_id != recipient_account_id:
        return list(outcome.resources)
    return [
        {**resource, "accountId": HIDDEN}
        if resource.get("accountId", recipient_account_id) != recipient_account_id
        else resource
        for resource in outcome.resources
    ]


def _own_shared_event_id(principal: Principal, event_id: str) -> str | None:
    """Anonymous calls and calls by services have a sharedEventID even where there is a single copy (2.4, trap 5)."""
    if principal.is_anonymous or principal.type is PrincipalType.AWS_SERVICE:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, event_id))
    return None


def _tls_details(tls: TlsDetails, host: str) -> dict[str, str]:
    """What the handshake agreed on, and the host that the client asked for."""
    details = {"tlsVersion": cut(tls.version), "cipherSuite": cut(tls.cipher_suite)}
    if host:
        details["clientProvidedHostHeader"] = cut(host)
    return details

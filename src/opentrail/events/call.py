"""A call and its outcome: the facts that an event record is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opentrail.aws.http import TlsDetails
from opentrail.aws.model import Operation
from opentrail.identity.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call that reached us, as far as it is known before it is carried out.

    ``account_id`` is the caller's account (the recipient of the first copy). ``operation`` is the model's description,
    where the call could be matched to one. ``parameters`` are in wire casing where ``operation`` is set, and already in
    record form where it is None (S3); they are None for calls that were refused before they were parsed.
    """

    request_id: str
    received_at: datetime
    account_id: str
    region: str
    principal: Principal
    event_source: str
    event_name: str
    read_only: bool
    operation: Operation | None = None
    parameters: Mapping[str, Any] | None = None
    source_ip: str = ""
    user_agent: str = ""
    host: str = ""
    tls: TlsDetails | None = None
    management_event: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call ended. ``response`` has the casing of ``Call.parameters``; None where there is nothing to show."""

    completed_at: datetime
    response: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None
    additional_event_data: Mapping[str, Any] | None = None
    resources: tuple[Mapping[str, str], ...] = field(default=())

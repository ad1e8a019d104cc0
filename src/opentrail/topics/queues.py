"""Deliveries to SQS queues, at the server that has them.

Rules. As with AWS, the queue's policy must let the service principal of SNS send to it for the topic
(SNS Developer Guide, "Fanout to Amazon SQS queues"); in mode ``TRUST`` a queue of the subscription's own account needs
none. What is known of a queue is asked anew after a while, and after every failure. These calls leave no event records:
a record of each delivery would be one more to deliver and to announce.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from opentrail.errors import OutboundError
from opentrail.identity.policy import AccessRequest, Decision, evaluate
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.topics.names import QueueName, parse_queue_arn
from opentrail.topics.parcels import Parcel
from opentrail.topics.policies import read_policy

SERVICE = "sns.amazonaws.com"
_KNOWN_MAX = 1024
_KNOWN_S = 60.0
_RAW_ATTRIBUTES_MAX = 10
_FINAL = frozenset(
    {
        *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidMessageContents"),
        *("InvalidParameterValue", "InvalidAttributeValue"),
    }
)
"""Codes of SQS for what another attempt cannot change. A refusal of our own credentials is none: the operator can."""

CallSqs = Callable[[str, QueueName, Mapping[str, Any]], Mapping[str, Any]]
"""Operation, the queue (whose account and region it is called for), parameters to the answer. Raises OutboundError."""


class QueuePolicyMode(StrEnum):
    """``CHECK``: as AWS does, always ask the policy. ``TRUST``: the subscription's own account's queues need none."""

    CHECK = "check"
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class _Known:
    url: str
    policy: str
    until_s: float


class QueueSender:
    """Sends parcels to queues."""

    def __init__(self, call: CallSqs, mode: QueuePolicyMode, owner_of: Callable[[str], str | None]) -> None:
        """``owner_of``: the account that owns a subscription."""
        self._call = call
        self._mode = mode
        self._owner_of = owner_of
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def send(self, parcel: Parcel) -> None:
        """Deliver one parcel. Raises OutboundError."""
        queue = parse_queue_arn(parcel.endpoint)
        parameters: dict[str, Any] = {"MessageBody": parcel.text}
        if parcel.raw and parcel.message.attributes:
            parameters["MessageAttributes"] = _attributes(parcel)
        try:
            known = self._look_up(parcel.endpoint, queue)
            self._check(known, queue, parcel)
            self._call("SendMessage", queue, {"QueueUrl": known.url, **parameters})
        except OutboundError as problem:
            with self._lock:
                self._known.pop(parcel.endpoint, None)
            if problem.code in _FINAL:
                raise OutboundError(problem.code, problem.message, retryable=False) from problem
            raise

    def _look_up(self, arn: str, queue: QueueName) -> _Known:
        with self._lock:
            found = self._known.get(arn)
        now_s = time.monotonic()
        if found is not None and now_s < found.until_s:
            return found
        named = {"QueueName": queue.name, "QueueOwnerAWSAccountId": queue.account_id}
        url = str(self._call("GetQueueUrl", queue, named).get("QueueUrl", ""))
        asked = {"QueueUrl": url, "AttributeNames": ["Policy"]}
        attributes = self._call("GetQueueAttributes", queue, asked).get("Attributes") or {}
        found = _Known(url, str(attributes.get("Policy", "")), now_s + _KNOWN_S)
        with self._lock:
            self._known[arn] = found
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        return found

    def _check(self, known: _Known, queue: QueueName, parcel: Parcel) -> None:
        own = self._mode is QueuePolicyMode.TRUST and self._owner_of(parcel.subscription_arn) == queue.account_id
        decision = _decision(known.policy, parcel.endpoint, parcel.message.topic_arn)
        if decision is Decision.ALLOW or (own and decision is Decision.IMPLICIT_DENY):
            return
        text = (
            f"the policy of {parcel.endpoint} does not allow sqs:SendMessage for the service principal {SERVICE} "
            f"(with aws:SourceArn = {parcel.message.topic_arn})"
        )
        raise OutboundError("AccessDenied", text, retryable=False)


def _decision(policy: str, queue_arn: str, topic_arn: str) -> Decision:
    if not policy:
        return Decision.IMPLICIT_DENY
    context = {
        "aws:sourcearn": (topic_arn,),
        "aws:sourceaccount": (topic_arn.split(":")[4],),
        "aws:securetransport": ("true",),
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (SERVICE,),
    }
    principal = Principal(PrincipalType.AWS_SERVICE, service=SERVICE)
    try:
        return evaluate(read_policy(policy), AccessRequest(principal, "sqs:SendMessage", queue_arn, context))
    except ValueError:  # the queue's server took a policy that we cannot read
        return Decision.IMPLICIT_DENY


def _attributes(parcel: Parcel) -> dict[str, dict[str, str]]:
    """A raw message's attributes as SQS's. Raises OutboundError for more than SQS takes (the same page)."""
    given = parcel.message.attributes
    if len(given) > _RAW_ATTRIBUTES_MAX:
        text = f"a raw message for SQS has at most {_RAW_ATTRIBUTES_MAX} attributes"
        raise OutboundError("InvalidParameter", text, retryable=False)
    return {
        name: {"DataType": kind, "BinaryValue" if kind.startswith("Binary") else "StringValue": text}
        for name, (kind, text) in given.items()
    }

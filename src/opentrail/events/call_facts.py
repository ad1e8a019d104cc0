"""What a record says about a call beyond its parameters: its name, whether it reads, its category and its resources.

Rules (cloudtrail fact sheet 1.5, 6.5, 12.2): ``resources`` lists what the request names, each as accountId, type, ARN
in that order, for the services whose records have it: all calls to KMS and DynamoDB, SSM's on parameters (without a
type, measured), and data events. A batch lists every resource once. Where a data event's request does not tell its
resource, the entry has no ARN: selectors choose data events by type, and an event without any would reach no trail.
Nothing here raises, whatever the parameters are.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from botocore.model import Shape

from opentrail.aws.arn import ARN_CHARS_MAX
from opentrail.aws.model import Operation
from opentrail.events.classify import is_read_only
from opentrail.events.data_events import DATA_EVENTS, is_data_event
from opentrail.events.event_names import event_name
from opentrail.events.resource_arns import Named, Place, account_of
from opentrail.events.resource_rules import ALL_NAMED, RULES

_ALWAYS_RECORDED = frozenset({"dynamodb", "kms", "ssm"})
_PARAMETER = ":parameter/"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The facts of one call, in record form."""

    event_name: str
    read_only: bool
    management_event: bool
    resources: tuple[Mapping[str, str], ...]

    @property
    def resource_types(self) -> frozenset[str]:
        """The types of its resources, by which event selectors choose data events."""
        return frozenset(kind for resource in self.resources if (kind := resource.get("type")))


def describe(operation: Operation, parameters: Mapping[str, Any] | None, place: Place) -> CallFacts:
    """The facts of a call with these parameters, in wire casing; None for parameters that were never parsed.

    ``place``: the caller's account and region, in which names are meant.
    """
    name, service = event_name(operation), operation.service
    is_data = is_data_event(service.name, operation.name)
    return CallFacts(
        event_name=name,
        read_only=is_read_only(service.event_source, name, trait=operation.readonly_trait),
        management_event=not is_data,
        resources=tuple(_resources(operation, parameters or {}, place, is_data=is_data)),
    )


def additional_event_data(
    operation: Operation, parameters: Mapping[str, Any], response: Mapping[str, Any], place: Place
) -> dict[str, str]:
    """What a service's records say in ``additionalEventData`` of a call that succeeded; mostly nothing.

    Lambda names the version that ran (public record of Invoke, 2023).
    """
    version = response.get("ExecutedVersion")
    if operation.service.name != "lambda" or not isinstance(version, str) or not version:
        return {}
    function = next((arn for arn in named_arns(operation, parameters, place)), "")
    bare = _bare_function(function)
    return {"functionVersion": f"{bare}:{version}"} if function and len(bare) <= ARN_CHARS_MAX else {}


def named_arns(operation: Operation, parameters: Mapping[str, Any], place: Place) -> list[str]:
    """The ARN of every resource that a request is about, each once; empty where none is named or known."""
    found = dict[str, None]()
    for rule in _rules_of(operation):
        found.update(dict.fromkeys(rule.arns(parameters, place)))
        if found and operation.service.name not in ALL_NAMED:
            break
    return list(found)


_applicable: WeakKeyDictionary[Shape, tuple[Named, ...]] = WeakKeyDictionary()


def _rules_of(operation: Operation) -> tuple[Named, ...]:
    """The rows whose parameter an operation has; kept as long as its request's shape lives."""
    shape = operation.input_shape
    if shape is None:
        return ()
    rules = _applicable.get(shape)
    if rules is None:
        rules = _applicable[shape] = tuple(
            rule
            for rule in RULES.get(operation.service.name, ())
            if rule.member in shape.members and (not rule.operations or operation.name in rule.operations)
        )
    return rules


def _resources(
    operation: Operation, parameters: Mapping[str, Any], place: Place, *, is_data: bool
) -> Iterator[Mapping[str, str]]:
    service = operation.service.name
    if not is_data and service not in _ALWAYS_RECORDED:
        return
    arns = [arn for arn in named_arns(operation, parameters, place) if len(arn) <= ARN_CHARS_MAX and "*" not in arn]
    shown = dict.fromkeys(pair for arn in arns for pair in _typed(service, arn))
    for kind, arn in shown:
        yield {"accountId": account_of(arn) or place.account_id, **({"type": kind} if kind else {}), "ARN": arn}
    if is_data and not shown:
        yield {"accountId": place.account_id, "type": DATA_EVENTS[service].type}


def _typed(service: str, arn: str) -> Iterable[tuple[str, str]]:
    """Type and ARN of the entries that one ARN makes."""
    if service == "ssm":
        return [("", arn)] if _PARAMETER in arn else []
    if service == "kms":
        return [("AWS::KMS::Alias" if ":alias/" in arn else "AWS::KMS::Key", arn)]
    if service == "dynamodb":
        return _table(arn)
    if service == "dynamodbstreams":
        # CloudTrail User Guide, "Logging data events": the stream and the table that it is of.
        return [("AWS::DynamoDB::Stream", arn), *_table(arn)] if "/stream/" in arn else _table(arn)
    if service == "sns":
        return [("AWS::SNS::PlatformEndpoint" if ":endpoint/" in arn else "AWS::SNS::Topic", arn)]
    if service == "kinesis":
        return [("AWS::Kinesis::StreamConsumer" if "/consumer/" in arn else "AWS::Kinesis::Stream", arn)]
    if service == "lambda":
        # Selectors name functions without a qualifier (cloudtrail fact sheet 6.5: the exact function ARN).
        return [("AWS::Lambda::Function", _bare_function(arn))]
    return [(DATA_EVENTS[service].type, arn)]


def _bare_function(arn: str) -> str:
    """A function's ARN without the version or alias that it may end in."""
    return ":".join(arn.split(":")[:7])


def _table(arn: str) -> Iterable[tuple[str, str]]:
    """The table that an ARN is of, or is in: indexes, streams and backups stand below it."""
    head, slash, rest = arn.partition(":table/")
    return [("AWS::DynamoDB::Table", f"{head}{slash}{rest.partition('/')[0]}")] if slash else []

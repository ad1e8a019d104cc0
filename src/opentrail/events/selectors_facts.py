"""The facts that event selectors ask about, taken from what a record is made of.

They are those of the record that one recipient gets: a copy that does not show the caller's ARN is not selected by it.
"""

from collections.abc import Iterable, Mapping

from opentrail.events.call import Call, Outcome
from opentrail.events.record import ServiceEvent
from opentrail.events.selectors import Category
from opentrail.events.selectors_matching import EventFacts
from opentrail.events.user_identity import shown_arn

_S3_BUCKET, _S3_OBJECT = "AWS::S3::Bucket", "AWS::S3::Object"


def category_of(call: Call) -> Category:
    """The record's ``eventCategory``."""
    return Category.MANAGEMENT if call.management_event else Category.DATA


def facts_of_call(call: Call, outcome: Outcome, recipient_account_id: str) -> EventFacts:
    """The facts of a call's record for one recipient account."""
    resources = _resources(outcome.resources)
    return EventFacts(
        event_category=category_of(call),
        read_only=call.read_only,
        event_source=call.event_source,
        event_name=call.event_name,
        resources=resources if call.management_event else (*resources, *_objects_of(resources)),
        user_identity_arn=shown_arn(call.principal, recipient_account_id),
        error_code=outcome.error_code or "",
    )


def facts_of_service_event(event: ServiceEvent) -> EventFacts:
    """The facts of what a service did by itself; such events are management events."""
    return EventFacts(
        event_category=Category.MANAGEMENT,
        read_only=event.read_only,
        event_source=event.event_source,
        event_name=event.event_name,
        event_type="AwsServiceEvent",
        resources=_resources(event.resources),
    )


def _resources(resources: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((item.get("type", ""), item.get("ARN") or item.get("ARNPrefix", "")) for item in resources)


def _objects_of(resources: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """A data event about a bucket as a whole (HeadBucket) is one about all its objects: data events of S3 can only be
    selected by the type of its objects (Appendix C).
    """
    if any(kind == _S3_OBJECT for kind, _ in resources):
        return ()
    return tuple((_S3_OBJECT, f"{arn}/") for kind, arn in resources if kind == _S3_BUCKET)

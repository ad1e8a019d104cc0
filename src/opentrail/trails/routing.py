"""Which trails keep an event: the routes that are decided when its record is made and stored with the frame.

Pure. An event belongs to the trails of the recipient's account that log, are visible where it happened, and have an
event selector that takes it (cloudtrail fact sheet 6.3, 6.5): no data event is kept unless a selector asks for it.
"""

from opentrail.trails.keepers import Facts
from opentrail.trails.trail_set import TrailSet

GLOBAL_EVENT_SOURCES = frozenset(
    {"iam.amazonaws.com", "cloudfront.amazonaws.com", "organizations.amazonaws.com", "route53.amazonaws.com"}
)
"""Services whose events always belong to us-east-1 (cloudtrail fact sheet 6.3). STS is not among them: a call to its
global endpoint arrives with region us-east-1 already, and its regional endpoints are ordinary services."""


def routes(
    snapshot: TrailSet, *, account_id: str, region: str, event_source: str, event_category: str, facts: Facts
) -> tuple[str, ...]:
    """The ids of the trails of ``account_id`` (the recipient of the record) that keep this event, in a stable order.

    ``facts`` gathers what selectors ask about, which is not needed for most events; it must agree with the rest.
    """
    if event_category not in snapshot.categories:
        return ()
    keepers = snapshot.keepers(account_id)
    place = keepers.of_global_services if event_source in GLOBAL_EVENT_SOURCES else keepers.in_region(region)
    return place.of(event_category, facts)

"""Which trails keep an event: the routes that are decided when its record is made and stored with the frame.

Pure. So far every trail has CloudTrail's default selector: all management events, no data events (fact sheet 6.5).
"""

from opentrail.trails.trail import Trail, TrailSet

GLOBAL_SERVICE_REGION = "us-east-1"
GLOBAL_EVENT_SOURCES = frozenset(
    {"iam.amazonaws.com", "cloudfront.amazonaws.com", "organizations.amazonaws.com", "route53.amazonaws.com"}
)
"""Services whose events always belong to us-east-1 (cloudtrail fact sheet 6.3). STS is not among them: a call to its
global endpoint arrives with region us-east-1 already, and its regional endpoints are ordinary services."""


def routes(
    snapshot: TrailSet,
    *,
    account_id: str,
    region: str,
    event_source: str,
    event_name: str,  # noqa: ARG001  # selectors on names come with event selectors; callers must pass it already
    read_only: bool,  # noqa: ARG001  # same
    management_event: bool,
) -> tuple[str, ...]:
    """The ids of the trails of ``account_id`` (the recipient of the record) that keep this event, in a stable order."""
    if not management_event:
        return ()
    is_global = event_source in GLOBAL_EVENT_SOURCES
    where = GLOBAL_SERVICE_REGION if is_global else region
    return tuple(
        trail.trail_id
        for trail in snapshot.logging(account_id)
        if trail.is_visible_in(where) and _keeps_global(trail, is_global=is_global)
    )


def _keeps_global(trail: Trail, *, is_global: bool) -> bool:
    return trail.include_global_service_events or not is_global

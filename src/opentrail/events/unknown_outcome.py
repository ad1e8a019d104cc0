"""Calls whose outcome nobody knows: what an intent says until the outcome is there, and what stays if none comes.

Such a record is complete but for the outcome: who asked for what, when, and that it was sent on. It has the event id
that the record of the outcome takes over, so that a call has one event id whatever happens. ``OutcomeUnknown`` is a
code of ours: CloudTrail has no word for it, since there the service that acts is the one that records.
"""

from collections.abc import Mapping
from datetime import datetime

from opentrail.events.call import Outcome

OUTCOME_UNKNOWN = "OutcomeUnknown"
INTERRUPTED = (
    "The call was sent on, and OpenTrail stopped before its outcome was recorded. It may have had its effect, or not."
)
UNANSWERED = "The call was sent on, and no answer came. It may have had its effect, or not."
OUR_SENTENCES = frozenset({INTERRUPTED, UNANSWERED})


def unknown_outcome(at: datetime, *, resources: tuple[Mapping[str, str], ...] = ()) -> Outcome:
    """The outcome that stands in an intent. ``resources`` are in record form."""
    return Outcome(completed_at=at, error_code=OUTCOME_UNKNOWN, error_message=INTERRUPTED, resources=resources)

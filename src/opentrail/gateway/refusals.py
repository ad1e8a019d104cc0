"""What callers are told when the fault is ours; the reason goes into our own log."""

import logging

from opentrail.aws.model import Service
from opentrail.errors import ApiError, JournalError

log = logging.getLogger(__name__)


def internal_failure() -> ApiError:
    """What a caller is told about a bug of ours; the trace stays in our log."""
    return ApiError("InternalFailure", "The request processing has failed because of an unknown error.", status=500)


def unavailable(problem: JournalError) -> ApiError:
    """Without evidence, no effect: the refusal while the journal cannot be written."""
    log.error("refusing a call: %s", problem)
    return ApiError(
        "ServiceUnavailable", "Calls are refused because they cannot be recorded at the moment.", status=503
    )


def unserved(service: Service | None) -> ApiError:
    """The refusal of a call to a service that neither we nor any upstream has."""
    name = service.service_id if service else "that service"
    return ApiError("UnsupportedOperationException", f"OpenTrail does not serve {name}", status=501)

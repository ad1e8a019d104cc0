"""What of OpsWorks CM is not there, and why; callers are told so plainly instead of being half served."""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError

UNSUPPORTED: Mapping[str, str] = {}
"""Operation -> why it is refused: none is."""

_PUPPET = "Puppet"


def refuse_puppet(request: Mapping[str, Any]) -> None:
    """Refuse the engine that OpenTrail does not run.

    Raises ApiError ValidationException.
    """
    if request["Engine"] == _PUPPET:
        raise ApiError("ValidationException", "The engine Puppet is not supported: OpenTrail runs Chef servers only")

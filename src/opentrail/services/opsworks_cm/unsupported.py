"""What of OpsWorks CM is not there yet, and why; callers are told so plainly instead of being half served."""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError

UNSUPPORTED: Mapping[str, str] = {
    "RestoreServer": "restoring a backup is not built yet; the archive in the bucket is complete",
    "StartMaintenance": "the engine is updated with the machine's packages, not by OpenTrail",
}
"""Operation -> why it is refused."""

_UNSUPPORTED_MEMBERS: Mapping[str, str] = {
    "BackupId": "creating a server from a backup",
}
_PUPPET = "Puppet"


def refuse_unsupported_members(request: Mapping[str, Any]) -> None:
    """Refuse what CreateServer would have to ignore.

    Raises ApiError ValidationException.
    """
    for member, meaning in _UNSUPPORTED_MEMBERS.items():
        if request.get(member) is not None:
            raise ApiError("ValidationException", f"{member} is not supported yet: OpenTrail does not offer {meaning}")
    if request["Engine"] == _PUPPET:
        raise ApiError("ValidationException", "The engine Puppet is not supported: OpenTrail runs Chef servers only")

"""Multi-factor authentication of a call: the caller's own device, and a code that it shows now, used only once.

Whoever has a stolen key cannot try all codes: after ten wrong ones a device accepts none for five minutes.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from opentrail.identity.directory import MfaDevice
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.services.sts.refusals import denied
from opentrail.services.sts.single_use import SingleUse

_CODE_LIFE = timedelta(seconds=120)  # a code is accepted for three steps of 30 s

MAX_WRONG_CODES = 10
_PAUSE = timedelta(seconds=300)
_FAILED = "MultiFactorAuthentication failed"


class OneTimeCodes:
    """What was tried: codes that were used, and devices that were shown wrong ones. Safe for threads."""

    def __init__(self, *, devices: int = 10_000) -> None:
        """``devices``: how many with wrong codes are remembered, the latest ones."""
        self.used = SingleUse()
        self._devices = devices
        self._wrong: OrderedDict[str, list[datetime]] = OrderedDict()
        self._lock = Lock()

    def accept(self, device: MfaDevice, code: str, now: datetime) -> bool:
        """Whether the code is right, new, and not one guess too many."""
        with self._lock:
            recent = [at for at in self._wrong.get(device.serial, ()) if now - at < _PAUSE]
        if len(recent) >= MAX_WRONG_CODES:
            return False
        if device.accepts(code, now) and self.used.use(f"{device.serial} {code}", now + _CODE_LIFE, now):
            return True
        with self._lock:
            self._wrong[device.serial] = [*recent, now]
            self._wrong.move_to_end(device.serial)
            while len(self._wrong) > self._devices:
                self._wrong.popitem(last=False)
        return False


def is_asked_for(request: Mapping[str, Any]) -> bool:
    """Whether the request shows MFA.

    Raises ApiError AccessDenied where it has a serial number without a code, or a code without a serial number.
    """
    given = [request.get("SerialNumber") is not None, request.get("TokenCode") is not None]
    if any(given) and not all(given):
        raise denied(f"{_FAILED}, must provide both MFA serial number and one time pass code.")
    return all(given)


def verify(device: MfaDevice | None, who: Principal, code: str, codes: OneTimeCodes, now: datetime) -> None:
    """Accept a code of the caller's own, enabled device, once. Raises ApiError AccessDenied.

    Only a user or root (also in a session of GetSessionToken) has devices.
    """
    owner_id = who.principal_id if who.type in (PrincipalType.IAM_USER, PrincipalType.ROOT) else None
    if device is None or owner_id is None or device.enabled_at is None or _owner(device) != (who.account_id, owner_id):
        raise denied(
            f"{_FAILED}, unable to validate MFA code.  Please verify your MFA serial number is valid and associated "
            "with this user."
        )
    if not codes.accept(device, code, now):
        raise denied(f"{_FAILED} with invalid MFA one time pass code. ")


def _owner(device: MfaDevice) -> tuple[str, str | None]:
    return device.account_id, device.user_id

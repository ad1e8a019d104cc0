"""What the handlers of CloudTrail work with, and the look-ups that they share.

A trail of another account does not exist for the caller, but his organization's; a trail is changed in its home region
only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from opentrail.clock import Clock, Entropy
from opentrail.delivery.keyring import PublicKey
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations.store import Organizations
from opentrail.services.cloudtrail.preflight import Preflight
from opentrail.services.cloudtrail.refusals import NO_LAKE
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.services.cloudtrail.trail_logs import TrailLogs
from opentrail.state.database import Unit
from opentrail.trails.names import TrailReference, parse_reference
from opentrail.trails.notification import Publisher
from opentrail.trails.organizations import require_administrator
from opentrail.trails.store import Trails
from opentrail.trails.trail import Trail
from opentrail.trails.trail_set import TrailSet

Request = Mapping[str, Any]
Response = Mapping[str, Any]


class PublicKeys(Protocol):
    """Whose keys ListPublicKeys lists: ``delivery.keyring.Keyring``."""

    def public_keys(self, region: str, start: datetime, end: datetime) -> Sequence[PublicKey]:
        """The keys of a region that are valid at some time of a range, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The service's surroundings. ``publisher`` is the way to topics; without ``trail_keys`` no trail has a KMS key."""

    trails: Trails
    organizations: Organizations
    preflight: Preflight
    keys: PublicKeys
    publisher: Publisher
    trail_keys: TrailKeys | None
    trail_logs: TrailLogs
    clock: Clock
    entropy: Entropy


class Surroundings:
    """What every group of operations finds in ``self``."""

    parts: Parts


def reference_of(call: Call, name_or_arn: str) -> TrailReference:
    """What a request's name or ARN refers to. Raises ApiError InvalidTrailName- and CloudTrailARNInvalidException."""
    return parse_reference(name_or_arn, account_id=call.account_id, region=call.region)


def known_trail(call: Call, name_or_arn: str, trails: TrailSet, *, say_arn: bool = True) -> Trail:
    """The caller's trail of this name or ARN, to be looked at, or TrailNotFoundException.

    A name stands for a trail of the region; a trail of another region, its shadow here or not, is asked for by ARN
    (CloudTrail API Reference: GetTrailStatus, DescribeTrails). The message shows the ARN that a name stands for, as
    records of AWS do; ``say_arn`` is false for the one operation that shows the name (cloudtrail fact sheet 6.2).
    """
    reference = reference_of(call, name_or_arn)
    trail = trails.find(reference, call.account_id, shadows=False)
    if trail is None:
        raise _unknown(call, reference.arn if say_arn else name_or_arn)
    return trail


def own_trail(parts: Parts, call: Call, name_or_arn: str, unit: Unit) -> Trail:
    """The caller's trail of this name or ARN, to be changed, which is possible in its home region only.

    Raises ApiError TrailNotFoundException, NotOrganizationMasterAccountException for those who may see it only, and
    InvalidHomeRegionException anywhere but in its home region, for shadow trails too.
    """
    reference = reference_of(call, name_or_arn)
    trails = parts.trails.within(unit)
    trail = trails.find(reference, call.account_id)
    if trail is None:
        raise _unknown(call, reference.arn)
    require_administrator(call.account_id, trail.account_id, trails.organizations)
    if trail.home_region != call.region:
        message = f"Trail {trail.arn} can only be changed in its home region, {trail.home_region}."
        raise ApiError("InvalidHomeRegionException", message)
    return trail


def named_trail(request: Request, *store_members: str) -> str:
    """The ``TrailName`` of a request that can also be about an event data store, by ``store_members``.

    Raises ApiError InvalidParameterCombinationException for both or neither, UnsupportedOperationException for a store.
    """
    name, stores = request.get("TrailName"), [member for member in store_members if request.get(member) is not None]
    if name is not None and stores:
        raise _combination(f"TrailName and {' and '.join(stores)} cannot be given together.")
    if stores:
        raise ApiError("UnsupportedOperationException", f"{stores[0]}: {NO_LAKE} in this version.")
    if name is None:
        raise _combination("TrailName or EventDataStore must be given.")
    return str(name)


def _combination(message: str) -> ApiError:
    return ApiError("InvalidParameterCombinationException", message)


def _unknown(call: Call, shown: str) -> ApiError:
    return ApiError("TrailNotFoundException", f"Unknown trail: {shown} for the user: {call.account_id}")


def refuse_token(request: Request, code: str) -> None:
    """Raise ApiError ``code`` for a paging token where none was ever given."""
    if request.get("NextToken"):
        raise ApiError(code, "The token is not valid: everything was answered in one page.")

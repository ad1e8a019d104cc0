"""ARNs of CloudTrail's resources beside trails (cloudtrail fact sheet 6.1), none of which exists here. Pure."""

import re

from opentrail.aws.arn import Arn, parse_arn
from opentrail.errors import ApiError

LAKE_KINDS = ("eventdatastore", "channel", "dashboard")
"""The kinds of resources of CloudTrail Lake, as their ARNs write them."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NOT_VALID = {"eventdatastore": "EventDataStoreARNInvalidException", "channel": "ChannelARNInvalidException"}


def resource_arn(text: str) -> Arn:
    """The ARN of one of CloudTrail's resources of any kind, or of what could be one.

    Raises ValueError for what is no ARN, and for one of another service or partition.
    """
    arn = parse_arn(text)
    if (arn.partition, arn.service) != ("aws", "cloudtrail") or not arn.region or not arn.account_id:
        raise ValueError("it is not an ARN of CloudTrail in this partition, with a Region and an account")
    return arn


def check_lake_arn(arn: Arn) -> None:
    """Raise ApiError EventDataStoreARNInvalid- or ChannelARNInvalidException where the id cannot be one: a UUID."""
    code = _NOT_VALID.get(arn.resource_type)
    if code and not _UUID.fullmatch(arn.resource_id):
        raise ApiError(code, f"{arn} is not valid: its resource must be {arn.resource_type}/ and a UUID.")

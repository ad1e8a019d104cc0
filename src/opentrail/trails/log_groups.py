"""Where in CloudWatch Logs a trail's records go, and the port to it (cloudtrail fact sheet 6.2, 10). Pure.

Rules. The group is one of the trail's own account and home region, and takes what the trail keeps in every region. The
stream is named after the trail's account and home region, an organization trail's after its organization too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opentrail.aws.arn import parse_arn
from opentrail.errors import ApiError, OutboundError
from opentrail.identity.principal import Principal
from opentrail.trails.trail import Trail

EVERY_STREAM = ":*"
"""How the ARN of a log group has to end where a trail names it."""

_RESOURCE = re.compile(r"log-group:(?P<name>[A-Za-z0-9._/#-]{1,512}):\*")


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream of a log group."""

    account_id: str
    region: str
    group: str
    name: str

    @property
    def arn(self) -> str:
        """The stream's ARN, which permissions are about."""
        return f"arn:aws:logs:{self.region}:{self.account_id}:log-group:{self.group}:log-stream:{self.name}"


class LogGroups(Protocol):
    """The way to CloudWatch Logs, as the account that a stream is of. ``session``: that of the trail's role."""

    def is_served(self) -> bool:
        """Whether there is anybody to call."""

    def create_stream(self, stream: LogStream, session: Principal) -> None:
        """Make a stream, or find it made. Raises OutboundError with the service's code."""

    def put(self, stream: LogStream, records: Sequence[bytes], at_ms: int) -> None:
        """Put each record as one log event with this timestamp, epoch ms. Raises OutboundError with the service's
        code.
        """


class NoLogGroups:
    """CloudWatch Logs where nobody serves it."""

    def is_served(self) -> bool:
        """No."""
        return False

    def create_stream(self, stream: LogStream, session: Principal) -> None:  # noqa: ARG002 - the port's form
        """Raises OutboundError NotConfigured."""
        raise OutboundError("NotConfigured", f"no upstream serves {stream.arn}")

    def put(self, stream: LogStream, records: Sequence[bytes], at_ms: int) -> None:  # noqa: ARG002 - the port's form
        """Raises OutboundError NotConfigured."""
        raise OutboundError("NotConfigured", f"no upstream serves {stream.arn}")


def stream_of(trail: Trail) -> LogStream | None:
    """The stream that a trail's records go to; None where it has no log group."""
    if trail.log_group_arn is None:
        return None
    arn = parse_arn(trail.log_group_arn)
    name = f"{trail.account_id}_CloudTrail_{trail.home_region}"
    if trail.is_organization:
        name = f"{trail.organization_id}_{name}"
    return LogStream(arn.account_id, arn.region, arn.resource_id.removesuffix(EVERY_STREAM), name)


def check_pair(trail: Trail) -> None:
    """Raise ApiError unless a trail has a log group and a role that could be its own, or neither.

    Codes: InvalidCloudWatchLogsLogGroupArn- and InvalidCloudWatchLogsRoleArnException.
    """
    group, role = trail.log_group_arn, trail.logs_role_arn
    if group is None and role is None:
        return
    if role is None:
        raise invalid_role("You must specify a role ARN as well as a log group.")
    if group is None:
        raise invalid_group("You must specify a log group ARN as well as a role.")
    if not _is_group_of(trail, group):
        raise invalid_group(
            "CloudTrail cannot validate the specified log group ARN: it must be that of a log group of account "
            f"{trail.account_id} in {trail.home_region}, and end in {EVERY_STREAM}."
        )
    if not _is_role_of(trail, role):
        raise invalid_role(f"{role[:200]} is not the ARN of a role of account {trail.account_id}.")


def invalid_group(message: str) -> ApiError:
    """The refusal of a log group."""
    return ApiError("InvalidCloudWatchLogsLogGroupArnException", message)


def invalid_role(message: str) -> ApiError:
    """The refusal of a role."""
    return ApiError("InvalidCloudWatchLogsRoleArnException", message)


def _is_group_of(trail: Trail, text: str) -> bool:
    try:
        arn = parse_arn(text)
    except ValueError:
        return False
    place = (arn.partition, arn.service, arn.region, arn.account_id)
    return place == ("aws", "logs", trail.home_region, trail.account_id) and bool(_RESOURCE.fullmatch(arn.resource))


def _is_role_of(trail: Trail, text: str) -> bool:
    try:
        arn = parse_arn(text)
    except ValueError:
        return False
    return (arn.service, arn.region, arn.account_id) == ("iam", "", trail.account_id) and arn.resource_type == "role"

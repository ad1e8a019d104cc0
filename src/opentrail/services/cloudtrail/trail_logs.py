"""Log groups of trails: tried before they are taken (cloudtrail fact sheet 6.2, 10)."""

from dataclasses import dataclass

from opentrail.clock import Clock
from opentrail.errors import ApiError, OutboundError
from opentrail.trails.log_groups import LogGroups, LogStream, check_pair, invalid_group, invalid_role, stream_of
from opentrail.trails.logs_role import Identities, Lack, RoleProblem, usable_session
from opentrail.trails.trail import Trail

_GONE = "ResourceNotFoundException"
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_UNSERVED = (
    "CloudWatchLogsLogGroupArn: no upstream serves CloudWatch Logs. Name one for `logs` in the configuration "
    '([upstream.NAME] services = ["logs"]), or run with the embedded MiniStack.'
)


@dataclass(frozen=True, slots=True)
class TrailLogs:
    """Tries log groups and roles. ``groups`` is the way to CloudWatch Logs."""

    identities: Identities
    groups: LogGroups
    clock: Clock

    def check(self, trail: Trail) -> None:
        """Make the trail's stream in its log group, as a delivery would; nothing for a trail that has none.

        Raises ApiError: InvalidCloudWatchLogsLogGroupArnException, InvalidCloudWatchLogsRoleArnException,
        CloudWatchLogsDeliveryUnavailableException where no upstream has log groups, ServiceUnavailable (503) where it
        cannot be asked.
        """
        check_pair(trail)
        stream = stream_of(trail)
        if stream is None:
            return
        if not self.groups.is_served():
            raise ApiError("CloudWatchLogsDeliveryUnavailableException", _UNSERVED)
        session = usable_session(self.identities, trail, stream, self.clock.now())
        if isinstance(session, RoleProblem):
            raise _refusal_of(session)
        try:
            self.groups.create_stream(stream, session)
        except OutboundError as problem:
            raise _refusal(stream, problem) from problem


def _refusal_of(problem: RoleProblem) -> ApiError:
    if problem.lack is Lack.TRUST:
        return invalid_role(f"Access denied. Check the trust relationships for your role: {problem.message}.")
    return invalid_group(f"Access denied. Check the permissions for your role: {problem.message}.")


def _refusal(stream: LogStream, problem: OutboundError) -> ApiError:
    if problem.code == _GONE:
        said = f"CloudTrail cannot validate the specified log group ARN: there is no log group {stream.group}"
        return invalid_group(f"{said} in {stream.region}.")
    if problem.code in _DENIED:
        return invalid_group(f"Access denied. Check the permissions for your role: {problem.message}")
    said = f"Log group {stream.group} cannot be reached now ({problem.code})."
    return ApiError("ServiceUnavailable", said, status=503)

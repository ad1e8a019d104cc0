"""Resource-based policies, which channels, event data stores and dashboards can have, and trails cannot.

There are none of these resources yet, so every well-formed request ends in the error of one that does not exist
(CloudTrail API Reference: GetResourcePolicy, PutResourcePolicy, DeleteResourcePolicy).
"""

from typing import NoReturn

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.policy import parse
from opentrail.services.cloudtrail.lake_arns import LAKE_KINDS, resource_arn
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class PolicyOperations(Surroundings):
    """DeleteResourcePolicy, GetResourcePolicy, PutResourcePolicy."""

    @operation("DeleteResourcePolicy", writes=True)
    def delete_resource_policy(self, _call: Call, request: Request, _unit: Unit) -> Response:
        """Delete the policy of a resource."""
        _not_found(_supported(request["ResourceArn"]))

    @operation("GetResourcePolicy")
    def get_resource_policy(self, _call: Call, request: Request) -> Response:
        """The policy of a resource."""
        _not_found(_supported(request["ResourceArn"]))

    @operation("PutResourcePolicy", writes=True)
    def put_resource_policy(self, _call: Call, request: Request, _unit: Unit) -> Response:
        """Give a resource a policy. The document is read first: what is wrong with it is told in any case."""
        arn = _supported(request["ResourceArn"])
        try:
            parse(request["ResourcePolicy"])
        except ValueError as problem:
            raise ApiError("ResourcePolicyNotValidException", f"The resource policy is not valid: {problem}") from None
        _not_found(arn)


def _supported(text: str) -> str:
    """The ARN of a resource that can have a policy.

    Raises ApiError ResourceARNNotValid- and ResourceTypeNotSupportedException.
    """
    try:
        arn = resource_arn(text)
    except ValueError as problem:
        raise ApiError("ResourceARNNotValidException", f"The resource ARN {text} is not valid: {problem}.") from None
    if arn.resource_type not in LAKE_KINDS:
        said = "policies can be attached to event data stores, channels and dashboards"
        raise ApiError("ResourceTypeNotSupportedException", f"{text} cannot have a resource policy: {said}.")
    return text


def _not_found(arn: str) -> NoReturn:
    raise ApiError("ResourceNotFoundException", f"The specified resource {arn} cannot be found.")

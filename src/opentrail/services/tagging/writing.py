"""TagResources, UntagResources: each resource through its own service, as the caller, who needs its permission too."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentrail.events.call import Call
from opentrail.services.operation import operation
from opentrail.services.tagging.parts import Failure, Parts, Request, Response
from opentrail.services.tagging.tagged import service_in


class WritingOperations:
    """The operations that change tags; a part of ``TaggingService``."""

    parts: Parts

    @operation("TagResources")
    def tag_resources(self, call: Call, request: Request) -> Response:
        """Add tags to up to twenty resources; those that could not be tagged are told, each with its reason."""
        return self._change(call, request, "TagResources", {"Tags": request["Tags"]}, request["Tags"])

    @operation("UntagResources")
    def untag_resources(self, call: Call, request: Request) -> Response:
        """Take tags off up to twenty resources; the rest as for TagResources."""
        return self._change(call, request, "UntagResources", {"TagKeys": request["TagKeys"]}, request["TagKeys"])

    def _change(
        self, call: Call, request: Request, name: str, members: Request, tags: Mapping[str, str] | Sequence[str]
    ) -> Response:
        failed: dict[str, Any] = {}
        foreign: list[str] = []
        for arn in dict.fromkeys(request["ResourceARNList"]):
            service = service_in(arn)
            if not service:
                failed[arn] = _told(Failure(400, "InvalidParameterException", f"{arn[:300]} is not an ARN"))
            elif service in self.parts.sources:
                failure = self.parts.taggers.change(call, arn, tags)
                if failure is not None:
                    failed[arn] = _told(failure)
            elif service in self.parts.own or not self.parts.elsewhere.is_there():
                message = f"Resources of {service[:60]} cannot be tagged through this API here"
                failed[arn] = _told(Failure(500, "InternalServiceException", message))
            else:
                foreign.append(arn)
        if foreign:
            answer = self.parts.elsewhere.change(name, call, {"ResourceARNList": foreign, **members})
            failed |= answer.get("FailedResourcesMap", {})
        return {"FailedResourcesMap": failed}


def _told(failure: Failure) -> Mapping[str, Any]:
    return {"StatusCode": failure.status, "ErrorCode": failure.code, "ErrorMessage": failure.message}

"""The keys by which digest files are verified (cloudtrail fact sheet 5.5)."""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings, refuse_token
from opentrail.services.cloudtrail.rendering import public_key_of
from opentrail.services.operation import operation


class KeyOperations(Surroundings):
    """ListPublicKeys."""

    @operation("ListPublicKeys")
    def list_public_keys(self, call: Call, request: Request) -> Response:
        """The public keys that may have signed the region's digest files in a range of time, by default now."""
        refuse_token(request, "InvalidTokenException")
        now = self.parts.clock.now()
        start, end = request.get("StartTime", now), request.get("EndTime", now)
        if start > end:
            raise ApiError("InvalidTimeRangeException", "The start time must not be after the end time.")
        return {"PublicKeyList": [public_key_of(key) for key in self.parts.keys.public_keys(call.region, start, end)]}

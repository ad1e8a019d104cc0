"""Tags of the root, of organizational units and of accounts."""

from collections.abc import Mapping
from typing import Any

from opentrail.events.call import Call
from opentrail.organizations.accounts import put_tags, tags_of
from opentrail.organizations.organization import Organization
from opentrail.services.operation import operation
from opentrail.services.organizations import refusals, rendering
from opentrail.services.organizations.parts import Surroundings, mastered, new_tags, readable, refuse_system_tags
from opentrail.state.database import Unit

Request = Mapping[str, Any]


class TagOperations(Surroundings):
    """The operations on tags; a part of ``OrganizationsService``."""

    @operation("TagResource", writes=True)
    def tag_resource(self, call: Call, request: Request, unit: Unit) -> Request:
        """Add tags, or give existing ones new values."""
        found = mastered(self.parts.organizations.within(unit), call)
        resource_id = _tagged(found, request)
        tags = new_tags(request, tags_of(unit.connection, found.organization_id, resource_id))
        put_tags(unit, found.organization_id, resource_id, tags)
        return {}

    @operation("UntagResource", writes=True)
    def untag_resource(self, call: Call, request: Request, unit: Unit) -> Request:
        """Take tags off; keys that are not there are no error."""
        found = mastered(self.parts.organizations.within(unit), call)
        resource_id = _tagged(found, request)
        refuse_system_tags(request["TagKeys"])
        tags = tags_of(unit.connection, found.organization_id, resource_id)
        kept = {key: value for key, value in tags.items() if key not in request["TagKeys"]}
        put_tags(unit, found.organization_id, resource_id, kept)
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, call: Call, request: Request) -> Request:
        """All tags; there are never so many that they take a second page."""
        found = readable(self.parts.organizations.snapshot, call)
        resource_id = _tagged(found, request)
        with self.parts.organizations.database.read() as connection:
            return {"Tags": rendering.tag_list(tags_of(connection, found.organization_id, resource_id))}


def _tagged(found: Organization, request: Request) -> str:
    """The resource that a request names. Raises ApiError TargetNotFound."""
    resource_id: str = request["ResourceId"]
    if not found.has_parent(resource_id) and resource_id not in found.members:
        raise refusals.no_target()
    return resource_id

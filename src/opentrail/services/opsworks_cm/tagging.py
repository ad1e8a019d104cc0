"""TagResource, UntagResource, ListTagsForResource, for servers and backups.

Rules: opsworks-cm fact sheet 9. An ARN of another account or region names nothing that the caller has.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.opsworks.backups import Backup, BackupStatus
from opentrail.opsworks.server import Server, check_allowed
from opentrail.opsworks.tags import add_tags, read_tag_keys, read_tags, remove_tags, tags_of
from opentrail.services.operation import operation
from opentrail.services.opsworks_cm.parts import Parts
from opentrail.state.database import Unit


class TagOperations:
    """The operations on tags; a part of ``OpsWorksCmService``."""

    parts: Parts

    @operation("TagResource", writes=True)
    def tag_resource(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Add tags, or give existing ones new values."""
        added = read_tags(request["Tags"])
        resource = self._resource(unit.connection, call, request["ResourceArn"])
        _check_changeable(resource, "TagResource")
        add_tags(unit, resource.arn, added)
        return {}

    @operation("UntagResource", writes=True)
    def untag_resource(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Take tags off; keys that are not there are no error."""
        keys = read_tag_keys(request["TagKeys"])
        resource = self._resource(unit.connection, call, request["ResourceArn"])
        _check_changeable(resource, "UntagResource")
        remove_tags(unit, resource.arn, keys)
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A resource's tags in the order of their keys."""
        parts = self.parts
        with parts.store.database.read() as connection:
            resource = self._resource(connection, call, request["ResourceArn"])
            tags = [{"Key": key, "Value": value} for key, value in tags_of(connection, resource.arn).items()]
        begin = parts.place(call, request, resource.arn) or 0
        end = begin + (request.get("MaxResults") or len(tags))
        answer: dict[str, Any] = {"Tags": tags[begin:end]}
        if end < len(tags):
            answer["NextToken"] = parts.next_token(call, end, resource.arn)
        return answer

    def _resource(self, connection: sa.Connection, call: Call, arn: str) -> Server | Backup:
        kind, _, rest = arn.rpartition(":")[2].partition("/")
        found: Server | Backup | None = None
        if kind == "server":
            found = self.parts.store.server(connection, call.account_id, call.region, rest.partition("/")[0])
        elif kind == "backup":
            found = self.parts.store.backup(connection, call.account_id, call.region, rest)
        if found is None or found.arn != arn:
            raise ApiError("ResourceNotFoundException", f"Resource with ARN {arn[:300]} does not exist")
        return found


def _check_changeable(resource: Server | Backup, operation_name: str) -> None:
    if isinstance(resource, Server):
        check_allowed(resource, operation_name)
    elif resource.status is BackupStatus.DELETING:
        raise ApiError("InvalidStateException", f"Backup {resource.backup_id} is being deleted")

"""TagResource, UntagResource, ListTagsForResource, for topics."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.operation import operation
from opentrail.services.sns import refusals
from opentrail.services.sns.parts import Surroundings, new_tags, topic_name
from opentrail.state.database import Unit
from opentrail.topics.topic import TAGS_MAX, Topic

Request = Mapping[str, Any]


class TagOperations(Surroundings):
    """The operations on tags; a part of ``SnsService``."""

    @operation("TagResource", writes=True)
    def tag_resource(self, call: Call, request: Request, unit: Unit) -> Request:
        """Add tags to a topic, or give existing ones new values."""
        topic = self._tagged(unit.connection, call, request)
        tags = {**topic.tags, **new_tags(request)}
        if len(tags) > TAGS_MAX:
            raise ApiError("TagLimitExceededException", f"A topic has at most {TAGS_MAX} tags")
        self.parts.store.put_topic(unit, replace(topic, tags=tags))
        return {}

    @operation("UntagResource", writes=True)
    def untag_resource(self, call: Call, request: Request, unit: Unit) -> Request:
        """Take tags off a topic; keys that are not there are no error."""
        topic = self._tagged(unit.connection, call, request)
        kept = {key: value for key, value in topic.tags.items() if key not in request["TagKeys"]}
        self.parts.store.put_topic(unit, replace(topic, tags=kept))
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, call: Call, request: Request) -> Request:
        """A topic's tags."""
        with self.parts.store.database.read() as connection:
            topic = self._tagged(connection, call, request)
        return {"Tags": [{"Key": key, "Value": value} for key, value in topic.tags.items()]}

    def _tagged(self, connection: sa.Connection, call: Call, request: Request) -> Topic:
        name = topic_name(call, request["ResourceArn"], "ResourceArn")
        found = self.parts.store.topic(connection, name.arn)
        if found is None or name.account_id != call.account_id:
            raise refusals.no_resource()
        return found

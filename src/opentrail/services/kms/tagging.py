"""Tags of keys."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.answer import Answer
from opentrail.services.kms.parts import Parts, Request, about, page
from opentrail.services.operation import operation
from opentrail.state.database import Unit

MAX_TAGS = 50


class TagOperations:
    """Operations on tags."""

    parts: Parts

    @operation("TagResource", writes=True)
    def tag_resource(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Add tags to a key; one that exists gets the new value."""
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit))
        tagged = key.tagged(read_tags(request["Tags"]))
        _check_count(tagged.tags)
        self.parts.keys.put(unit, tagged)
        return about(tagged)

    @operation("UntagResource", writes=True)
    def untag_resource(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Remove tags from a key by their keys."""
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit))
        self.parts.keys.put(unit, key.untagged(frozenset(request["TagKeys"])))
        return about(key)

    @operation("ListResourceTags")
    def list_resource_tags(self, call: Call, request: Request) -> Answer:
        """A key's tags."""
        key = self.parts.own_key(call, request["KeyId"], self.parts.keys.snapshot)
        shown, following = page(request, sorted(key.tags.items()), _name)
        return about(key, {"Tags": [{"TagKey": name, "TagValue": value} for name, value in shown], **following})


def read_tags(raw: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    """The tags of a request. Raises ApiError TagException for a key given twice or one of AWS's own."""
    found: dict[str, str] = {}
    for tag in raw:
        name = tag["TagKey"]
        if name in found or name.lower().startswith("aws:"):
            raise ApiError("TagException", "Tag keys must be unique, and must not begin with aws:")
        found[name] = tag["TagValue"]
    _check_count(found)
    return found


def _check_count(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise ApiError("LimitExceededException", f"A key has at most {MAX_TAGS} tags")


def _name(item: tuple[str, str]) -> str:
    return item[0]

"""The rules of tags on trails (cloudtrail fact sheet 6.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentrail.errors import ApiError
from opentrail.trails.trail import MAX_TAGS, Trail

_MAX_KEY_LENGTH = 128
_MAX_VALUE_LENGTH = 256


def read_tags(tags_list: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """A request's ``TagsList`` as a mapping. Raises InvalidTagParameterException where it breaks a rule."""
    tags: dict[str, str | None] = {}
    for tag in tags_list:
        key, value = tag.get("Key", ""), tag.get("Value")
        if not 1 <= len(key) <= _MAX_KEY_LENGTH:
            raise _invalid(f"The tag key must be between 1 and {_MAX_KEY_LENGTH} characters long.")
        if len(value or "") > _MAX_VALUE_LENGTH:
            raise _invalid(f"The value of tag {key} is longer than {_MAX_VALUE_LENGTH} characters.")
        if key.lower().startswith("aws:"):
            raise _invalid(f"The tag key {key} begins with aws:, which is reserved.")
        if key in tags:
            raise _invalid(f"The tag key {key} is given more than once.")
        tags[key] = value
    return tags


def check_tag_count(trail: Trail) -> None:
    """Raise TagsLimitExceededException for a trail with more than 50 tags."""
    if len(trail.tags) > MAX_TAGS:
        raise ApiError(
            "TagsLimitExceededException",
            f"The number of tags per trail has exceeded the permitted amount. The limit is {MAX_TAGS}.",
        )


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidTagParameterException", message)

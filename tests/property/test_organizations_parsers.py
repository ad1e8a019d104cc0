"""Parsers of callers' texts in Organizations: any input gives a value or the modelled error."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.services.organizations.parts import new_tags, page

KEYS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=12, unique=True)
TEXTS = st.text(max_size=12)


def pages(keys: list[str], size: int, gone: frozenset[str] = frozenset()) -> list[str]:
    """What a caller collects page by page, while some items disappear after the first page."""
    collected: list[str] = []
    request: dict[str, Any] = {"MaxResults": size}
    while True:
        answer = page(request, keys, "Items", str, str)
        collected += answer["Items"]
        assert len(answer["Items"]) <= size
        if "NextToken" not in answer:
            return collected
        request = {"MaxResults": size, "NextToken": answer["NextToken"]}
        keys = [key for key in keys if key not in gone]


@given(KEYS, st.integers(1, 20))
def test_organizations_pages_hold_each_item_once(keys: list[str], size: int) -> None:
    """Whatever the order it comes in and the size of the pages."""
    assert pages(keys, size) == sorted(keys)


@given(KEYS, st.integers(1, 3), st.data())
def test_organizations_pages_survive_what_disappears(keys: list[str], size: int, data: st.DataObject) -> None:
    """What stays is told once, although the last item of a page may be gone."""
    gone = frozenset(data.draw(st.lists(st.sampled_from(keys), max_size=4)) if keys else ())
    told = pages(keys, size, gone)
    assert len(set(told)) == len(told)
    assert set(keys) - gone <= set(told)


@given(st.text(max_size=40))
def test_organizations_foreign_tokens_do_no_harm(token: str) -> None:
    """A page from some place on, or the refusal that the model has."""
    try:
        answer = page({"NextToken": token}, ["a", "b"], "Items", str, str)
    except ApiError as error:
        assert (error.code, error.members) == ("InvalidInputException", {"Reason": "INVALID_NEXT_TOKEN"})
    else:
        assert set(answer["Items"]) <= {"a", "b"}


@given(st.lists(st.fixed_dictionaries({"Key": TEXTS, "Value": TEXTS}), max_size=60), st.dictionaries(TEXTS, TEXTS))
def test_organizations_tags_are_taken_or_refused_whole(given_tags: list[dict[str, str]], had: dict[str, str]) -> None:
    """All of them, over those that were there, or none."""
    try:
        tags = new_tags({"Tags": given_tags}, had)
    except ApiError as error:
        reasons = {"DUPLICATE_TAG_KEY", "INVALID_SYSTEM_TAGS_PARAMETER", "MAX_TAG_LIMIT_EXCEEDED"}
        assert error.members["Reason"] in reasons
    else:
        assert tags == had | {tag["Key"]: tag["Value"] for tag in given_tags}

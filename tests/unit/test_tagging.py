"""Which tagged resources a request means, in pages; and that every operation of the API is answered or refused."""

import base64
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.services.operation import handlers_of
from opentrail.services.tagging import UNSUPPORTED, TaggingService
from opentrail.services.tagging.parts import Place, place_of
from opentrail.services.tagging.tagged import Tagged, Wanted, page, service_in, type_in

TRAIL = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
TOPIC = "arn:aws:sns:us-east-1:123456789012:news"
BACKUP = "arn:aws:opsworks-cm:us-east-1:123456789012:backup/b"


def test_every_operation_is_handled_or_listed() -> None:
    """Handlers and refusals together are exactly the operations of the model, and do not overlap."""
    model = botocore.session.get_session().get_service_model("resourcegroupstaggingapi")
    handled = set(handlers_of(object.__new__(TaggingService)))
    assert handled.isdisjoint(UNSUPPORTED)
    assert handled | set(UNSUPPORTED) == set(model.operation_names)


@pytest.mark.parametrize(
    ("arn", "service", "kind"),
    [
        (TRAIL, "cloudtrail", "trail"),
        (KEY, "kms", "key"),
        (TOPIC, "sns", "topic"),
        (BACKUP, "opsworks-cm", "backup"),
        ("arn:aws:s3:::bucket", "s3", ""),
        ("arn:aws:logs:us-east-1:123456789012:log-group:g", "logs", "log-group"),
        ("arn:aws:kms", "", ""),
        ("x", "", ""),
    ],
)
def test_types_are_those_in_arns(arn: str, service: str, kind: str) -> None:
    """As ResourceTypeFilters name them."""
    assert (service_in(arn), type_in(arn)) == (service, kind)


def test_filters_must_all_hold_and_values_are_alternatives() -> None:
    """A filter without values asks for the key; types stand beside tags."""
    trail = Tagged(TRAIL, {"stage": "prod", "team": "audit"})

    def takes(*tags: tuple[str, frozenset[str]], types: frozenset[str] = frozenset()) -> bool:
        return Wanted(tags, types).takes(trail)

    assert takes()
    assert takes(("stage", frozenset()))
    assert takes(("stage", frozenset({"test", "prod"})), ("team", frozenset({"audit"})))
    assert not takes(("stage", frozenset({"prod"})), ("team", frozenset({"press"})))
    assert not takes(("owner", frozenset()))
    assert takes(types=frozenset({"cloudtrail:trail", "kms"}))
    assert takes(types=frozenset({"cloudtrail"}))
    assert not takes(types=frozenset({"cloudtrail:channel"}))


@pytest.mark.parametrize(
    ("types", "reaches"),
    [([], True), (["sqs"], True), (["kms:key", "sqs:queue"], True), (["kms", "cloudtrail:trail"], False)],
)
def test_others_are_asked_only_where_theirs_can_be_meant(types: list[str], reaches: bool) -> None:
    """A request about trails does not wait for an upstream."""
    assert Wanted(types=frozenset(types)).reaches(frozenset({"kms", "cloudtrail"})) is reaches


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 60), max_size=30),
    st.integers(1, 7),
    st.sampled_from([None, 100, 200]),
)
def test_pages_together_are_everything_once(sizes: dict[str, int], size: int, tags_per_page: int | None) -> None:
    """In ARN order, none larger than asked for, none split."""
    resources = [Tagged(arn, {str(number): "" for number in range(count)}) for arn, count in sizes.items()]
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        shown, after = page(resources, after, size=size, tags_per_page=tags_per_page)
        assert len(shown) <= size
        assert tags_per_page is None or sum(max(len(one.tags), 1) for one in shown) <= tags_per_page
        seen += [one.arn for one in shown]
    assert seen == sorted(sizes)


@given(st.builds(Place, st.booleans(), st.text(max_size=40)))
def test_a_place_survives_its_token(place: Place) -> None:
    """Ours and the upstream's alike."""
    assert place_of({"PaginationToken": place.token()}) == place


@given(st.one_of(st.text(max_size=40), st.binary(max_size=20).map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_a_token_is_one_of_ours_or_refused(text: str) -> None:
    """Nothing else comes out."""
    request: dict[str, Any] = {"PaginationToken": text}
    try:
        place = place_of(request)
    except ApiError as error:
        assert error.code == "InvalidParameterException"
    else:
        said = ("o" if place.is_ours else "u") + place.after
        assert not text or base64.urlsafe_b64decode(text).decode() == said

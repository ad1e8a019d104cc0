"""Insight selectors and aggregation configurations of a trail: their rules, and the forms they are kept in."""

from typing import Any

import pytest

from opentrail.errors import ApiError
from opentrail.events.selectors import DEFAULT, Category, Selectors, read
from opentrail.trails.aggregation import aggregations_from, aggregations_text, check_aggregations, read_aggregations
from opentrail.trails.insights import check_insights, insights_from, insights_text, logs, read_insights

CALLS, ERRORS = "ApiCallRateInsight", "ApiErrorRateInsight"


def _basic(**members: Any) -> Selectors:
    return read({"EventSelectors": [members]})


def _advanced(category: str, *fields: dict[str, Any]) -> Selectors:
    first = {"Field": "eventCategory", "Equals": [category]}
    return read({"AdvancedEventSelectors": [{"FieldSelectors": [first, *fields]}]})


READS = {"Field": "readOnly", "Equals": ["true"]}
WRITES = {"Field": "readOnly", "Equals": ["false"]}
S3 = {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}
OBJECTS = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]


@pytest.mark.parametrize(
    ("selectors", "writes", "management", "data"),
    [
        (DEFAULT, True, True, False),
        (_basic(ReadWriteType="ReadOnly"), False, True, False),
        (_basic(ReadWriteType="WriteOnly"), True, True, False),
        (_basic(IncludeManagementEvents=False, DataResources=OBJECTS), False, False, True),
        (_basic(ReadWriteType="ReadOnly", DataResources=OBJECTS), False, True, True),
        (_advanced("Management"), True, True, False),
        (_advanced("Management", READS), False, True, False),
        (_advanced("Management", WRITES), True, True, False),
        (_advanced("Data", S3, READS), False, False, True),
        (_advanced("NetworkActivity"), False, False, False),
        (Selectors(), False, False, False),
    ],
)
def test_what_a_trail_logs_follows_from_its_selectors(
    selectors: Selectors, writes: bool, management: bool, data: bool
) -> None:
    """Write management events, any management events, and data events, by basic and by advanced selectors."""
    assert logs(selectors, Category.MANAGEMENT, writes=True) is writes
    assert logs(selectors, Category.MANAGEMENT) is management
    assert logs(selectors, Category.DATA) is data


@pytest.mark.parametrize(
    ("insights", "selectors"),
    [
        ([{"InsightType": CALLS}, {"InsightType": ERRORS}], DEFAULT),
        ([{"InsightType": ERRORS, "EventCategories": ["Management"]}], _basic(ReadWriteType="ReadOnly")),
        ([{"InsightType": CALLS, "EventCategories": ["Data"]}], _advanced("Data", S3, READS)),
        ([{"InsightType": CALLS, "EventCategories": ["Data", "Management"]}], _basic(DataResources=OBJECTS)),
        ([], _basic(IncludeManagementEvents=False)),
    ],
)
def test_insights_on_what_is_logged_pass(insights: list[dict[str, Any]], selectors: Selectors) -> None:
    """Each type with the events that it is computed from; none at all is always possible."""
    check_insights(read_insights(insights), selectors)


@pytest.mark.parametrize(
    ("insights", "selectors", "said"),
    [
        ([{}], DEFAULT, "one of the types"),
        ([{"InsightType": "Other"}], DEFAULT, "one of the types"),
        ([{"InsightType": CALLS}, {"InsightType": CALLS}], DEFAULT, "more than once"),
        ([{"InsightType": CALLS, "EventCategories": []}], DEFAULT, "must name each event category once"),
        ([{"InsightType": CALLS, "EventCategories": ["Management"] * 2}], DEFAULT, "each event category once"),
        ([{"InsightType": CALLS}], _basic(ReadWriteType="ReadOnly"), "write management events"),
        ([{"InsightType": CALLS}], _advanced("Management", READS), "write management events"),
        ([{"InsightType": ERRORS}], _advanced("Data", S3), "read or write management events"),
        ([{"InsightType": ERRORS, "EventCategories": ["Data"]}], DEFAULT, "logs data events"),
        ([{"InsightType": CALLS, "EventCategories": ["Management", "Data"]}], DEFAULT, "logs data events"),
    ],
)
def test_insights_that_cannot_be_are_refused(insights: list[dict[str, Any]], selectors: Selectors, said: str) -> None:
    """The refusal names what is wrong, or what the trail would have to log."""
    with pytest.raises(ApiError, match=said) as refused:
        check_insights(read_insights(insights), selectors)
    assert refused.value.code == "InvalidInsightSelectorsException"


def test_both_are_kept_as_they_were_given() -> None:
    """No default is written into them; none is null in state."""
    insights: list[dict[str, Any]] = [
        {"InsightType": ERRORS, "EventCategories": ["Data", "Management"]},
        {"InsightType": CALLS},
    ]
    assert insights_from(insights_text(read_insights(insights))) == read_insights(insights)
    assert insights_text(read_insights([{"InsightType": CALLS}])) == '[{"InsightType":"ApiCallRateInsight"}]'
    configurations = [{"Templates": ["USER_ACTIONS", "API_ACTIVITY"], "EventCategory": "Data"}]
    kept = aggregations_text(read_aggregations(configurations))
    assert aggregations_from(kept) == read_aggregations(configurations)
    assert (insights_text(()), insights_from(None), aggregations_text(()), aggregations_from(None)) == (
        *(None, ()),
        *(None, ()),
    )


def test_only_logged_data_events_are_aggregated_and_by_each_template_once() -> None:
    """A trail without data events has nothing to sum up; ending aggregation is always possible."""
    wanted = read_aggregations([{"Templates": ["API_ACTIVITY"], "EventCategory": "Data"}])
    check_aggregations(wanted, _basic(DataResources=OBJECTS))
    check_aggregations((), DEFAULT)
    twice = read_aggregations([{"Templates": ["API_ACTIVITY"] * 2, "EventCategory": "Data"}])
    for aggregations, selectors in ((wanted, DEFAULT), (twice, _basic(DataResources=OBJECTS))):
        with pytest.raises(ApiError) as refused:
            check_aggregations(aggregations, selectors)
        assert refused.value.code == "InvalidParameterException"

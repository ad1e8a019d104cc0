"""Insight selectors: which Insights a trail asks for, as values, in the API's form and as text. Pure.

Rules (cloudtrail fact sheet 6.6). They are kept and shown as they were given; one without event categories means
management events. What a trail asks for it must also log: the rate of calls needs write management events, the rate of
errors any management events, and either of them on data events needs data events.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.selectors import AdvancedSelector, Category, Field, Operator, ReadWriteType, Selectors


class InsightType(StrEnum):
    """What is compared with its baseline, by the API's words."""

    CALL_RATE = "ApiCallRateInsight"
    ERROR_RATE = "ApiErrorRateInsight"


@dataclass(frozen=True, slots=True)
class InsightSelector:
    """One type of Insights; ``event_categories`` is None where none were given."""

    insight_type: str
    event_categories: tuple[str, ...] | None = None

    @property
    def watched(self) -> tuple[str, ...]:
        """The event categories that it is about."""
        return (Category.MANAGEMENT,) if self.event_categories is None else self.event_categories


def read_insights(items: Iterable[Mapping[str, Any]]) -> tuple[InsightSelector, ...]:
    """Insight selectors from the API's members; only what the model's types allow is expected."""
    return tuple(
        InsightSelector(
            item.get("InsightType") or "",
            None if item.get("EventCategories") is None else tuple(item["EventCategories"]),
        )
        for item in items
    )


def check_insights(insights: Sequence[InsightSelector], selectors: Selectors) -> None:
    """Raise InvalidInsightSelectorsException for insight selectors that a trail with these event selectors cannot have.

    Each has one of the two types, each type stands once, and what it is about must be logged.
    """
    seen: set[str] = set()
    for insight in insights:
        if insight.insight_type not in tuple(InsightType):
            raise _invalid(f"An insight selector must have one of the types {', '.join(InsightType)}.")
        if insight.insight_type in seen:
            raise _invalid(f"{insight.insight_type} is given more than once.")
        seen.add(insight.insight_type)
        if not insight.watched or len(set(insight.watched)) < len(insight.watched):
            raise _invalid(f"EventCategories of {insight.insight_type} must name each event category once.")
        for category in insight.watched:
            _check_logged(insight.insight_type, category, selectors)


def _check_logged(insight_type: str, category: str, selectors: Selectors) -> None:
    if category == Category.DATA:
        if not logs(selectors, Category.DATA):
            raise _invalid(f"{insight_type} for data events needs a trail that logs data events.")
    elif insight_type == InsightType.CALL_RATE:
        if not logs(selectors, Category.MANAGEMENT, writes=True):
            raise _invalid(f"{insight_type} needs a trail that logs write management events.")
    elif not logs(selectors, Category.MANAGEMENT):
        raise _invalid(f"{insight_type} needs a trail that logs read or write management events.")


def logs(selectors: Selectors, category: Category, *, writes: bool = False) -> bool:
    """Whether some selector takes events of a category, ``writes``: those with ``readOnly`` false among them."""
    for basic in selectors.basic:
        taken = basic.include_management_events if category == Category.MANAGEMENT else bool(basic.data_resources)
        if taken and not (writes and basic.read_write_type == ReadWriteType.READ_ONLY):
            return True
    return any(
        _equals(one, Field.EVENT_CATEGORY, category) and _takes(one, writes=writes) for one in selectors.advanced
    )


def _takes(selector: AdvancedSelector, *, writes: bool) -> bool:
    return not writes or not _has(selector, Field.READ_ONLY) or _equals(selector, Field.READ_ONLY, "false")


def _has(selector: AdvancedSelector, field: Field) -> bool:
    return any(item.field == field for item in selector.fields)


def _equals(selector: AdvancedSelector, field: Field, value: str) -> bool:
    return any(
        item.field == field and value in dict(item.conditions).get(Operator.EQUALS, ()) for item in selector.fields
    )


def insight_members(insights: Iterable[InsightSelector]) -> list[dict[str, Any]]:
    """Insight selectors as the API has them, in the order and the form in which they were given."""
    return [
        {"InsightType": insight.insight_type}
        | ({} if insight.event_categories is None else {"EventCategories": list(insight.event_categories)})
        for insight in insights
    ]


def insights_text(insights: Sequence[InsightSelector]) -> str | None:
    """Insight selectors as state keeps them: None where there are none, else JSON text of the API's members."""
    return json.dumps(insight_members(insights), separators=(",", ":")) if insights else None


def insights_from(text: str | None) -> tuple[InsightSelector, ...]:
    """What ``insights_text`` wrote."""
    return () if text is None else read_insights(json.loads(text))


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidInsightSelectorsException", message)

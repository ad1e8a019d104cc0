"""Aggregation configurations: which summaries of its events a trail asks for, as values and as text. Pure.

Rules (cloudtrail fact sheet 3.8): at most one configuration, for data events, with the templates of the API's model;
the trail must log data events, because there would be nothing to sum up. They are kept and shown as they were given.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.selectors import Category, Selectors
from opentrail.trails.insights import logs


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The summaries asked for of one event category; ``templates`` say by what events are counted."""

    event_category: str
    templates: tuple[str, ...]


def read_aggregations(items: Iterable[Mapping[str, Any]]) -> tuple[Aggregation, ...]:
    """Configurations from the API's members, which the model has checked."""
    return tuple(Aggregation(item["EventCategory"], tuple(item["Templates"])) for item in items)


def check_aggregations(aggregations: Sequence[Aggregation], selectors: Selectors) -> None:
    """Raise InvalidParameterException for a template given twice, and for a trail that logs no data events."""
    for aggregation in aggregations:
        if len(set(aggregation.templates)) < len(aggregation.templates):
            raise ApiError("InvalidParameterException", "Templates: each aggregation template can be given once.")
    if aggregations and not logs(selectors, Category.DATA):
        said = "AggregationConfigurations: a trail must log data events before they can be aggregated."
        raise ApiError("InvalidParameterException", said)


def aggregation_members(aggregations: Iterable[Aggregation]) -> list[dict[str, Any]]:
    """Configurations as the API has them."""
    return [{"Templates": list(one.templates), "EventCategory": one.event_category} for one in aggregations]


def aggregations_text(aggregations: Sequence[Aggregation]) -> str | None:
    """Configurations as state keeps them: None where there are none, else JSON text of the API's members."""
    return json.dumps(aggregation_members(aggregations), separators=(",", ":")) if aggregations else None


def aggregations_from(text: str | None) -> tuple[Aggregation, ...]:
    """What ``aggregations_text`` wrote."""
    return () if text is None else read_aggregations(json.loads(text))

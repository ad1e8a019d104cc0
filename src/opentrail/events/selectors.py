"""Event selectors as values, and their two forms: the members of CloudTrail's API and the text that state keeps.

Rules (cloudtrail fact sheet 6.5, trap 28). There are basic and advanced selectors; whoever has one kind has none of
the other. A new trail has one basic selector: all management events and nothing else. What may be put is checked by
``selectors_basic`` and ``selectors_advanced``; what they select is decided by ``selectors_matching``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Category(StrEnum):
    """The event categories that the selectors of a trail can want, by the values of ``eventCategory``."""

    MANAGEMENT = "Management"
    DATA = "Data"
    NETWORK_ACTIVITY = "NetworkActivity"


class ReadWriteType(StrEnum):
    """Which events a basic selector takes, by their ``readOnly``."""

    READ_ONLY = "ReadOnly"
    WRITE_ONLY = "WriteOnly"
    ALL = "All"


class Operator(StrEnum):
    """How a field's values are compared, by the names of the API's members, in the API's order."""

    EQUALS = "Equals"
    STARTS_WITH = "StartsWith"
    ENDS_WITH = "EndsWith"
    NOT_EQUALS = "NotEquals"
    NOT_STARTS_WITH = "NotStartsWith"
    NOT_ENDS_WITH = "NotEndsWith"


class Field(StrEnum):
    """The fields of an event record that advanced selectors know."""

    EVENT_CATEGORY = "eventCategory"
    READ_ONLY = "readOnly"
    EVENT_SOURCE = "eventSource"
    EVENT_NAME = "eventName"
    EVENT_TYPE = "eventType"
    RESOURCES_TYPE = "resources.type"
    RESOURCES_ARN = "resources.ARN"
    USER_IDENTITY_ARN = "userIdentity.arn"
    SESSION_FROM_CONSOLE = "sessionCredentialFromConsole"
    ERROR_CODE = "errorCode"
    VPC_ENDPOINT_ID = "vpcEndpointId"


@dataclass(frozen=True, slots=True)
class DataResource:
    """Data events of one type of resource, for the resources that ``values`` name."""

    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicSelector:
    """One basic event selector; the defaults are those of a new trail."""

    read_write_type: str = ReadWriteType.ALL
    include_management_events: bool = True
    data_resources: tuple[DataResource, ...] = ()
    exclude_management_event_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """What one field must be: for each operator that is used, its values."""

    field: str
    conditions: tuple[tuple[Operator, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class AdvancedSelector:
    """One advanced event selector; ``name`` is None where it was given none."""

    name: str | None
    fields: tuple[FieldSelector, ...]


@dataclass(frozen=True, slots=True)
class Selectors:
    """All selectors of a trail: basic ones or advanced ones."""

    basic: tuple[BasicSelector, ...] = ()
    advanced: tuple[AdvancedSelector, ...] = ()


DEFAULT = Selectors(basic=(BasicSelector(),))
"""What a new trail has: all management events, no data events."""


def read(members: Mapping[str, Any]) -> Selectors:
    """Selectors from the API's members ``EventSelectors`` and ``AdvancedEventSelectors``, whatever they say.

    Members that are absent or null get their defaults. No rule is checked here, only what the model's types allow is
    expected.
    """
    return Selectors(
        basic=tuple(_read_basic(item) for item in members.get("EventSelectors") or ()),
        advanced=tuple(_read_advanced(item) for item in members.get("AdvancedEventSelectors") or ()),
    )


def members_of(selectors: Selectors, *, in_order_of_fields: bool = False) -> dict[str, Any]:
    """Selectors as members of an answer: the order of the input, as PutEventSelectors echoes it.

    ``in_order_of_fields``: the fields of each advanced selector sorted by name, as GetEventSelectors answers them.
    """
    if selectors.advanced:
        return {
            "AdvancedEventSelectors": [
                _advanced_members(s, in_order_of_fields=in_order_of_fields) for s in selectors.advanced
            ]
        }
    return {"EventSelectors": [_basic_members(selector) for selector in selectors.basic]}


def text_of(selectors: Selectors) -> str | None:
    """Selectors as state keeps them: None for those of a new trail, else JSON text of the API's members."""
    return None if selectors == DEFAULT else json.dumps(members_of(selectors), separators=(",", ":"))


def from_text(text: str | None) -> Selectors:
    """What ``text_of`` wrote."""
    return DEFAULT if text is None else read(json.loads(text))


def _read_basic(item: Mapping[str, Any]) -> BasicSelector:
    include = item.get("IncludeManagementEvents")
    return BasicSelector(
        read_write_type=item.get("ReadWriteType") or ReadWriteType.ALL,
        include_management_events=True if include is None else include,
        data_resources=tuple(
            DataResource(resource.get("Type") or "", tuple(resource.get("Values") or ()))
            for resource in item.get("DataResources") or ()
        ),
        exclude_management_event_sources=tuple(item.get("ExcludeManagementEventSources") or ()),
    )


def _read_advanced(item: Mapping[str, Any]) -> AdvancedSelector:
    return AdvancedSelector(item.get("Name"), tuple(_read_field(field) for field in item.get("FieldSelectors") or ()))


def _read_field(item: Mapping[str, Any]) -> FieldSelector:
    given = ((operator, item.get(operator.value)) for operator in Operator)
    conditions = tuple((operator, tuple(values)) for operator, values in given if values is not None)
    return FieldSelector(item.get("Field") or "", conditions)


def _basic_members(selector: BasicSelector) -> dict[str, Any]:
    return {
        "ReadWriteType": str(selector.read_write_type),
        "IncludeManagementEvents": selector.include_management_events,
        "DataResources": [{"Type": item.type, "Values": list(item.values)} for item in selector.data_resources],
        "ExcludeManagementEventSources": list(selector.exclude_management_event_sources),
    }


def _advanced_members(selector: AdvancedSelector, *, in_order_of_fields: bool) -> dict[str, Any]:
    fields = sorted(selector.fields, key=lambda field: field.field) if in_order_of_fields else selector.fields
    shown = [{"Field": f.field, **{operator.value: list(values) for operator, values in f.conditions}} for f in fields]
    return ({} if selector.name is None else {"Name": selector.name}) | {"FieldSelectors": shown}

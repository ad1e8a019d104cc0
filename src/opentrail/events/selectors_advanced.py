"""What advanced event selectors may say (cloudtrail fact sheet 6.5): counts, fields, operators and values.

Pure; refusals are InvalidEventSelectorsException. Which fields there are, and what may be asked of them, depends on
the event category and on what the selectors are for: ``FieldRule`` and ``Rules`` say it in tables.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentrail.aws.arn import parse_arn
from opentrail.errors import ApiError
from opentrail.events.selectors import AdvancedSelector, Category, Field, FieldSelector, Operator
from opentrail.events.selectors_basic import EXCLUDABLE_SOURCES, invalid, shown
from opentrail.events.selectors_names import DATA_RESOURCE_TYPES, NETWORK_ACTIVITY_SOURCES

MAX_VALUES = 500
MAX_VALUE_CHARS = 2048
MAX_NAME_CHARS = 1000

_LISTED_VALUES_MAX = 5


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What may be asked of a field: with which operators, and for which values (None: for any).

    ``is_required``: every selector has the field, exactly once, with one value.
    """

    operators: frozenset[Operator] = frozenset(Operator)
    values: frozenset[str] | None = None
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one kind of owner of selectors.

    ``owner`` is its name for messages, with its article. ``fields``: for each event category that it can select, the
    fields beside eventCategory. ``elsewhere``: categories that exist but belong to others, with the reason.
    """

    owner: str
    fields: Mapping[str, Mapping[str, FieldRule]]
    elsewhere: Mapping[str, str]


_EQUALS = frozenset({Operator.EQUALS})
_ANY = FieldRule()
_READ_ONLY = FieldRule(_EQUALS, frozenset({"true", "false"}))
_STORES_ONLY = "they are for event data stores only"

FOR_TRAILS = Rules(
    owner="a trail",
    fields={
        Category.MANAGEMENT: {
            Field.READ_ONLY: _READ_ONLY,
            Field.EVENT_SOURCE: FieldRule(frozenset({Operator.NOT_EQUALS}), frozenset(EXCLUDABLE_SOURCES)),
        },
        Category.DATA: {
            Field.RESOURCES_TYPE: FieldRule(_EQUALS, DATA_RESOURCE_TYPES, is_required=True),
            Field.RESOURCES_ARN: _ANY,
            Field.READ_ONLY: _READ_ONLY,
            Field.EVENT_NAME: _ANY,
            Field.EVENT_SOURCE: _ANY,
            Field.EVENT_TYPE: _ANY,
            Field.USER_IDENTITY_ARN: _ANY,
            Field.SESSION_FROM_CONSOLE: FieldRule(
                frozenset({Operator.EQUALS, Operator.NOT_EQUALS}), frozenset({"true"})
            ),
        },
        Category.NETWORK_ACTIVITY: {
            Field.EVENT_SOURCE: FieldRule(_EQUALS, NETWORK_ACTIVITY_SOURCES, is_required=True),
            Field.EVENT_NAME: _ANY,
            Field.ERROR_CODE: FieldRule(_EQUALS, frozenset({"VpceAccessDenied"})),
            Field.VPC_ENDPOINT_ID: _ANY,
            Field.USER_IDENTITY_ARN: _ANY,
        },
    },
    elsewhere={
        "Insight": "a trail gets them by insight selectors, an event data store by its selectors",
        "ConfigurationItem": _STORES_ONLY,
        "Evidence": _STORES_ONLY,
        "ActivityAuditLog": _STORES_ONLY,
    },
)
"""The rules for trails."""

# Whole ARNs, for the types whose data events are asked for most: a bucket's ARN for its objects is the usual mistake.
_ARN_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "AWS::S3::Object": (re.compile(r"arn:[a-z-]+:s3:::[^/:]+/.*"), "arn:aws:s3:::BUCKET/KEY"),
    "AWS::Lambda::Function": (re.compile(r"arn:[a-z-]+:lambda:[^:]+:[0-9]{12}:function:.+"), "a function's ARN"),
    "AWS::DynamoDB::Table": (re.compile(r"arn:[a-z-]+:dynamodb:[^:]+:[0-9]{12}:table/[^/]+"), "a table's ARN"),
    "AWS::DynamoDB::Stream": (
        re.compile(r"arn:[a-z-]+:dynamodb:[^:]+:[0-9]{12}:table/[^/]+/stream/.+"),
        "a stream's ARN",
    ),
}


def check_advanced(selectors: Sequence[AdvancedSelector], rules: Rules = FOR_TRAILS) -> None:
    """Raise InvalidEventSelectorsException where advanced selectors break a rule of cloudtrail fact sheet 6.5."""
    if not selectors:
        raise invalid(f"At least one advanced event selector is needed for {rules.owner}.")
    for selector in selectors:
        if selector.name is not None and len(selector.name) > MAX_NAME_CHARS:
            raise invalid(f"The name of an advanced event selector is longer than {MAX_NAME_CHARS} characters.")
        _check_selector(selector, rules)
    count = sum(len(values) for selector in selectors for _, values in _conditions(selector))
    if count > MAX_VALUES:
        raise invalid(
            f"The advanced event selectors have {count} values; {rules.owner} can have {MAX_VALUES} over all "
            "conditions of its advanced event selectors."
        )


def _check_selector(selector: AdvancedSelector, rules: Rules) -> None:
    category = _category(selector, rules)
    fields = rules.fields[category]
    for field in selector.fields:
        rule = _CATEGORY if field.field == Field.EVENT_CATEGORY else fields.get(field.field)
        if rule is None:
            known = ", ".join([Field.EVENT_CATEGORY, *fields])
            raise invalid(
                f"Field {shown(field.field)} is not supported for {category} events of {rules.owner}. "
                f"Supported are {known}."
            )
        _check_field(field, rule, category)
    for name, rule in fields.items():
        if rule.is_required:
            _only_value(selector, name, f"An advanced event selector for {category} events")
    _check_arns(selector)


def _category(selector: AdvancedSelector, rules: Rules) -> str:
    category = _only_value(selector, Field.EVENT_CATEGORY, "An advanced event selector")
    if category in rules.fields:
        return category
    if category in rules.elsewhere:
        raise invalid(f"{category} events cannot be selected for {rules.owner}: {rules.elsewhere[category]}.")
    raise _wrong_value(Field.EVENT_CATEGORY, category, sorted(rules.fields))


def _only_value(selector: AdvancedSelector, name: str, who: str) -> str:
    """The value of a field that a selector must have once, with Equals and one value."""
    found = [field for field in selector.fields if field.field == name]
    if len(found) == 1 and [operator for operator, _ in found[0].conditions] == [Operator.EQUALS]:
        values = found[0].conditions[0][1]
        if len(values) == 1:
            return values[0]
    raise invalid(f"{who} must have the field {name} exactly once, with the operator Equals and exactly one value.")


def _check_field(field: FieldSelector, rule: FieldRule, category: str) -> None:
    if not field.conditions:
        raise invalid(f"Field {field.field} has no operator.")
    for operator, values in field.conditions:
        if operator not in rule.operators:
            allowed = ", ".join(known for known in Operator if known in rule.operators)
            raise invalid(
                f"Operator {operator} is not supported for field {field.field} of {category} events. "
                f"Supported are {allowed}."
            )
        if not values:
            raise invalid(f"Operator {operator} of field {field.field} has no values.")
        for value in values:
            _check_value(field.field, value, rule)


def _check_value(name: str, value: str, rule: FieldRule) -> None:
    if not 1 <= len(value) <= MAX_VALUE_CHARS:
        raise invalid(f"A value of field {name} is empty or longer than {MAX_VALUE_CHARS} characters.")
    if "*" in value:
        raise invalid(f"Value {shown(value)} for field {name} has a wildcard; use StartsWith or EndsWith instead.")
    if rule.values is not None and value not in rule.values:
        raise _wrong_value(name, value, sorted(rule.values))


def _check_arns(selector: AdvancedSelector) -> None:
    """Whole ARNs must be such of the selector's type; beginnings and ends of ARNs may be any text."""
    for field in selector.fields:
        for operator, values in field.conditions:
            if field.field == Field.RESOURCES_ARN and operator in {Operator.EQUALS, Operator.NOT_EQUALS}:
                type_ = _only_value(selector, Field.RESOURCES_TYPE, "An advanced event selector")
                for value in values:
                    _check_arn(value, type_)


def _check_arn(value: str, type_: str) -> None:
    form, hint = _ARN_FORMS.get(type_, (None, "an ARN"))
    try:
        parse_arn(value)
    except ValueError as error:
        raise invalid(f"Value {shown(value)} for field resources.ARN is {error}.") from error
    if form is not None and not form.fullmatch(value):
        raise invalid(
            f"Value {shown(value)} for field resources.ARN is not an ARN of type {type_}, which is {hint}. "
            "Use StartsWith for the beginning of ARNs."
        )


def _wrong_value(name: str, value: str, known: Sequence[str]) -> ApiError:
    listed = f" It can be {' or '.join(known)}." if len(known) <= _LISTED_VALUES_MAX else " It is not known."
    return invalid(f"Value {shown(value)} for field {name} is invalid.{listed}")


def _conditions(selector: AdvancedSelector) -> Iterator[tuple[Operator, tuple[str, ...]]]:
    for field in selector.fields:
        yield from field.conditions


_CATEGORY = FieldRule(_EQUALS)

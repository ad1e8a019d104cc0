"""Whether selectors take an event: compiled once, asked for every event record that is made.

Rules (cloudtrail fact sheet 6.5). Selectors are OR-ed and the fields of one selector AND-ed. In a field, the values of
Equals, StartsWith and EndsWith are OR-ed, any value of the three Not operators that fits is a veto, and both groups
must agree. Everything is compared with its case. A field that the record does not have fits no value. Of several
resources one that fits is enough (or vetoes); ``resources.ARN`` looks at those of the selector's ``resources.type``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from opentrail.events.selectors import (
    AdvancedSelector,
    BasicSelector,
    Category,
    DataResource,
    Field,
    FieldSelector,
    Operator,
    ReadWriteType,
    Selectors,
)
from opentrail.events.selectors_basic import DATA_TYPES


class EventFacts(NamedTuple):
    """What selectors can ask about an event, as its record for one recipient shows it; empty where it does not.

    ``resources`` are pairs of type and ARN (or the prefix of ARNs, for calls that are about many objects).
    """

    event_category: str
    read_only: bool
    event_source: str
    event_name: str
    event_type: str = "AwsApiCall"
    resources: tuple[tuple[str, str], ...] = ()
    user_identity_arn: str = ""
    session_from_console: bool = False
    error_code: str = ""
    vpc_endpoint_id: str = ""


Predicate = Callable[[EventFacts], bool]
_Reader = Callable[[EventFacts], Sequence[str]]


class Matcher:
    """Compiled selectors: for each event category that they want, one predicate per selector.

    ``categories``: those that some selector wants; events of others need not be looked at.
    ``takes_all_management_events``: whether none is left out, so that none needs to be looked at.
    """

    __slots__ = ("_by_category", "categories", "takes_all_management_events")

    def __init__(self, by_category: Mapping[str, tuple[Predicate, ...]], *, takes_all_management_events: bool) -> None:
        """Use ``compile_selectors`` instead."""
        self._by_category = by_category
        self.categories = frozenset(by_category)
        self.takes_all_management_events = takes_all_management_events

    def matches(self, facts: EventFacts) -> bool:
        """Whether some selector takes the event."""
        return any(predicate(facts) for predicate in self._by_category.get(facts.event_category, ()))


def compile_selectors(selectors: Selectors) -> Matcher:
    """The matcher of selectors that were checked. It is not kept here: selectors can be large, and are replaced."""
    by_category: dict[str, list[Predicate]] = {}
    takes_all = False
    for basic in selectors.basic:
        takes_all = takes_all or _takes_all_management_events(basic)
        if basic.include_management_events:
            by_category.setdefault(Category.MANAGEMENT, []).append(_basic_management(basic))
        if basic.data_resources:
            by_category.setdefault(Category.DATA, []).append(_basic_data(basic))
    for advanced in selectors.advanced:
        category = _value_of(advanced, Field.EVENT_CATEGORY)
        takes_all = takes_all or (category == Category.MANAGEMENT and len(advanced.fields) == 1)
        by_category.setdefault(category, []).append(_advanced(advanced))
    frozen = {category: tuple(predicates) for category, predicates in by_category.items()}
    return Matcher(frozen, takes_all_management_events=takes_all)


def _takes_all_management_events(basic: BasicSelector) -> bool:
    return (
        basic.include_management_events
        and basic.read_write_type == ReadWriteType.ALL
        and not basic.exclude_management_event_sources
    )


def _basic_management(basic: BasicSelector) -> Predicate:
    wanted, excluded = _read_only_values(basic), frozenset(basic.exclude_management_event_sources)
    return lambda facts: facts.read_only in wanted and facts.event_source not in excluded


def _basic_data(basic: BasicSelector) -> Predicate:
    wanted = _read_only_values(basic)
    tests = tuple((resource.type, _arn_test(resource)) for resource in basic.data_resources)

    def takes(facts: EventFacts) -> bool:
        return facts.read_only in wanted and any(
            kind == type_ and test(arn) for kind, arn in facts.resources for type_, test in tests
        )

    return takes


def _read_only_values(basic: BasicSelector) -> frozenset[bool]:
    if basic.read_write_type == ReadWriteType.ALL:
        return frozenset({True, False})
    return frozenset({basic.read_write_type == ReadWriteType.READ_ONLY})


def _arn_test(resource: DataResource) -> Callable[[str], bool]:
    kind = DATA_TYPES[resource.type]
    if not kind.every.isdisjoint(resource.values):
        return lambda _arn: True
    if kind.is_prefix:
        prefixes = resource.values
        return lambda arn: arn.startswith(prefixes)
    return frozenset(resource.values).__contains__


class _Values:
    """One group of a field's values, the positive or the negative: whether a text fits any."""

    __slots__ = ("_equal", "_prefixes", "_suffixes")

    def __init__(self, field: FieldSelector, equals: Operator, starts_with: Operator, ends_with: Operator) -> None:
        given = dict(field.conditions)
        self._equal = frozenset(given.get(equals, ()))
        self._prefixes = given.get(starts_with, ())
        self._suffixes = given.get(ends_with, ())

    def __bool__(self) -> bool:
        return bool(self._equal or self._prefixes or self._suffixes)

    def fit(self, texts: Iterable[str]) -> bool:
        for text in texts:
            if text in self._equal or text.startswith(self._prefixes) or text.endswith(self._suffixes):
                return True
        return False


def _advanced(selector: AdvancedSelector) -> Predicate:
    type_ = _value_of(selector, Field.RESOURCES_TYPE)
    tests = tuple(_field_test(field, type_) for field in selector.fields if field.field != Field.EVENT_CATEGORY)

    def takes(facts: EventFacts) -> bool:
        for test in tests:  # noqa: SIM110  # a generator costs as much as the tests
            if not test(facts):
                return False
        return True

    return takes


def _field_test(field: FieldSelector, type_: str) -> Predicate:
    read = _arns_of_type(type_) if field.field == Field.RESOURCES_ARN else _READERS[field.field]
    wanted = _Values(field, Operator.EQUALS, Operator.STARTS_WITH, Operator.ENDS_WITH)
    unwanted = _Values(field, Operator.NOT_EQUALS, Operator.NOT_STARTS_WITH, Operator.NOT_ENDS_WITH)

    if not unwanted:
        return lambda facts: wanted.fit(read(facts))
    if not wanted:
        return lambda facts: not unwanted.fit(read(facts))

    def passes(facts: EventFacts) -> bool:
        texts = read(facts)
        return wanted.fit(texts) and not unwanted.fit(texts)

    return passes


def _value_of(selector: AdvancedSelector, field: Field) -> str:
    """The one value of a field that has Equals with one value; empty where the selector does not have it."""
    found = (dict(item.conditions).get(Operator.EQUALS, ()) for item in selector.fields if item.field == field)
    return next((values[0] for values in found if values), "")


def _arns_of_type(type_: str) -> _Reader:
    return lambda facts: [arn for kind, arn in facts.resources if kind == type_]


def _texts(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


_READERS: Mapping[str, _Reader] = {
    Field.READ_ONLY: lambda facts: ("true" if facts.read_only else "false",),
    Field.EVENT_SOURCE: lambda facts: (facts.event_source,),
    Field.EVENT_NAME: lambda facts: (facts.event_name,),
    Field.EVENT_TYPE: lambda facts: (facts.event_type,),
    Field.RESOURCES_TYPE: lambda facts: [kind for kind, _ in facts.resources],
    Field.USER_IDENTITY_ARN: lambda facts: _texts(facts.user_identity_arn),
    # The record has it as "true" or not at all (1.2).
    Field.SESSION_FROM_CONSOLE: lambda facts: ("true",) if facts.session_from_console else (),
    Field.ERROR_CODE: lambda facts: _texts(facts.error_code),
    Field.VPC_ENDPOINT_ID: lambda facts: _texts(facts.vpc_endpoint_id),
}

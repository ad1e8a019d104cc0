"""Parameters against the constraints of the service model, in AWS's words (opsworks-cm fact sheet 2.1).

Required members, types, lengths, ranges, enums and patterns are checked; botocore's clients check hardly any of them. A
message echoes the refused value as AWS does, unless the model marks it sensitive, it holds structures, or it is long:
messages are recorded, and a secret must not be among them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from opentrail.aws.java_patterns import compile_pattern
from opentrail.aws.model import Operation
from opentrail.aws.protocols import scalars
from opentrail.errors import ApiError

MESSAGE_CHARS_MAX = 1000
"""About what an event record keeps of a message (1 KB, cloudtrail fact sheet 1.2)."""

_VALUE_CHARS_MAX = 200
_KEY_CHARS_MAX = 64
_PATTERN_TEXT_CHARS_MAX = 16_384
"""Longest text put to a pattern where the model sets no maximum: some patterns take quadratic time."""

_NUMBERS = frozenset({"integer", "long", "float", "double"})
_CONTAINERS = frozenset({"structure", "list", "map"})


def check(subject: Operation | Any, parameters: Mapping[str, Any], *, error_code: str = "ValidationException") -> None:
    """Check the parameters of an operation, or a value of a botocore structure shape, in wire casing.

    Raises ApiError with ``error_code``, naming all violations that fit into ``MESSAGE_CHARS_MAX`` and counting all.
    """
    shape = subject.input_shape if isinstance(subject, Operation) else subject
    if shape is None:
        return
    findings = _Findings()
    _structure(findings, shape, parameters, "", hidden=False)
    if findings.count:
        raise ApiError(error_code, findings.message())


class _Findings:
    """What was found: the number of violations, and the text of the first ones."""

    __slots__ = ("count", "room", "texts")

    def __init__(self) -> None:
        self.count = 0
        self.room = MESSAGE_CHARS_MAX
        self.texts: list[str] = []

    def add(self, shown: str, path: str, constraint: str) -> None:
        self.count += 1
        if self.room > 0:
            text = f"{shown} at '{path}' failed to satisfy constraint: {constraint}"
            self.texts.append(text if len(text) <= self.room else text[: self.room] + "...")
            self.room -= len(text)

    def message(self) -> str:
        errors = "error" if self.count == 1 else "errors"
        return f"{self.count} validation {errors} detected: {'; '.join(self.texts)}"


def _structure(findings: _Findings, shape: Any, value: Any, path: str, *, hidden: bool) -> None:
    if not isinstance(value, Mapping):
        findings.add("Value", path, _type_constraint(shape))
        return
    required = frozenset(shape.required_members)
    for name, member in shape.members.items():
        below = _lower_camel(name) if not path else f"{path}.{_lower_camel(name)}"
        given = value.get(name)
        if given is not None:
            _value(findings, member, given, below, hidden=hidden)
        elif name in required:
            findings.add("Value null", below, "Member must not be null")


def _value(findings: _Findings, shape: Any, value: Any, path: str, *, hidden: bool) -> None:
    hidden = hidden or bool(shape.metadata.get("sensitive"))
    for constraint in _broken(shape, value):
        findings.add(_shown(shape, value, hidden=hidden), path, constraint)
    kind = shape.type_name
    if kind == "structure" and not shape.is_document_type:
        _structure(findings, shape, value, path, hidden=hidden)
    elif kind == "list" and isinstance(value, list | tuple):
        places = [(f"{path}.{n}.member", item) for n, item in enumerate(value, 1)]
        _contents(findings, shape.member, places, hidden=hidden)
        if _any_broken(shape.member, value):
            findings.add(_shown(shape, value, hidden=hidden), path, _of_each("Member", shape.member))
    elif kind == "map" and isinstance(value, Mapping):
        _map(findings, shape, value, path, hidden=hidden or bool(shape.key.metadata.get("sensitive")))


def _map(findings: _Findings, shape: Any, value: Mapping[Any, Any], path: str, *, hidden: bool) -> None:
    places = [(f"{path}.{'*' if hidden else str(key)[:_KEY_CHARS_MAX]}.member", item) for key, item in value.items()]
    _contents(findings, shape.value, places, hidden=hidden)
    if _any_broken(shape.key, value):
        findings.add(_shown(shape, value, hidden=hidden), path, _of_each("Map keys", shape.key))
    if _any_broken(shape.value, value.values()):
        findings.add(_shown(shape, value, hidden=hidden), path, _of_each("Map value", shape.value))


def _contents(findings: _Findings, shape: Any, places: list[tuple[str, Any]], *, hidden: bool) -> None:
    """Check what stands at each place of a list or map; scalars only for null, as AWS reports them for the whole."""
    for path, item in places:
        if item is None:
            findings.add("Value null", path, "Member must not be null")
        elif shape.type_name in _CONTAINERS:
            _value(findings, shape, item, path, hidden=hidden)


def _any_broken(shape: Any, items: Iterable[Any]) -> bool:
    return shape.type_name not in _CONTAINERS and any(_broken(shape, item) for item in items if item is not None)


def _of_each(who: str, shape: Any) -> str:
    """The constraint on a list or map whose scalars break theirs; AWS names all constraints of the scalar."""
    return f"{who} must satisfy constraint: [{', '.join(_all_constraints(shape))}]"


def _broken(shape: Any, value: Any) -> list[str]:
    """The constraints of one shape that a value breaks, without those of what it holds."""
    try:
        scalars.require_type(shape, value)
    except (TypeError, ValueError):
        # A document may be any JSON value.
        document = shape.type_name == "structure" and shape.is_document_type
        return [] if document or shape.type_name == "structure" else [_type_constraint(shape)]
    kind, metadata = shape.type_name, shape.metadata
    if kind in _NUMBERS:
        return _outside(value, metadata, "value")
    if kind in ("list", "map", "blob"):
        return _outside(len(value), metadata, "length")
    if kind == "string":
        return _broken_text(value, shape)
    return []


def _broken_text(text: str, shape: Any) -> list[str]:
    broken = _outside(len(text), shape.metadata, "length")
    if shape.enum and text not in shape.enum:
        broken.append(_enum_constraint(shape))
    pattern = shape.metadata.get("pattern")
    if pattern and "max" not in shape.metadata and len(text) > _PATTERN_TEXT_CHARS_MAX:
        broken.append(f"Member must have length less than or equal to {_PATTERN_TEXT_CHARS_MAX}")
    # A text of the wrong length is refused already: a pattern only ever sees texts of bounded length.
    if pattern and not broken and not _matches(pattern, text):
        broken.append(_pattern_constraint(pattern))
    return broken


def _matches(pattern: str, text: str) -> bool:
    try:
        return compile_pattern(pattern).fullmatch(text) is not None
    except ValueError:
        # Six patterns of all models are no regular expressions in any dialect; none belongs to a service of ours.
        return True


def _outside(measure: float, metadata: Mapping[str, Any], what: str) -> list[str]:
    broken = []
    if "max" in metadata and measure > metadata["max"]:
        broken.append(f"Member must have {what} less than or equal to {metadata['max']}")
    if "min" in metadata and measure < metadata["min"]:
        broken.append(f"Member must have {what} greater than or equal to {metadata['min']}")
    return broken


def _all_constraints(shape: Any) -> list[str]:
    what = "value" if shape.type_name in _NUMBERS else "length"
    words = {"max": "less", "min": "greater"}
    found = [
        f"Member must have {what} {words[name]} than or equal to {shape.metadata[name]}"
        for name in ("max", "min")
        if name in shape.metadata
    ]
    if getattr(shape, "enum", None):
        found.append(_enum_constraint(shape))
    if "pattern" in shape.metadata:
        found.append(_pattern_constraint(shape.metadata["pattern"]))
    return found or [_type_constraint(shape)]


def _enum_constraint(shape: Any) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _pattern_constraint(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


def _type_constraint(shape: Any) -> str:
    return f"Member must be of type {scalars.TYPE_WORDS.get(shape.type_name, shape.type_name)}"


def _lower_camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(shape: Any, value: Any, *, hidden: bool) -> str:
    """``Value 'text'`` as AWS echoes it, or only ``Value`` where the text must or cannot be shown."""
    text = None if hidden else _text(shape, value)
    return "Value" if text is None or len(text) > _VALUE_CHARS_MAX else f"Value '{text}'"


def _text(shape: Any, value: Any) -> str | None:
    """A value in Java's spelling; None for what is never shown: structures, blobs, secrets, what is long anyway."""
    kind = shape.type_name
    if shape.metadata.get("sensitive"):
        return None
    if kind == "list" and isinstance(value, list | tuple) and len(value) <= _VALUE_CHARS_MAX:
        return _joined([_text(shape.member, item) for item in value], "[]")
    if kind == "map" and isinstance(value, Mapping) and len(value) <= _VALUE_CHARS_MAX:
        pairs = [(_text(shape.key, key), _text(shape.value, item)) for key, item in value.items()]
        return _joined([None if key is None or text is None else f"{key}={text}" for key, text in pairs], "{}")
    if kind in _CONTAINERS or not isinstance(value, str | int | float):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _joined(texts: list[str | None], brackets: str) -> str | None:
    known = [text for text in texts if text is not None]
    return f"{brackets[0]}{', '.join(known)}{brackets[1]}" if len(known) == len(texts) else None

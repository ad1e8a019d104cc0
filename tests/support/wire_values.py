"""Values made from the shapes of service models, by a seeded generator: what the wire can say, and nothing else.

Enums, ranges and lengths are honoured. What a protocol has no words for is not made: an empty map in Query, an empty
list in EC2, a carriage return in XML, a header with an umlaut.
"""

import random
import string
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

DEEPEST = 5
ABSENT: Any = object()
"""In place of a value that cannot be said or would nest too deeply."""

_PLAIN = string.ascii_letters + string.digits
_AWKWARD = " /+%&=?#:;,.'\"<>*~!$@()[]{}|^`_-\u00e4\u20ac\u65e5\U0001f600"
_NAMES = string.ascii_lowercase + string.digits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTHENED_MAX = 64
_FORMS = ("query", "ec2")


class Values:
    """Makes values for one protocol. ``answers`` makes them for outputs, which carry milliseconds and no infinities."""

    def __init__(self, seed: str, protocol: str, *, answers: bool) -> None:
        self._random = random.Random(seed)
        self._protocol = protocol
        self._answers = answers

    def top(self, shape: Any, *, everything: bool = False) -> dict[str, Any]:
        """A whole input or output: some of its members (or all), always those without which nothing can be sent."""
        if shape is None:
            return {}
        if shape.is_tagged_union:
            made = self.value(shape, 0)
            return {} if made is ABSENT else dict(made)
        payload = shape.serialization.get("payload")
        result: dict[str, Any] = {}
        for name, member in shape.members.items():
            bound = member.serialization
            # REST-JSON sends ``{}`` for an absent payload, and botocore reads an absent one as ``{}``.
            needed = bound.get("location") == "uri" or bound.get("hostLabel") or name == payload
            if bound.get("eventstream") or not (needed or everything or self._random.random() < 0.5):
                continue
            made = self._bound(member, is_payload=name == payload)
            if made is not ABSENT:
                result[name] = made
        return result

    def value(self, shape: Any, depth: int) -> Any:
        """A value in a body."""
        kind = shape.type_name
        if kind in ("structure", "list", "map") and depth > DEEPEST:
            return ABSENT
        if kind == "structure":
            return self._document(2) if shape.is_document_type else self._structure(shape, depth)
        if kind == "list":
            return self._list(shape, depth)
        if kind == "map":
            return self._map(shape, depth)
        if kind == "timestamp":
            return self._moment(shape.serialization.get("timestampFormat", ""))
        return self._scalar(shape, "body")

    def _bound(self, member: Any, *, is_payload: bool) -> Any:
        """A member of an input or output, by where it is bound to."""
        location = member.serialization.get("location")
        kind = member.type_name
        if member.serialization.get("hostLabel"):
            return self._letters(_NAMES)
        if location == "statusCode":
            return self._random.randint(200, 299)
        if location is None:
            if is_payload and kind == "blob":
                return self._random.randbytes(self._random.randint(1, 9))
            if is_payload and kind == "string":
                return self._letters(_PLAIN + _AWKWARD)
            return self.value(member, 1)
        where = {"headers": "header", "querystring": "query"}.get(location, location)
        if member.serialization.get("jsonvalue"):
            return self._document(2)
        if kind == "map":
            return {f"k-{n}{self._letters(_NAMES)}": self._located(member.value, where) for n in range(1, 3)}
        return self._located(member, where)

    def _located(self, shape: Any, where: str) -> Any:
        if shape.type_name == "list":
            return [self._located(shape.member, where) for _ in range(self._random.randint(1, 3))]
        if shape.type_name == "timestamp":
            return self._moment("rfc822" if where == "header" else shape.serialization.get("timestampFormat", ""))
        return self._scalar(shape, where)

    def _structure(self, shape: Any, depth: int) -> Any:
        names = list(shape.members)
        self._random.shuffle(names)
        wanted = 1 if shape.is_tagged_union else self._random.randint(1, 4)
        result: dict[str, Any] = {}
        for name in names:
            made = self.value(shape.members[name], depth + 1)
            if made is not ABSENT:
                result[name] = made
            if len(result) == wanted:
                break
        if not result and (self._protocol in _FORMS or shape.is_tagged_union):
            return ABSENT
        return {name: result[name] for name in shape.members if name in result}

    def _list(self, shape: Any, depth: int) -> Any:
        least = 1 if shape.serialization.get("flattened") or self._protocol == "ec2" else 0
        least = max(least, min(shape.metadata.get("min", 0), 3))
        items = [self.value(shape.member, depth + 1) for _ in range(self._random.randint(least, max(2, least)))]
        said = [item for item in items if item is not ABSENT]
        return said if said or not least else ABSENT

    def _map(self, shape: Any, depth: int) -> Any:
        result: dict[str, Any] = {}
        for _ in range(self._random.randint(1, 2)):
            made = self.value(shape.value, depth + 1)
            if made is not ABSENT:
                result[self._scalar(shape.key, "body")] = made
        return result or ABSENT

    def _scalar(self, shape: Any, where: str) -> Any:
        kind, given = shape.type_name, shape.metadata
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind in ("integer", "long"):
            widest = 31 if kind == "integer" else 63
            least = int(given.get("min", -(2**widest)))
            return self._random.choice((least, self._random.randint(least, int(given.get("max", 2**widest - 1)))))
        if kind in ("float", "double"):
            return self._number(kind)
        if kind == "blob":
            return self._random.randbytes(self._random.randint(0, 6))
        if getattr(shape, "enum", None):
            return self._random.choice(shape.enum)
        return self._text(shape, where)

    def _number(self, kind: str) -> float:
        choice = self._random.random()
        if choice < 0.1 and not self._answers:
            return self._random.choice((float("inf"), float("-inf")))
        if choice < 0.4:
            return float(self._random.randint(-1000, 1000))
        number = self._random.uniform(-1e6, 1e6)
        return float(struct.unpack("f", struct.pack("f", number))[0]) if kind == "float" else number

    def _text(self, shape: Any, where: str) -> str:
        least = min(int(shape.metadata.get("min", 0)), _LENGTHENED_MAX)
        if where == "header":
            return self._letters(_PLAIN, least) + self._random.choice(("", ",", '"x"', " y", "=/+:z"))
        if where == "uri":
            return self._letters(_PLAIN, least) + self._letters(_AWKWARD) + "z"
        control = "" if self._protocol in ("rest-xml", *_FORMS) else "\x00\x7f\r"
        letters = _PLAIN + _AWKWARD + "\t\n" + control
        return self._letters(letters, least) if least or self._random.random() < 0.9 else ""

    def _letters(self, letters: str, least: int = 1) -> str:
        return "".join(self._random.choices(letters, k=self._random.randint(max(1, least), max(1, least) + 5)))

    def _moment(self, form: str) -> datetime:
        whole = _EPOCH + timedelta(seconds=self._random.randint(0, 4_000_000_000))
        if form == "rfc822":
            return whole
        if self._answers:
            return whole + timedelta(milliseconds=self._random.randrange(1000))
        return whole + timedelta(microseconds=self._random.choice((0, self._random.randrange(1_000_000))))

    def _document(self, depth: int) -> Any:
        if depth and self._random.random() < 0.7:
            if self._random.random() < 0.5:
                return [self._document(depth - 1) for _ in range(self._random.randint(0, 2))]
            return {self._letters(_PLAIN): self._document(depth - 1) for _ in range(self._random.randint(0, 2))}
        return self._random.choice((True, False, 7, -1.5, "text", "\u00e4"))

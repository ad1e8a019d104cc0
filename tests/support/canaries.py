"""Calls with a canary in every secret place of their shapes, as the models and the redaction table name them."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from botocore.model import ListShape, MapShape, Shape, StructureShape

from opentrail.aws.model import Operation
from opentrail.events.call import Call, Outcome
from opentrail.events.redaction import Part, Redaction, redaction_of
from opentrail.identity.principal import Principal, PrincipalType

AT = datetime(2026, 11, 23, tzinfo=UTC)
ACCOUNT = "123456789012"
USER = Principal(PrincipalType.IAM_USER, account_id=ACCOUNT, principal_id="AIDA", arn="a", user_name="u")

MARK = "CANARY0x5eed"
"""Ends beyond the beginning by which secrets are found in messages, so that a cut one counts as removed."""

END = "ENDOFSECRET"
NEIGHBOUR = "seen-by-all"
_TIMES_EACH_STRUCTURE_IS_FILLED = 3
_TIMES_ON_ONE_PATH = 2
_ECHO_BYTES = 900
"""Less than an error message keeps, so that a canary that escapes is not cut off."""


@dataclass
class Filler:
    """Makes values of shapes and remembers the canaries in them.

    Each structure is filled with all its members, up to three times in different places and, where it holds itself,
    two levels deep; further ones stay empty.
    """

    redaction: Redaction
    tail: str = '"&<%+é\\'
    canaries: list[str] = field(default_factory=list)
    neighbours: int = 0
    secret_members: set[tuple[str, str]] = field(default_factory=set)
    _filled: Counter[str] = field(default_factory=Counter)

    def value(self, shape: Shape, *, secret: bool = False, path: tuple[str, ...] = ()) -> Any:
        """A value of the shape; below a secret everything is secret."""
        secret = secret or bool(shape.metadata.get("sensitive"))
        if isinstance(shape, StructureShape):
            return self._document(secret) if shape.is_document_type else self._structure(shape, secret, path)
        if isinstance(shape, ListShape):
            return [self.value(shape.member, secret=secret, path=path)]
        if isinstance(shape, MapShape):
            key = self.value(shape.key, secret=secret, path=path)
            return {key: self.value(shape.value, secret=secret or MARK in str(key), path=path)}
        return self._scalar(shape, secret)

    def _structure(self, shape: StructureShape, secret: bool, path: tuple[str, ...]) -> dict[str, Any]:
        if self._filled[shape.name] >= _TIMES_EACH_STRUCTURE_IS_FILLED or path.count(shape.name) >= _TIMES_ON_ONE_PATH:
            return {}
        self._filled[shape.name] += 1
        below = (*path, shape.name)
        return {name: self._member(shape.name, name, member, secret, below) for name, member in shape.members.items()}

    def _member(self, structure: str, name: str, shape: Shape, secret: bool, path: tuple[str, ...]) -> Any:
        named = self.redaction.hides(structure, name)
        if not secret and (named or shape.metadata.get("sensitive")):
            self.secret_members.add((structure, name))
        shown = self.redaction.shown_for(structure, name) if named else None
        if isinstance(shown, Part) and not secret:
            if isinstance(shape, MapShape):
                return {self._text(secret=False): self.value(shape.value, secret=True, path=path)}
            assert isinstance(shape, ListShape)
            return [self.value(shape.member, secret=True, path=path)]
        return self.value(shape, secret=secret or named, path=path)

    def _document(self, secret: bool) -> dict[str, Any]:
        return {self._text(secret): [self._text(secret), {"deeper": self._text(secret)}]}

    def _scalar(self, shape: Shape, secret: bool) -> Any:
        match shape.type_name:
            case "timestamp":
                return AT
            case "boolean":
                return True
            case "integer" | "long":
                return 5
            case "float" | "double":
                return 0.5
            case "blob":
                # Of binary content only the size is shown: it is no neighbour to look for.
                return self._text(secret).encode("utf-8", "replace") if secret else b"plain"
        return self._text(secret)

    def _text(self, secret: bool) -> str:
        if not secret:
            self.neighbours += 1
            return NEIGHBOUR
        # Six characters before the mark leave its base64 form what it is by itself.
        self.canaries.append(f"{len(self.canaries):06}{MARK}{self.tail}{END}")
        return self.canaries[-1]

    def echoes(self) -> Iterator[str]:
        """Messages that repeat every canary in every form, a few canaries in each."""
        message = ""
        for canary in self.canaries:
            forms = " / ".join(forms_of(canary))
            if message and len((message + forms).encode("utf-8", "replace")) > _ECHO_BYTES:
                yield message
                yield message[: len(message) * 2 // 3]
                message = ""
            message += f"{NEIGHBOUR} {forms} / "
        if message:
            yield message


def forms_of(text: str) -> tuple[str, ...]:
    """How messages repeat a text: as it is, base64, quoted for an address, escaped for JSON."""
    coded = text.encode("utf-8", "replace")
    return text, base64.b64encode(coded).decode(), quote(coded, safe=""), json.dumps(text)


def leaks_in(data: bytes) -> list[bytes]:
    """What of the canaries is in the bytes; the quoted and escaped forms have mark and end as they are."""
    traces = (MARK.encode(), END.encode(), base64.b64encode(MARK.encode()))
    return [trace for trace in traces if trace in data]


def call_of(operation: Operation, parameters: Mapping[str, Any]) -> Call:
    """A call that may change something, so that its response is shown."""
    return Call(
        request_id="r",
        received_at=AT,
        account_id=ACCOUNT,
        region="us-east-1",
        principal=USER,
        event_source=operation.service.event_source,
        event_name=operation.name,
        read_only=False,
        operation=operation,
        parameters=parameters,
    )


def filled(shape: Shape | None, operation: Operation, tail: str | None = None) -> tuple[dict[str, Any], Filler]:
    """One side of an operation with everything in it, and who filled it."""
    redaction = redaction_of(operation.service.event_source)
    filler = Filler(redaction) if tail is None else Filler(redaction, tail)
    value = filler.value(shape) if shape is not None else {}
    return (value if isinstance(value, dict) else {}), filler


def failure(message: str) -> Outcome:
    """A refusal in these words."""
    return Outcome(completed_at=AT, error_code="ValidationException", error_message=message)

"""What event records must not show, service by service, and what stands in its place.

Rules: the service model's ``sensitive`` trait always counts; ``redaction.toml`` beside this module adds what the models
forget and says how a service hides a value, each line with its source. Which values are hidden is decided there and
nowhere else; ``elements`` applies it when it compiles a shape. The file is read once, when this module is imported, so
that a mistake in it stops the start and not a call.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources
from types import MappingProxyType
from typing import TypeAlias

from opentrail.errors import ConfigError

REDACTED = "*** Redacted ***"
"""How opsworks-cm hides a value: exactly this text (opsworks-cm fact sheet 11, the public sample of 2017)."""

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What CloudTrail writes for most services (cloudtrail fact sheet 12.4, measured)."""

TEXTS = frozenset(
    {
        REDACTED,
        "<sensitiveDataRemoved>",  # EC2
        "**********",  # RDS Data API
        "***OMITTED***",  # Redshift Data API
        "***(Redacted)",  # DynamoDB's PartiQL
        "****",  # Organizations
        "Value hidden due to security reasons.",  # Systems Manager sessions
    }
)
"""What single services write instead; the lines of the file name the samples that have it."""


class Part(Enum):
    """Hidden in part: what remains of a collection says what was there, not what it was."""

    VALUES = "values"
    """A map keeps its keys and a list its length; each value or item is hidden."""

    KEYS = "keys"
    """The list of a map's keys stands in place of the map."""


Shown: TypeAlias = str | Part | None
"""What stands in place of a secret: a text, a part of it, or None where the member is left out."""

MODEL = "*"
"""The line that says how everything is shown that the model marks."""

_WORDS: Mapping[str, Shown] = MappingProxyType(
    {"hidden": HIDDEN, "dropped": None, **{part.value: part for part in Part}, **{text: text for text in TEXTS}}
)
_EVENT_SOURCE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com")
_MEMBER = re.compile(r"([A-Za-z_]\w*)\.([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Redaction:
    """One service's way of hiding: ``marked`` for what its model marks, ``members`` for the lines of its own.

    A member is named by its structure's shape and its own name, as in the model.
    """

    marked: str | None = HIDDEN
    members: Mapping[tuple[str, str], Shown] = field(default_factory=dict)

    def hides(self, structure: str, member: str) -> bool:
        """Whether a line names the member."""
        return (structure, member) in self.members

    def shown_for(self, structure: str, member: str) -> Shown:
        """What stands in place of a secret member's value."""
        return self.members.get((structure, member), self.marked)


def read_redactions(text: str) -> dict[str, Redaction]:
    """The lines of a redaction file by event source. Raises ConfigError with every problem in it."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        # A line that stands there twice is one of these: TOML forbids it.
        raise ConfigError(f"redaction: {problem}") from None
    problems: list[str] = []
    found = {source: _redaction(source, lines, problems) for source, lines in tables.items()}
    if problems:
        raise ConfigError(problems)
    return found


def _redaction(source: str, lines: object, problems: list[str]) -> Redaction:
    """One table of the file; what is wrong with it is added to the problems."""
    if not _EVENT_SOURCE.fullmatch(source) or not isinstance(lines, dict):
        problems.append(f'redaction: "{source}" is no table of an event source')
        return _DEFAULT
    marked: Shown = HIDDEN
    members: dict[tuple[str, str], Shown] = {}
    for name, line in lines.items():
        where = f'redaction: "{name}" of {source}'
        match line:
            case [str(word), str(origin)] if origin.strip():
                pass
            case _:
                problems.append(f"{where} must be [how it is shown, the source of that]")
                continue
        named = _MEMBER.fullmatch(name)
        if word not in _WORDS:
            problems.append(f"{where} is shown as {word!r}, which is none of {', '.join(sorted(_WORDS))}")
        elif named is not None:
            members[named[1], named[2]] = _WORDS[word]
        elif name == MODEL and not isinstance(_WORDS[word], Part):
            marked = _WORDS[word]
        else:
            problems.append(f'{where} must be named Shape.Member, or "*" and not shown in part')
    return Redaction(None if marked is None else str(marked), members)


_DEFAULT = Redaction()

REDACTIONS: Mapping[str, Redaction] = MappingProxyType(
    read_redactions(resources.files("opentrail.events").joinpath("redaction.toml").read_text("utf-8"))
)
"""Every service that hides more than its model marks, or in another way, by event source."""


def redaction_of(event_source: str) -> Redaction:
    """How records of this event source hide secrets."""
    return REDACTIONS.get(event_source, _DEFAULT)

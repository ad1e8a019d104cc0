"""Patterns of policies: ``*``, ``?`` and policy variables, matched against text.

Rules. ``*`` stands for any run of characters (none included), ``?`` for exactly one. ``${key}`` is replaced by the
value of a context key, ``${key, 'default'}`` by the default where the key is absent; what comes out is literal
text, never a wildcard. ``${*}``, ``${?}`` and ``${$}`` are those characters themselves. A variable without a value
matches nothing. Matching takes at most pattern length times text length steps: it never backtracks further than the
last ``*``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

Context = Mapping[str, tuple[str, ...]]


class Wild(Enum):
    """The two wildcards."""

    ONE = "?"
    ANY = "*"


@dataclass(frozen=True, slots=True)
class Variable:
    """A reference to a context key (lower case) with what stands in for it when it is absent."""

    key: str
    default: str | None


Token = str | Wild | Variable  # a str token is literal text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; ``text`` is how it was written."""

    text: str
    tokens: tuple[Token, ...]
    ignore_case: bool = False

    def matches(self, value: str, context: Context) -> bool:
        """Whether the whole value matches, with variables taken from the context."""
        symbols = self._symbols(context)
        if symbols is None:
            return False
        return _match(symbols, value.lower() if self.ignore_case else value)

    def _symbols(self, context: Context) -> list[str | Wild] | None:
        symbols: list[str | Wild] = []
        for token in self.tokens:
            if isinstance(token, Wild):
                symbols.append(token)
                continue
            text = _value_of(token, context) if isinstance(token, Variable) else token
            if text is None:
                return None
            symbols.extend(text.lower() if self.ignore_case else text)
        return symbols


def compile_pattern(text: str, *, wildcards: bool = True, variables: bool = True, ignore_case: bool = False) -> Pattern:
    """Read a pattern. Raises ValueError for a policy variable that is not closed."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if variables and text.startswith("${", position):
            end = text.find("}", position)
            if end < 0:
                raise ValueError(f"the policy variable in {text[:100]!r} is not closed")
            tokens.append(_variable(text[position + 2 : end]))
            position = end + 1
            continue
        character = text[position]
        tokens.append(Wild(character) if wildcards and character in "*?" else character)
        position += 1
    return Pattern(text, tuple(_joined(tokens)), ignore_case)


def _variable(inside: str) -> Token:
    if inside in ("*", "?", "$"):
        return inside
    key, comma, default = inside.partition(",")
    default = default.strip()
    if comma and not (len(default) >= 2 and default[0] == default[-1] == "'"):
        raise ValueError(f"the default of the policy variable {inside[:100]!r} is not in single quotes")
    if not key.strip():
        raise ValueError("a policy variable has no name")
    return Variable(key.strip().lower(), default[1:-1] if comma else None)


def _joined(tokens: list[Token]) -> list[Token]:
    """Literal neighbours as one token, runs of ``*`` as one."""
    joined: list[Token] = []
    for token in tokens:
        previous = joined[-1] if joined else None
        if isinstance(token, str) and isinstance(previous, str):
            joined[-1] = previous + token
        elif not (token is Wild.ANY and previous is Wild.ANY):
            joined.append(token)
    return joined


def _value_of(variable: Variable, context: Context) -> str | None:
    values = context.get(variable.key, ())
    return values[0] if len(values) == 1 else variable.default  # several values cannot stand in one place


def _match(pattern: list[str | Wild], value: str) -> bool:
    """Greedy matching that remembers only the last ``*``: enough, as an earlier one never helps where a later fails."""
    at, star, resume = 0, -1, 0
    position = 0
    while position < len(value):
        symbol = pattern[at] if at < len(pattern) else None
        if symbol is Wild.ANY:
            star, resume = at, position
            at += 1
        elif symbol is Wild.ONE or symbol == value[position]:
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(symbol is Wild.ANY for symbol in pattern[at:])

"""Patterns of policies: ``*``, ``?`` and policy variables, matched against text.

Rules. ``*`` stands for any run of characters (none included), ``?`` for exactly one. ``${key}`` is replaced by the
value of a context key, ``${key, 'default'}`` by the default where the key is absent; what comes out is literal
text, never a wildcard. ``${*}``, ``${?}`` and ``${$}`` are those characters themselves. A variable without a value
matches nothing. Matching takes at most pattern length times text length steps: what stands between two ``*`` is taken
where it is found first, and never looked for again.
"""

from collections.abc import Iterable, Mapping, Sequence
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
Piece = str | tuple[str, ...]  # what stands between two ``*``: literal text, or characters with "" for each ``?``


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; ``text`` is how it was written. ``pieces`` is None where variables decide about them."""

    text: str
    tokens: tuple[Token, ...]
    ignore_case: bool
    pieces: tuple[Piece, ...] | None

    def matches(self, value: str, context: Context) -> bool:
        """Whether the whole value matches, with variables taken from the context."""
        pieces = self.pieces
        if pieces is None:
            resolved = self._resolved(context)
            if resolved is None:
                return False
            pieces = _pieces(resolved, ignore_case=self.ignore_case)
        return _match(pieces, value.lower() if self.ignore_case else value)

    def is_resolvable(self, context: Context) -> bool:
        """Whether every variable has a value; a pattern of which that is not true matches nothing."""
        return self.pieces is not None or self._resolved(context) is not None

    def _resolved(self, context: Context) -> list[str | Wild] | None:
        """The tokens with variables replaced; None where one of them has no value."""
        resolved: list[str | Wild] = []
        for token in self.tokens:
            text = _value_of(token, context) if isinstance(token, Variable) else token
            if text is None:
                return None
            resolved.append(text)
        return resolved


def compile_pattern(text: str, *, wildcards: bool = True, variables: bool = True, ignore_case: bool = False) -> Pattern:
    """Read a pattern. Raises ValueError for a policy variable that is not closed, named or defaulted properly."""
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
    fixed = [token for token in tokens if not isinstance(token, Variable)]
    pieces = _pieces(fixed, ignore_case=ignore_case) if len(fixed) == len(tokens) else None
    return Pattern(text, tuple(tokens) if pieces is None else (), ignore_case, pieces)


@dataclass(frozen=True, slots=True)
class PatternSet:
    """Several patterns of which one must match. Plain text and prefixes, which most are, cost one look-up each."""

    texts: tuple[str, ...]
    ignore_case: bool
    everything: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...]
    others: tuple[Pattern, ...]

    def matches(self, value: str, context: Context) -> bool:
        """Whether any of the patterns matches the whole value."""
        if self.everything:
            return True
        if self.ignore_case:
            value = value.lower()
        if value in self.exact or value.startswith(self.prefixes):
            return True
        return bool(self.others) and any(pattern.matches(value, context) for pattern in self.others)

    def is_resolvable(self, context: Context) -> bool:
        """Whether every variable in every pattern has a value."""
        return all(pattern.is_resolvable(context) for pattern in self.others)


def compile_patterns(texts: Iterable[str], *, variables: bool = True, ignore_case: bool = False) -> PatternSet:
    """Read several patterns with wildcards. Raises ValueError as ``compile_pattern`` does."""
    patterns = [compile_pattern(text, variables=variables, ignore_case=ignore_case) for text in texts]
    exact, prefixes, others = set[str](), list[str](), list[Pattern]()
    for pattern in patterns:
        match pattern.pieces:
            case (str(text),):
                exact.add(text)
            case (str(start), ""):
                prefixes.append(start)
            case _:
                others.append(pattern)
    return PatternSet(
        texts=tuple(pattern.text for pattern in patterns),
        ignore_case=ignore_case,
        everything="" in prefixes,
        exact=frozenset(exact),
        prefixes=tuple(prefixes),
        others=tuple(others),
    )


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


def _value_of(variable: Variable, context: Context) -> str | None:
    values = context.get(variable.key, ())
    return values[0] if len(values) == 1 else variable.default  # several values cannot stand in one place


def _pieces(tokens: Sequence[str | Wild], *, ignore_case: bool) -> tuple[Piece, ...]:
    """Tokens cut at each ``*``. Pieces without ``?`` are plain text, which Python finds fast."""
    cut: list[list[str]] = [[]]
    for token in tokens:
        if token is Wild.ANY:
            cut.append([])
        elif token is Wild.ONE:
            cut[-1].append("")
        else:
            text = str(token)
            cut[-1].extend(text.lower() if ignore_case else text)
    return tuple("".join(piece) if "" not in piece else tuple(piece) for piece in cut)


def _match(pieces: tuple[Piece, ...], value: str) -> bool:
    """Whether the value is the pieces in order, with anything between them."""
    first = pieces[0]
    if len(pieces) == 1:
        return value == first if isinstance(first, str) else len(value) == len(first) and _fits(first, value, 0)
    last = pieces[-1]
    start, end = len(first), len(value) - len(last)
    if start > end or not _fits(first, value, 0) or not _fits(last, value, end):
        return False
    for piece in pieces[1:-1]:
        found = _find(piece, value, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


def _fits(piece: Piece, value: str, at: int) -> bool:
    """Whether a piece that is not too long for it stands in a value at a place."""
    if isinstance(piece, str):
        return value.startswith(piece, at)
    return all(not wanted or wanted == value[at + index] for index, wanted in enumerate(piece))


def _find(piece: Piece, value: str, start: int, end: int) -> int:
    """Where a piece first stands between two places; -1 where it does not."""
    if isinstance(piece, str):
        return value.find(piece, start, end)
    return next((at for at in range(start, end - len(piece) + 1) if _fits(piece, value, at)), -1)

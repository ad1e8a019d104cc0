"""The characters behind Java's ``\\p{...}``: POSIX names are ASCII, one or two letters are Unicode general categories.

A class is a tuple of inclusive code point ranges in ascending order.
"""

import sys
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType

Ranges = tuple[tuple[int, int], ...]

EVERYTHING: Ranges = ((0, sys.maxunicode),)

_POSIX: Mapping[str, Ranges] = MappingProxyType(
    {
        "all": EVERYTHING,
        "ASCII": ((0, 0x7F),),
        "Lower": ((0x61, 0x7A),),
        "Upper": ((0x41, 0x5A),),
        "Alpha": ((0x41, 0x5A), (0x61, 0x7A)),
        "Digit": ((0x30, 0x39),),
        "Alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
        "XDigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
        "Punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
        "Graph": ((0x21, 0x7E),),
        "Print": ((0x20, 0x7E),),
        "Blank": ((0x09, 0x09), (0x20, 0x20)),
        "Space": ((0x09, 0x0D), (0x20, 0x20)),
        "Cntrl": ((0, 0x1F), (0x7F, 0x7F)),
    }
)
_UNIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"LD": ("L", "Nd"), "IsAlphabetic": ("L", "Nl"), "IsWhitespace": ("Z", "Space"), "IsLetter": ("L",)}
)


def named_class(name: str) -> Ranges:
    """The characters of ``\\p{name}``. Raises ValueError for a name that is not known."""
    if name in _POSIX:
        return _POSIX[name]
    if name in _UNIONS:
        return merged(span for part in _UNIONS[name] for span in named_class(part))
    spans = [span for category, found in _categories().items() if category.startswith(name) for span in found]
    if not spans or not name:
        raise ValueError(f"no character class is called {name!r}")
    return merged(spans)


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """Every character that is in both."""
    return complement(merged([*complement(left), *complement(right)]))


def complement(ranges: Ranges) -> Ranges:
    """Every character that is not in ``ranges``."""
    result, start = [], 0
    for low, high in ranges:
        if low > start:
            result.append((start, low - 1))
        start = high + 1
    if start <= sys.maxunicode:
        result.append((start, sys.maxunicode))
    return tuple(result)


def merged(spans: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in ascending order, with those that touch joined."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


@lru_cache(maxsize=1)
def _categories() -> Mapping[str, Ranges]:
    """Unicode's general categories; one pass over all characters, made when a pattern first asks."""
    found: dict[str, list[tuple[int, int]]] = {}
    for category, group in groupby(range(sys.maxunicode + 1), key=lambda point: unicodedata.category(chr(point))):
        points = list(group)
        found.setdefault(category, []).append((points[0], points[-1]))
    return {category: tuple(spans) for category, spans in found.items()}

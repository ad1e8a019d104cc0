"""The models' regular expressions, which are Java's, restated for Python; always matched against the whole text.

What differs: ``\\p{L}`` and the like, classes inside classes and ``&&``, surrogate pairs, octal escapes, flags in the
middle, named groups, ``\\z``, and what ``.``, ``^`` and ``$`` take for the end of a line. ``\\w``, ``\\d``, ``\\s`` are
ASCII. Patterns come from the models, never from callers; texts do come from callers, so whoever checks one must bound
its length first.
"""

import re
from functools import lru_cache

from opentrail.aws.character_classes import EVERYTHING, Ranges, complement, intersection, merged, named_class

PATTERNS_KEPT = 2048
_NOT_LINE_END = "[^\\n\\r\\x85\\u2028\\u2029]"
_LINE_START = "(?:^|(?<=[\\n\\x85\\u2028\\u2029])|(?<=\\r)(?!\\n))"
_LINE_END = "(?:(?=[\\r\\x85\\u2028\\u2029])|(?<!\\r)(?=\\n)|\\Z)"
_CODE = re.compile(
    r"\\(?:u(?P<u>[0-9a-fA-F]{4})|x(?P<x>[0-9a-fA-F]{2})|[xu]\{(?P<b>[0-9a-fA-F]{1,6})\}|0(?P<o>[0-7]{2,3}))"
)
_PROPERTY = re.compile(r"\\(?P<not>[pP])(?:\{\^?(?P<long>\w+)\}|(?P<short>[A-Z]))")
_GROUP = re.compile(r"\(\?(?:(?P<on>[a-z]*)(?:-(?P<off>[a-z]+))?(?P<end>[:)])|(?P<look>[=!>]|<[=!])|<(?P<name>\w+)>)")
_CONTROLS = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B, "a": 0x07, "e": 0x1B}
_SHORT_CLASSES = {"d": "Digit", "s": "Space"}
_WORD: Ranges = merged([*named_class("Alnum"), (0x5F, 0x5F)])


@lru_cache(maxsize=PATTERNS_KEPT)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A model's pattern, compiled; use its ``fullmatch``. Raises ValueError for one that neither language accepts."""
    try:
        return re.compile(_Translation(pattern).python(), re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None


class _Scope:
    """The flags in force inside one group, and whether an own ``(?i:`` must be closed at its end."""

    __slots__ = ("dotall", "ignore_case", "multiline")

    def __init__(self, *, dotall: bool, multiline: bool) -> None:
        self.dotall = dotall
        self.multiline = multiline
        self.ignore_case = False

    def inner(self) -> "_Scope":
        return _Scope(dotall=self.dotall, multiline=self.multiline)

    def set(self, on: str, off: str) -> None:
        if (set(on) | set(off)) - set("ismu") or "i" in off:
            raise ValueError(f"flags {on}-{off} are not supported")
        self.dotall = ("s" in on or self.dotall) and "s" not in off
        self.multiline = ("m" in on or self.multiline) and "m" not in off


class _Translation:
    """One pass over a pattern, left to right."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.parts: list[str] = []
        self.scopes = [_Scope(dotall=False, multiline=False)]

    def python(self) -> str:
        while self.at < len(self.text):
            self._step(self.text[self.at])
        return "".join(self.parts) + self._close()

    def _step(self, char: str) -> None:
        scope = self.scopes[-1]
        if char == "(":
            self._open_group()
        elif char == "\\":
            self._escape()
        elif char == "[":
            self.at += 1
            self.parts.append(_class_text(self._class()))
        else:
            self.at += 1
            if char == ")":
                self._close_group()
            elif char == "|":
                self.parts.append(")|(?i:" if scope.ignore_case else "|")
            elif char == ".":
                self.parts.append("[\\s\\S]" if scope.dotall else _NOT_LINE_END)
            elif char == "^" and scope.multiline:
                self.parts.append(_LINE_START)
            elif char == "$" and scope.multiline:
                self.parts.append(_LINE_END)
            else:
                self.parts.append(char)

    def _open_group(self) -> None:
        found = _GROUP.match(self.text, self.at)
        scope = self.scopes[-1].inner()
        if found is None or found["look"] or found["name"]:
            self.at = found.end() if found else self.at + 1
            self.parts.append("(?P<" + found["name"] + ">" if found and found["name"] else found[0] if found else "(")
            self.scopes.append(scope)
            return
        self.at = found.end()
        on, off = found["on"] or "", found["off"] or ""
        if found["end"] == ":":
            scope.set(on, off)
            self.parts.append("(?i:" if "i" in on else "(?:")
            self.scopes.append(scope)
            return
        # Flags without a colon hold until the group ends, across its alternatives.
        self.scopes[-1].set(on, off)
        if "i" in on and not self.scopes[-1].ignore_case:
            self.scopes[-1].ignore_case = True
            self.parts.append("(?i:")

    def _close_group(self) -> None:
        if len(self.scopes) == 1:
            raise ValueError("a closing parenthesis too many")
        self.parts.append(self._close() + ")")
        self.scopes.pop()

    def _close(self) -> str:
        return ")" if self.scopes[-1].ignore_case else ""

    def _escape(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following == "Q":
            end = self.text.find("\\E", self.at)
            end = len(self.text) if end < 0 else end
            self.parts.append(re.escape(self.text[self.at + 2 : end]))
            self.at = end + 2
        elif following in ("z", "Z"):
            self.at += 2
            self.parts.append("\\Z" if following == "z" else "(?=\\n?\\Z)")
        elif following and following in "AbB123456789":
            self.at += 2
            self.parts.append("\\" + following)
        else:
            self.parts.append(_class_text(self._escaped_class()))

    def _class(self) -> Ranges:
        """A bracketed class; the position is behind its opening bracket."""
        negated = self.text[self.at : self.at + 1] == "^"
        self.at += negated
        spans: list[tuple[int, int]] = []
        limit: Ranges = EVERYTHING
        while True:
            char = self.text[self.at : self.at + 1]
            if not char:
                raise ValueError("a character class without an end")
            if char == "]":
                self.at += 1
                break
            if self.text.startswith("&&", self.at):
                self.at += 2
                limit, spans = intersection(limit, merged(spans)), []
            elif char == "[":
                self.at += 1
                spans.extend(self._class())
            else:
                spans.extend(self._item())
        result = intersection(limit, merged(spans))
        return complement(result) if negated else result

    def _item(self) -> Ranges:
        """One character, range or escape inside a class."""
        first = self._escaped_class() if self.text[self.at] == "\\" else self._literal()
        single = len(first) == 1 and first[0][0] == first[0][1]
        follows = self.text[self.at + 1 : self.at + 2]
        if not single or self.text[self.at : self.at + 1] != "-" or follows in ("", "]", "["):
            return first
        before = self.at
        self.at += 1
        last = self._escaped_class() if follows == "\\" else self._literal()
        if len(last) != 1 or last[0][0] != last[0][1]:
            # A hyphen next to a class such as \\w stands for itself.
            self.at = before
            return first
        if last[0][0] < first[0][0]:
            raise ValueError("a character range that runs backwards")
        return ((first[0][0], last[0][0]),)

    def _literal(self) -> Ranges:
        point = ord(self.text[self.at])
        self.at += 1
        return ((point, point),)

    def _escaped_class(self) -> Ranges:
        """An escape that stands for one character or a set of them, inside or outside brackets."""
        if found := _CODE.match(self.text, self.at):
            return self._code(found)
        if found := _PROPERTY.match(self.text, self.at):
            self.at = found.end()
            ranges = named_class(found["long"] or found["short"])
            return complement(ranges) if (found["not"] == "P") != found[0].startswith("{^", 2) else ranges
        char = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if char and char.lower() in ("d", "s", "w"):
            ranges = _WORD if char.lower() == "w" else named_class(_SHORT_CLASSES[char.lower()])
            return complement(ranges) if char.isupper() else ranges
        if char in _CONTROLS:
            return ((_CONTROLS[char], _CONTROLS[char]),)
        if not char or (char.isalnum() and char.isascii()):
            raise ValueError(f"the escape \\{char} is not supported")
        return ((ord(char), ord(char)),)

    def _code(self, found: re.Match[str]) -> Ranges:
        self.at = found.end()
        point = int(found["o"], 8) if found["o"] else int(found["u"] or found["x"] or found["b"], 16)
        low = _CODE.match(self.text, self.at)
        if 0xD800 <= point < 0xDC00 and low and low["u"] and 0xDC00 <= int(low["u"], 16) < 0xE000:
            self.at = low.end()
            point = 0x10000 + ((point - 0xD800) << 10) + int(low["u"], 16) - 0xDC00
        if point > 0x10FFFF:
            raise ValueError("a code point beyond Unicode")
        return ((point, point),)


def _class_text(ranges: Ranges) -> str:
    """Ranges as a Python character class; a class that holds nothing never matches."""
    if not ranges:
        return "(?!)"
    spans = (f"\\U{low:08x}" if low == high else f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
    return f"[{''.join(spans)}]"

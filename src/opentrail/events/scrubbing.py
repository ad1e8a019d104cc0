"""Taking secrets out of error messages, which are written by handlers, validators and upstreams that may echo what they
were sent.

Rules: a secret is found by its first eight characters, and removed as far as the message repeats it, so that a
shortened echo goes too; each line of a secret counts by itself, because messages may show line breaks in another form;
so do the forms that secrets take in messages: escaped for JSON, XML or an address, and base64. Secrets of four to seven
characters (PINs, one-time codes) go where they stand alone. Shorter ones are left: removing ``a`` everywhere would make
messages useless and prove nothing. Where there are too many secrets to look for, the message is hidden as a whole.

Not found: the middle or end of a secret by itself, and secrets encoded together with something else.
"""

import base64
import html
import json
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from opentrail.events.redaction import HIDDEN, REDACTED

SECRET_LENGTH_MIN = 8
"""Secrets from this length on are found wherever they stand, by so many characters of their beginning."""

SHORT_SECRET_LENGTH_MIN = 4
"""Shorter than that nothing is removed."""

MESSAGE_LENGTH_MAX = 4096
"""Characters of a message that are looked at; more than the 1 KB that a record keeps, so that cutting comes last."""

SECRETS_MAX = 10_000
"""Secrets, and lines of secrets, that are looked for; a caller must not buy more time than that with one message."""

Form: TypeAlias = Callable[[str], str]
"""How a message may write a secret."""

_NEVER_ESCAPED = re.compile(r"[A-Za-z0-9_.-]*")
"""Written alike in every escaped form."""


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text, at most ``MESSAGE_LENGTH_MAX`` characters of it, without any of the secrets."""
    text = text[:MESSAGE_LENGTH_MAX]
    windows = {text[at : at + SECRET_LENGTH_MIN] for at in range(len(text) - SECRET_LENGTH_MIN + 1)}
    escapes = [form for sign, form in _ESCAPES if sign in text]
    echoed: dict[str, set[str]] = {}
    short: set[str] = set()
    for count, line in enumerate(_lines(secrets)):
        if count >= SECRETS_MAX:
            return HIDDEN
        if len(line) >= SECRET_LENGTH_MIN:
            for form in _forms_begun(line[:SECRET_LENGTH_MIN], windows, escapes):
                head = form(line[:SECRET_LENGTH_MIN])[:SECRET_LENGTH_MIN]
                echoed.setdefault(head, set()).add(form(line[:MESSAGE_LENGTH_MAX])[:MESSAGE_LENGTH_MAX])
        elif len(line) >= SHORT_SECRET_LENGTH_MIN:
            short.add(line)
    if not echoed and not short:
        return text
    return _without(text, {head: sorted(fragments) for head, fragments in echoed.items()}, short)


def _lines(secrets: Iterable[str]) -> Iterator[str]:
    """Every secret, and where it has several lines, each of them."""
    for secret in secrets:
        whole = secret.strip()
        yield whole
        lines = whole.splitlines()
        if len(lines) > 1:
            yield from (line.strip() for line in lines)


def _forms_begun(beginning: str, windows: set[str], escapes: list[Form]) -> Iterator[Form]:
    """The forms of a secret that begins so which the text begins to repeat."""
    if beginning in windows or not _NEVER_ESCAPED.fullmatch(beginning):
        yield from (form for form in (_plain, *escapes) if form(beginning)[:SECRET_LENGTH_MIN] in windows)
    if _base64(beginning)[:SECRET_LENGTH_MIN] in windows:
        yield _base64


def _without(text: str, echoed: dict[str, list[str]], short: set[str]) -> str:
    """The text with every repetition of a secret's beginning replaced, as far as any secret goes there."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        fragments = echoed.get(text[at : at + SECRET_LENGTH_MIN])
        length = _longest(fragments, text[at:]) if fragments else _short_at(text, at, short)
        kept.append(REDACTED if length else text[at])
        at += length or 1
    return "".join(kept)


def _longest(fragments: list[str], rest: str) -> int:
    """How far the text goes on like one of the sorted fragments: those beside its own place share the most with it."""
    place = bisect(fragments, rest)
    return max(_common(fragment, rest) for fragment in fragments[max(place - 1, 0) : place + 1])


def _common(one: str, other: str) -> int:
    """The length of what both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _short_at(text: str, at: int, short: set[str]) -> int:
    """The length of the short secret that stands alone at this place; 0 for none."""
    if not short or (at and text[at - 1].isalnum()):
        return 0
    for length in range(SECRET_LENGTH_MIN - 1, SHORT_SECRET_LENGTH_MIN - 1, -1):
        if text[at : at + length] in short and not text[at + length : at + length + 1].isalnum():
            return min(length, len(text) - at)
    return 0


def _plain(line: str) -> str:
    return line


def _base64(line: str) -> str:
    return base64.b64encode(line.encode("utf-8", "replace")).decode()


def _in_json(line: str) -> str:
    return json.dumps(line, ensure_ascii=False)[1:-1]


def _in_ascii_json(line: str) -> str:
    return json.dumps(line)[1:-1]


def _in_address(line: str) -> str:
    return quote(line, safe="", errors="replace")


def _in_form(line: str) -> str:
    return quote_plus(line, errors="replace")


def _in_quoted_xml(line: str) -> str:
    return escape(line, {'"': "&quot;", "'": "&apos;"})


# Each escaped form, and what stands in every text that has it where it differs from the plain one. All of them go
# character by character, so that the form of a beginning is the beginning of the form.
_ESCAPES: tuple[tuple[str, Form], ...] = (
    ("\\", _in_json),
    ("\\", _in_ascii_json),
    ("%", _in_address),
    ("%", _in_form),
    ("+", _in_form),
    ("&", escape),
    ("&", html.escape),
    ("&", _in_quoted_xml),
)

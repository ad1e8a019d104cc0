"""Taking secrets out of error messages, which are written by handlers and validators that may echo what they were sent.

Rules: a secret is found by its first eight characters, and removed as far as the message repeats it, so that a
shortened echo goes too; each line of a secret counts by itself, because messages may show line breaks in another
form. Shorter secrets are left alone: removing ``a`` everywhere would make messages useless and prove nothing.
"""

from collections.abc import Iterable

from opentrail.events.redaction import REDACTED

SECRET_LENGTH_MIN = 8

MESSAGE_LENGTH_MAX = 4096
"""Characters of a message that are looked at; more than the 1 KB that a record keeps, so that cutting comes last."""


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text, at most ``MESSAGE_LENGTH_MAX`` characters of it, without any of the secrets."""
    text = text[:MESSAGE_LENGTH_MAX]
    for fragment in sorted(_fragments(text, secrets), key=len, reverse=True):
        text = _without(text, fragment)
    return text


def _fragments(text: str, secrets: Iterable[str]) -> set[str]:
    """Secrets and their lines, as far as the text begins to repeat one of them."""
    windows = {text[at : at + SECRET_LENGTH_MIN] for at in range(len(text) - SECRET_LENGTH_MIN + 1)}
    found = set()
    for secret in secrets:
        for line in (secret, *secret.splitlines()):
            fragment = line.strip()[:MESSAGE_LENGTH_MAX]
            if fragment[:SECRET_LENGTH_MIN] in windows:
                found.add(fragment)
    return found


def _without(text: str, fragment: str) -> str:
    """The text with every repetition of the fragment's beginning replaced, each as far as it goes."""
    head = fragment[:SECRET_LENGTH_MIN]
    kept: list[str] = []
    at = 0
    while (start := text.find(head, at)) >= 0:
        end = start + SECRET_LENGTH_MIN
        while end < len(text) and end - start < len(fragment) and text[end] == fragment[end - start]:
            end += 1
        kept += (text[at:start], REDACTED)
        at = end
    return "".join((*kept, text[at:]))

"""Error messages without the secrets that they repeat."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest

from opentrail.events.redaction import HIDDEN
from opentrail.events.scrubbing import SECRETS_MAX, scrub


def test_scrubbing_leaves_short_values_and_other_text_alone() -> None:
    """Values below four characters are not searched for; the rest of a message stays as it was."""
    assert scrub("the value abc is wrong", ["abc", ""]) == "the value abc is wrong"
    assert scrub("x12345678x12345678y", ["12345678"]) == "x*** Redacted ***x*** Redacted ***y"


def test_scrubbing_takes_codes_and_pins_where_they_stand_alone() -> None:
    """A code of six digits goes as a word, and stays as a part of a longer number."""
    shown = scrub("code 123456, request 91234567, '123456' and 123456", ["123456"])
    assert shown == "code *** Redacted ***, request 91234567, '*** Redacted ***' and *** Redacted ***"


@pytest.mark.parametrize(
    "form",
    [
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: json.dumps(text),
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: quote(text, safe=""),
        quote_plus,
        html.escape,
        escape,
    ],
)
def test_scrubbing_finds_a_secret_in_the_forms_that_messages_have(form: Callable[[str], str]) -> None:
    """Escaped and encoded echoes go to their end, also where the escaped place is in the first eight characters."""
    for secret in ("p\"ß& <w'd>+/=the rest", "a long beginning, then p\"ß& <w'd>+/=the rest"):
        shown = scrub(f"Invalid value: {form(secret)} (see {form(secret)[:20]})", [secret])
        assert shown.count("*** Redacted ***") == 2
        assert "rest" not in shown
        assert shown.strip('()"').startswith("Invalid value: ")


def test_scrubbing_follows_the_secret_that_goes_on_longest() -> None:
    """Of secrets that begin alike, the one that the message repeats is removed to its end."""
    secrets = ["password-1-alpha", "password-2-beta-and-more", "password-2-zeta", "password-1"]
    assert scrub("got password-1-alpha, password-2-zeta", secrets) == "got *** Redacted ***, *** Redacted ***"


def test_a_message_beside_too_many_secrets_is_hidden() -> None:
    """Where looking for all secrets would take too long, the whole message goes."""
    assert scrub("m" * 20, (f"secret-{number}" for number in range(SECRETS_MAX + 1))) == HIDDEN
    assert scrub("m" * 20, (f"secret-{number}" for number in range(SECRETS_MAX))) == "m" * 20


def test_scrubbing_finds_the_lines_of_a_secret() -> None:
    """A secret whose line breaks were written in another way is found line by line."""
    pem = "-----BEGIN KEY-----\nMIIEvAIBADANBgkqhkiG\n-----END KEY-----"
    shown = scrub("got " + pem.replace("\n", "\\n"), [pem])
    assert "MIIEvAIB" not in shown
    assert "BEGIN KEY" not in shown

"""docs/redaction.md says what the redaction table and the models say."""

import re
import textwrap
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import botocore
import pytest
from botocore.model import ListShape, MapShape, StructureShape

from opentrail.events.redaction import HIDDEN, REDACTIONS, TEXTS, redaction_of
from tests.completeness.test_redaction_table import CATALOGUE, is_marked, shown_members

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "redaction.md").read_text()
VISIBLE = set(
    re.findall(
        r"`([^`\s]+)`", PAGE.partition("## What stays visible on purpose")[2].partition("\n\nVisible as well")[0]
    )
)
VISIBLE -= {"service.member", "*"}

SOUNDS_SECRET = re.compile(
    r"""passw|passphrase|passcode|secret|credential|private_?key|pre_?shared|bearer|token|(^pin$|[a-z]P[iI][nN]$)|otp$|
    (access|api|auth|shared|licen[cs]e|session|activation|app|signing|root|cluster|aes|encryption|static|md5|hmac|
     host|ssh|stream)_?key(value|material)?s?$|
    (auth|authori[sz]ation|activation|confirmation|verification|device|user|unlock|invite|security|access)_?code|
    user_?data|environment_?variables|env_?vars|connection_?(string|properties)|presigned|signed_?url|plain_?text|
    cipher|salt$|assertion|nonce|code_?verifier|provider_?details|authorization$|oauth""",
    re.IGNORECASE | re.VERBOSE,
)


def suspects(service: str) -> Iterator[str]:
    """``service.member`` for every text or binary member that records show and whose name sounds like a secret."""
    modelled = CATALOGUE.service(service)
    redaction = redaction_of(modelled.event_source)
    for (structure, name), shape in shown_members(modelled, redaction).items():
        inner = shape
        while isinstance(inner, ListShape | MapShape) and not is_marked(inner):
            inner = inner.member if isinstance(inner, ListShape) else inner.value
        is_value = inner.type_name in {"string", "blob"} and not inner.metadata.get("enum")
        if is_marked(inner) or redaction.hides(structure, name) or isinstance(inner, StructureShape) or not is_value:
            continue
        if SOUNDS_SECRET.search(name):
            yield f"{service}.{name}"


def matching(suspect: str) -> list[str]:
    """The patterns of the page that name it."""
    return [pattern for pattern in VISIBLE if fnmatchcase(suspect.lower(), pattern)]


SAMPLE = [
    name
    for name in CATALOGUE.names
    if (zlib.crc32(name.encode()) + zlib.crc32(botocore.__version__.encode())) % 10 == 0
]


@pytest.mark.parametrize("service", SAMPLE)
def test_what_sounds_secret_is_hidden_or_explained(service: str) -> None:
    """A member with the name of a secret is marked, has a line, or the page tells why it stays."""
    assert [suspect for suspect in suspects(service) if not matching(suspect)] == []


@pytest.mark.soak
def test_of_all_services_what_sounds_secret_is_hidden_or_explained() -> None:
    """The same for every service; and every explanation is about something."""
    found = [suspect for service in CATALOGUE.names for suspect in suspects(service)]
    assert [suspect for suspect in found if not matching(suspect)] == []
    assert VISIBLE - {pattern for suspect in set(found) for pattern in matching(suspect)} == set()


def test_the_page_lists_the_services_with_lines() -> None:
    """Each event source with the number of its lines, as they are in the file."""
    listed = PAGE.partition("<!-- lines of redaction.toml -->")[2].partition("<!-- end -->")[0]
    assert listed.strip() == lines_of_the_table()


def lines_of_the_table() -> str:
    """What stands between the two marks of the page."""
    rows = [f"`{source}`\xa0{len(redaction.members)}" for source, redaction in sorted(REDACTIONS.items())]
    return textwrap.fill(", ".join(rows) + ".", 120, break_on_hyphens=False).replace("\xa0", " ")


def test_the_page_tells_every_way_of_hiding() -> None:
    """Each text that records have in place of a secret stands on the page."""
    for text in (HIDDEN, *TEXTS):
        assert f"`{text}`" in PAGE

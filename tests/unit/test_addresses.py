"""The upstream's URLs in answers become ours, and nothing else changes."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.gateway.addresses import replacer

THEIRS, OURS = "http://127.0.0.1:9324", "https://trail.example:4566"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'{{"QueueUrl":"{THEIRS}/1/q"}}', f'{{"QueueUrl":"{OURS}/1/q"}}'),
        (f"<QueueUrl>{THEIRS}/1/q</QueueUrl>", f"<QueueUrl>{OURS}/1/q</QueueUrl>"),
        (THEIRS, OURS),
        ('{"Address":"127.0.0.1:9324"}', '{"Address":"trail.example:4566"}'),
        (
            '{"u":"http:\\/\\/127.0.0.1:9324\\/1"}',
            '{"u":"https:\\/\\/trail.example:4566\\/1"}',
        ),
        (f"QueueUrl={quote(THEIRS, safe='')}%2F1%2Fq&A=b", f"QueueUrl={quote(OURS, safe='')}%2F1%2Fq&A=b"),
        (f"{THEIRS}0/other-port", f"{THEIRS}0/other-port"),
        (f"{THEIRS}.example/other-host", f"{THEIRS}.example/other-host"),
        ("http://127.0.0.1/no-port", "http://127.0.0.1/no-port"),
        ("http://127.0.0.1:93240/longer-port", "http://127.0.0.1:93240/longer-port"),
    ],
)
def test_whole_origins_are_replaced(before: str, after: str) -> None:
    """An origin counts where nothing of a host or port follows it, in every form that bodies have it in."""
    assert replacer((THEIRS,), OURS).body(before.encode()).decode() == after


def test_the_longest_of_several_origins_counts() -> None:
    """A host that is the beginning of another is not taken for it."""
    found = replacer(("http://a", "http://a:80", "http://ab"), "http://us").body(
        b"http://a:80/x http://a/x http://ab/x"
    )
    assert found == b"http://us/x http://us/x http://us/x"


@given(st.binary(max_size=200))
def test_bytes_without_an_origin_pass_untouched(data: bytes) -> None:
    """What holds no origin comes back as the very same object."""
    if b"127.0.0.1" not in data:
        assert replacer((THEIRS,), OURS).body(data) is data


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_what_was_replaced_can_be_put_back(before: bytes, after: bytes) -> None:
    """Requests go the other way, so that a URL from an answer reaches the upstream as it wrote it."""
    data = before + b' "' + THEIRS.encode() + b'/q" ' + after
    if OURS.encode() not in before + after:
        there = replacer((THEIRS,), OURS).body(data)
        assert OURS.encode() in there
        assert replacer((OURS,), THEIRS).body(there) == data


def test_header_values_are_replaced_too() -> None:
    """A Location header leads back to us."""
    assert replacer((THEIRS,), OURS).text(f"{THEIRS}/x") == f"{OURS}/x"
    assert replacer((THEIRS,), OURS).text("text/xml") == "text/xml"

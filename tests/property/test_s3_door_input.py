"""The door's pure parts under hostile input: they refuse, and never fail otherwise or let two readings apart."""

import itertools
from urllib.parse import unquote_to_bytes

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.protocols.s3_errors import read_error
from opentrail.aws.protocols.s3_xml import document, element, read, text_of
from opentrail.errors import ApiError
from opentrail.events.s3 import copy_source, identify, locate, query_pairs
from opentrail.gateway.exchange import Caller
from opentrail.gateway.s3_address import check_acl, check_address
from opentrail.gateway.s3_framing import ChunkCheck, PlainCheck, framed_size, framing
from opentrail.gateway.s3_markup import Deletion, read_deletion, read_location_constraint
from opentrail.gateway.upstream import canonical_path, forwarded_query
from opentrail.identity.principal import ANONYMOUS

_latin = st.text(st.characters(max_codepoint=255), max_size=60)
_readable = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)
_key = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=30
)


@given(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "X"]), _latin, _latin, _latin, _latin)
@settings(max_examples=200, deadline=None)
def test_addresses_are_accepted_or_refused(method: str, path: str, query: str, host: str, value: str) -> None:
    """Any address, query and header leads to an ApiError or to none."""
    headers = {"host": host, "x-amz-copy-source": value, "x-amz-acl": value, "content-length": value}
    call = identify(method, locate(host, path, ("localhost",)), query, headers)
    for check in (
        lambda: check_address(call, query, headers, copy_source(headers)),
        lambda: check_acl(call, headers),
        lambda: framing(headers, None, needs_length=True),
    ):
        try:
            check()
        except ApiError:
            pass


@given(_latin)
@settings(max_examples=200, deadline=None)
def test_paths_and_queries_mean_the_same_after_respelling(text: str) -> None:
    """Respelling keeps the path's bytes and the query's pairs, and respelling again changes nothing."""
    path = canonical_path("/" + text)
    assert unquote_to_bytes(path) == unquote_to_bytes(("/" + text).encode("latin-1"))
    assert canonical_path(path) == path
    query = forwarded_query(text)
    assert forwarded_query(query) == query
    kept = [pair for pair in query_pairs(text) if not pair[0].lower().startswith("x-amz-")]
    assert [pair for pair in query_pairs(query) if not pair[0].lower().startswith("x-amz-")] == kept


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_documents_are_read_or_refused(body: bytes) -> None:
    """Arbitrary bytes are an ApiError, or for answers an error by status."""
    for reader in (read_deletion, read_location_constraint):
        try:
            reader(body)
        except ApiError:
            pass
    assert read_error(503, body).code


def test_entities_are_not_expanded() -> None:
    """A DOCTYPE is refused, however it is encoded, and so is depth."""
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>'
    for body in (bomb.encode(), bomb.encode("utf-16"), b"<a>" * 5000 + b"</a>" * 5000):
        try:
            read(body)
        except ValueError:
            continue
        raise AssertionError(body[:40])


@given(st.lists(st.tuples(_key, st.sampled_from(["", "v1"])), min_size=1, max_size=5), st.booleans())
@settings(max_examples=100, deadline=None)
def test_deletions_survive_being_written_anew(objects: list[tuple[str, str]], quiet: bool) -> None:
    """What goes to the upstream reads as what was decided about."""
    deletion = Deletion(tuple(objects), quiet)
    assert read_deletion(deletion.to_xml()) == deletion


@given(_readable)
@settings(max_examples=100, deadline=None)
def test_text_in_our_documents_comes_back(text: str) -> None:
    """Markup in keys and messages is text, whatever it looks like; what XML cannot hold is replaced."""
    found = text_of(read(document("Error", element("Message", text), namespace=False)), "Message")
    assert found == text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_checks_never_let_a_bad_body_out_whole(body: bytes, cuts: list[int], chunked: bool) -> None:
    """Whatever arrives, in whatever pieces: before the verdict at least the last byte is missing."""
    headers = {"content-length": str(len(body)), "x-amz-decoded-content-length": "5", "x-amz-content-sha256": "0" * 64}
    if chunked:
        headers["x-amz-content-sha256"] = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    announced = framing(headers, None, needs_length=True)
    check = ChunkCheck(announced, Caller(ANONYMOUS)) if chunked else PlainCheck(announced)
    marks = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    passed = b""
    try:
        for start, end in itertools.pairwise(marks):
            passed += check.feed(body[start:end])
        check.finish()
    except ApiError:
        assert len(passed) < max(announced.payload_bytes, 1)


@given(st.integers(0, 10**7), st.sampled_from(["x-amz-checksum-crc32", "x-amz-checksum-sha256"]))
@settings(max_examples=60, deadline=None)
def test_framed_sizes_grow_with_the_payload(size_bytes: int, name: str) -> None:
    """The announced length of a framed body is above the payload's and below it plus a few percent."""
    framed = framed_size(size_bytes, name)
    assert size_bytes < framed < size_bytes * 1.01 + 200

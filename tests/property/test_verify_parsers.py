"""The checker's readers of outside bytes: anything may come, nothing but the modelled answer goes."""

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import OutboundError
from opentrail.storage.listings import read_listing
from opentrail.verify.chain import Horizon, Link, Signed, walk
from opentrail.verify.coverage import ListedFiles
from opentrail.verify.digest import Digest, DigestProblem, LogEntry, Previous, read_digest
from opentrail.verify.findings import Kind, Location
from opentrail.verify.inflate import Flaw, FlawedGzip, inflate
from opentrail.verify.keys import KeyProblem, parse_pkcs1, read_key, read_key_ring
from opentrail.verify.log_files import check_log
from opentrail.verify.object_keys import AccountRegion, parse_digest_key, parse_log_key, parse_place
from opentrail.verify.times import display, parse_asked, parse_minute_stamp, parse_stamp, parse_wire
from tests.support.digest_world import EPOCH, HOUR, MemoryReader, Trail, key_pair

LIMIT = 1 << 20
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def inflated(data: bytes, size: int, limit: int = LIMIT) -> bytes:
    return b"".join(inflate(pieces(data, size), limit))


@given(st.binary(max_size=5000), st.integers(1, 3000), st.integers(0, 9))
def test_one_gzip_member_gives_its_content(content: bytes, size: int, level: int) -> None:
    """However it is cut on the way."""
    assert inflated(gzip.compress(content, level), size) == content


@given(st.binary(max_size=300), st.integers(1, 50), st.binary(min_size=1, max_size=50))
def test_anything_behind_a_member_is_refused(content: bytes, size: int, behind: bytes) -> None:
    """Whatever it is and however it arrives."""
    with pytest.raises(FlawedGzip) as refused:
        inflated(gzip.compress(content) + behind, size)
    assert refused.value.flaw is (Flaw.SECOND_MEMBER if behind[:2] == b"\x1f\x8b" else Flaw.TRAILING_BYTES)


@given(st.binary(max_size=300), st.data())
def test_a_member_without_its_end_is_refused(content: bytes, data: st.DataObject) -> None:
    """At any place."""
    whole = gzip.compress(content)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FlawedGzip) as refused:
        inflated(whole[:cut], 100)
    assert refused.value.flaw is Flaw.CUT_OFF


@given(st.binary(max_size=400), st.integers(1, 100))
def test_arbitrary_bytes_inflate_or_are_refused(data: bytes, size: int) -> None:
    """And where zlib takes them as one member, so do we."""
    reference = zlib.decompressobj(31)
    try:
        expected: bytes | None = reference.decompress(data)
    except zlib.error:
        expected = None
    try:
        ours: bytes | None = inflated(data, size)
    except FlawedGzip:
        ours = None
    assert ours == (expected if reference.eof and not reference.unused_data else None)


@given(st.integers(1, 300_000), st.integers(0, 300_000))
@settings(max_examples=30)
def test_no_more_than_the_limit_is_inflated(size: int, limit: int) -> None:
    """Content up to the limit passes, one byte more does not."""
    body = gzip.compress(bytes(size))
    if size <= limit:
        assert inflated(body, 64, limit) == bytes(size)
    else:
        with pytest.raises(FlawedGzip) as refused:
            inflated(body, 64, limit)
        assert refused.value.flaw is Flaw.TOO_LARGE


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_log_file(data: bytes) -> None:
    """A finding, never an exception."""
    entry = LogEntry(Location("b", "k"), "0" * 64)
    assert check_log(entry, EPOCH, [data], LIMIT) is not None


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: key_pair(0).der + rest))
def test_arbitrary_bytes_are_a_key_or_a_problem(data: bytes) -> None:
    """Only DER's one form of a key is a key."""
    try:
        modulus, exponent = parse_pkcs1(data)
    except KeyProblem:
        return
    assert data == key_pair(0).der
    assert (modulus.bit_length(), exponent) == (2048, 65537)


@given(st.integers(0, 269), st.integers(0, 255))
def test_a_changed_byte_never_keeps_a_keys_meaning(at: int, value: int) -> None:
    """Two values of different bytes are different keys, or none."""
    der = bytearray(key_pair(0).der)
    before = parse_pkcs1(bytes(der))
    if der[at] == value:
        return
    der[at] = value
    try:
        assert parse_pkcs1(bytes(der)) != before
    except KeyProblem:
        pass


def test_subject_public_key_info_is_no_pkcs1_key() -> None:
    """What OpenSSL writes by default (trap 13)."""
    spki = key_pair(0).private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyProblem):
        parse_pkcs1(spki)


@given(JSON | st.fixed_dictionaries(dict.fromkeys(("Value", "Fingerprint", "ValidityStartTime"), JSON)))
def test_arbitrary_entries_are_no_keys(entry: Any) -> None:
    """KeyProblem, and a ring calls them broken."""
    with pytest.raises(KeyProblem):
        read_key(entry)
    assert not read_key_ring([entry]).keys


@given(st.sampled_from(["ValidityStartTime", "ValidityEndTime", "Value", "Fingerprint"]), JSON)
def test_a_key_needs_each_of_its_members(name: str, value: Any) -> None:
    """With one of them replaced it is a key of another time, or none."""
    try:
        key = read_key(key_pair(0).entry | {name: value})
    except KeyProblem:
        return
    assert key.fingerprint == key_pair(0).fingerprint


def document() -> dict[str, Any]:
    """A digest file's content with a predecessor and two log files."""
    reader = MemoryReader()
    trail = Trail(reader.objects).hours(2)
    content: dict[str, Any] = json.loads(gzip.decompress(reader.objects[trail.bucket, trail.digests[1]].body))
    return content


DOCUMENT = document()


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_content_is_no_digest(content: bytes) -> None:
    """DigestProblem and nothing else."""
    with pytest.raises(DigestProblem):
        read_digest(content)


@given(st.sampled_from(sorted(DOCUMENT)), JSON)
def test_a_digest_with_one_member_replaced_is_read_or_refused(name: str, value: Any) -> None:
    """Whatever stands there."""
    try:
        assert isinstance(read_digest(json.dumps(DOCUMENT | {name: value}).encode()), Digest)
    except DigestProblem:
        pass


REQUIRED = sorted(set(DOCUMENT) - {"newestEventTime", "oldestEventTime"})


@pytest.mark.parametrize("name", REQUIRED)
def test_a_digest_without_one_of_its_members_is_refused(name: str) -> None:
    """All keys are always present (fact sheet 5.2); only the event times are not ours to need."""
    with pytest.raises(DigestProblem):
        read_digest(json.dumps({key: value for key, value in DOCUMENT.items() if key != name}).encode())


@pytest.mark.parametrize("name", ["s3Bucket", "s3Object", "hashValue", "hashAlgorithm"])
def test_a_log_entry_without_one_of_its_members_is_refused(name: str) -> None:
    """Each log file has a place and a hash."""
    entry = {key: value for key, value in DOCUMENT["logFiles"][0].items() if key != name}
    with pytest.raises(DigestProblem):
        read_digest(json.dumps(DOCUMENT | {"logFiles": [entry]}).encode())


@given(st.text(max_size=30))
def test_arbitrary_texts_are_times_or_value_errors(text: str) -> None:
    """What is read prints as it was."""
    for parse, form in (
        (parse_wire, "%Y-%m-%dT%H:%M:%SZ"),
        (parse_stamp, "%Y%m%dT%H%M%SZ"),
        (parse_minute_stamp, "%Y%m%dT%H%MZ"),
    ):
        try:
            instant = parse(text)
        except ValueError:
            continue
        assert instant.strftime(form) == text
    try:
        assert parse_asked(text).tzinfo is UTC
    except ValueError:
        pass


@pytest.mark.parametrize("year", ["0001", "1969", "9000", "9999"])
def test_no_file_is_of_a_year_beyond_arithmetic(year: str) -> None:
    """A planted name must not end the validation."""
    for parse, text in ((parse_wire, "-01-01T00:00:00Z"), (parse_stamp, "0101T000000Z"), (parse_asked, "-01-01")):
        with pytest.raises(ValueError):
            parse(year + text)


@given(st.integers(0, 7_000_000_000))
def test_times_survive_their_forms(second: int) -> None:
    """Written and read again."""
    instant = datetime.fromtimestamp(second, UTC)
    assert parse_wire(display(instant)) == instant == parse_asked(display(instant))
    assert parse_stamp(f"{instant:%Y%m%dT%H%M%SZ}") == instant


@given(
    st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True),
    st.sampled_from(["", "p", "p/AWSLogs/q"]),
    st.sampled_from(["", "o-abc"]),
    st.booleans(),
)
def test_digest_keys_are_read_back(name: str, prefix: str, organization: str, backfill: bool) -> None:
    """Trail names may hold underscores and dots (trap 22)."""
    trail = Trail({}, name=name, prefix=prefix, organization=organization)
    key = trail.digest_key(EPOCH, backfill=backfill)
    place = parse_place("b", key)
    assert place == AccountRegion("b", trail.root, trail.account_id, trail.region)
    parsed = parse_digest_key(place, key)
    assert parsed is not None
    chain, stamp = parsed
    assert (chain.trail_name, chain.home_region, stamp, chain.backfill) == (name, "us-east-1", EPOCH, backfill)
    assert chain.key(stamp) == key
    assert place.in_organization == bool(organization)


@given(st.text(max_size=100))
def test_arbitrary_keys_are_nobodys(text: str) -> None:
    """Strangers' objects are passed over."""
    place = AccountRegion("b", "AWSLogs/111122223333/", "111122223333", "eu-west-1")
    assert parse_place("b", text) is None
    for key in (text, place.digest_folder + text, place.log_folder("CloudTrail") + text):
        assert parse_digest_key(place, key) is None
        assert parse_log_key(place, "CloudTrail", key) is None


LINK_STAMPS = st.lists(st.integers(0, 30), unique=True, max_size=12).map(sorted)


@given(LINK_STAMPS, st.data())
@settings(max_examples=200)
def test_any_tangle_of_links_is_walked_to_its_end(stamps: list[int], data: st.DataObject) -> None:
    """Loops, forks, strangers: the walk ends, and names every authentic digest that is not on the way."""
    links = [_link(data, stamp, stamps) for stamp in stamps]
    horizon = Horizon(
        start=data.draw(st.none() | st.integers(0, 30).map(_instant)),
        due=data.draw(st.none() | st.integers(0, 40).map(_instant)),
        anything_older=data.draw(st.booleans()),
        backfill=data.draw(st.booleans()),
    )
    result = walk(links, horizon)
    assert len([one for one in result.findings if one.kind is Kind.CHAIN_FORKED]) <= max(0, len(links) - 1)
    assert result.covered == sorted(result.covered)


def _link(data: st.DataObject, stamp: int, stamps: list[int]) -> Link:
    location = Location("b", _key(stamp))
    if not data.draw(st.booleans()):
        return Link(location, _instant(stamp), None)
    names = st.sampled_from([_key(other) for other in [*stamps, 99]] + ["elsewhere/x", "x"])
    previous = st.builds(lambda key: Previous(Location("b", key), "h", "s"), names)
    start = _instant(stamp) - timedelta(minutes=data.draw(st.integers(0, 200)))
    return Link(location, _instant(stamp), Signed(start, "h", "s", data.draw(st.none() | previous)))


def _instant(hour: int) -> datetime:
    return EPOCH + hour * HOUR


def _key(stamp: int) -> str:
    return f"AWSLogs/1/CloudTrail-Digest/r/Y/M/D/{stamp}"


@given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: f"<a><Contents>{text}</Contents></a>".encode()))
def test_arbitrary_answers_are_listings_or_outbound_errors(answer: bytes) -> None:
    """A server that is no S3 is told apart from an empty bucket."""
    try:
        assert not read_listing(answer).entries
    except OutboundError as error:
        assert error.code == "InvalidListing"


@given(st.lists(st.text(min_size=1, max_size=20), max_size=5), st.booleans())
def test_listings_are_read_back(keys: list[str], encoded: bool) -> None:
    """Any key travels percent-encoded; a page that is not the last names the next one."""
    lines = "".join(
        f"<Contents><Key>{quote(key)}</Key><Size>7</Size><LastModified>2026-11-25T10:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    end = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>" if encoded else ""
    space = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' if encoded else ""
    page = read_listing(f"<L{space}><EncodingType>url</EncodingType>{lines}{end}</L>".encode())
    assert [entry.key for entry in page.entries] == keys
    assert page.next_token == ("t" if encoded else None)


@given(st.lists(st.text(max_size=10), max_size=20), st.text(max_size=10))
def test_listed_files_are_remembered(keys: list[str], other: str) -> None:
    """What was added is in, what was not is not."""
    listed = ListedFiles(b"k" * 32)
    for key in keys:
        listed.add(Location("b", key))
        assert Location("b", key) in listed
    assert (Location("b", other) in listed) == (other in keys)
    assert Location("c", other) not in listed

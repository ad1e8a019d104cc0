"""Bodies in chunks: any payload, cut anywhere, comes back; anything changed, or anything at all, is refused cleanly.

The signer here is written from the documentation with plain HMACs, apart from the product's.
"""

import hmac
import io
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum, Sha256Checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.authorization import Authorization, SignatureProblem
from opentrail.aws.checksums import Checksum, ChecksumAlgorithm
from opentrail.aws.chunked import (
    HELD_BACK_BYTES,
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    BodyEnd,
    ChunkedBody,
    ChunkProblem,
)
from opentrail.aws.sigv4 import Scope, SigningKey

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = Scope("20261123", "eu-west-1", "s3")
KEY = SigningKey(SECRET, SCOPE)
SEED = "5" * 64
AUTHORIZATION = Authorization(
    "AK", SCOPE, ("host",), SEED, datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC), False, None, SIGNED, None
)
FEW = settings(max_examples=80, deadline=None)
CHUNKS = st.lists(st.binary(min_size=1, max_size=200), max_size=6)
CUTS = st.lists(st.integers(1, 90), min_size=1, max_size=8)
FORMS = st.sampled_from([SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), "sha256").digest()


def chunk_signature(kind: str, previous: str, rest: str) -> str:
    """A chunk's or trailer's signature, from the documentation's formula."""
    key = b"AWS4" + SECRET.encode()
    for part in ("20261123", "eu-west-1", "s3", "aws4_request"):
        key = _hmac(key, part)
    text = f"AWS4-HMAC-SHA256-{kind}\n20261123T010203Z\n20261123/eu-west-1/s3/aws4_request\n{previous}\n{rest}"
    return _hmac(key, text).hex()


def encode(form: str, chunks: Sequence[bytes]) -> bytes:
    """A body of some form with these chunks and, where the form has a trailer, a CRC-32C."""
    out, previous = b"", SEED
    for chunk in [*chunks, b""]:
        signature = ""
        if form != UNSIGNED_TRAILER:
            rest = f"{sha256(b'').hexdigest()}\n{sha256(chunk).hexdigest()}"
            previous = chunk_signature("PAYLOAD", previous, rest)
            signature = f";chunk-signature={previous}"
        out += f"{len(chunk):x}{signature}\r\n".encode() + (chunk + b"\r\n" if chunk else b"")
    if form != SIGNED:
        checksum = Checksum(ChecksumAlgorithm.CRC32C)
        checksum.update(b"".join(chunks))
        line = f"x-amz-checksum-crc32c:{checksum.base64()}"
        out += line.encode() + b"\r\n"
        if form == SIGNED_TRAILER:
            digest = sha256(f"{line}\n".encode()).hexdigest()
            out += f"x-amz-trailer-signature:{chunk_signature('TRAILER', previous, digest)}\r\n".encode()
    return out + b"\r\n"


def decoder(form: str, decoded_length: int | None = None) -> ChunkedBody:
    """A decoder for what ``encode`` makes."""
    names = () if form == SIGNED else ("x-amz-checksum-crc32c",)
    return ChunkedBody(form, KEY, AUTHORIZATION, decoded_length=decoded_length, trailer_names=names)


def decode(body: ChunkedBody, data: bytes, cuts: Sequence[int]) -> tuple[bytes, BodyEnd]:
    """Feed the data cut to these sizes, over and over."""
    out, position, turn = b"", 0, 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        out += b"".join(body.feed(data[position : position + size]))
        position, turn = position + size, turn + 1
    return out, body.finish()


@FEW
@given(FORMS, CHUNKS, CUTS)
def test_any_payload_comes_back_however_it_is_cut(form: str, chunks: list[bytes], cuts: list[int]) -> None:
    """Decoding does not depend on how the bytes arrive, and always keeps something back of a body that is not empty."""
    payload = b"".join(chunks)
    before, end = decode(decoder(form, len(payload)), encode(form, chunks), cuts)
    assert before + end.payload == payload
    assert bool(end.payload) == bool(payload)
    assert len(end.payload) <= HELD_BACK_BYTES


@FEW
@given(st.sampled_from([SIGNED, SIGNED_TRAILER]), CHUNKS, CUTS, st.integers(0), st.integers(0, 7))
def test_any_flipped_bit_of_a_signed_body_is_refused(
    form: str, chunks: list[bytes], cuts: list[int], position: int, bit: int
) -> None:
    """A flipped bit never leads to another payload: the body is refused, or (in white space, or the case of a letter)
    means the same.
    """
    data = bytearray(encode(form, chunks))
    data[position % len(data)] ^= 1 << bit
    payload = b"".join(chunks)
    try:
        before, end = decode(decoder(form, len(payload)), bytes(data), cuts)
    except (SignatureProblem, ChunkProblem):
        return
    assert before + end.payload == payload


@FEW
@given(FORMS, CHUNKS, CUTS, st.integers(0))
def test_a_body_cut_short_never_comes_out_whole(form: str, chunks: list[bytes], cuts: list[int], cut: int) -> None:
    """Wherever a body ends early, it is refused and its last byte stayed behind."""
    data = encode(form, chunks)
    data = data[: cut % len(data)]
    body = decoder(form)
    out = b""
    with pytest.raises(ChunkProblem):
        for start in range(0, len(data), cuts[0]):
            out += b"".join(body.feed(data[start : start + cuts[0]]))
        body.finish()
    assert not chunks or len(out) < len(b"".join(chunks))


@settings(max_examples=300, deadline=None)
@given(
    FORMS,
    st.one_of(st.binary(max_size=300), st.text("0123456789abcdef;=chunk-signature:\r\n", max_size=300).map(str.encode)),
    CUTS,
)
def test_arbitrary_bytes_are_refused_cleanly(form: str, data: bytes, cuts: list[int]) -> None:
    """Nothing but the two documented errors comes out of bytes that mean nothing."""
    with pytest.raises((SignatureProblem, ChunkProblem)):
        decode(decoder(form), data, cuts)


@FEW
@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=3), st.one_of(st.none(), st.integers(0)))
def test_arbitrary_declarations_are_taken_or_refused(form: str, names: list[str], length: int | None) -> None:
    """Headers that declare nonsense raise nothing but the two documented errors."""
    for declared in (form, UNSIGNED_TRAILER):
        try:
            ChunkedBody(declared, KEY, AUTHORIZATION, decoded_length=length, trailer_names=tuple(names))
        except (SignatureProblem, ChunkProblem) as problem:
            assert problem.message


@FEW
@given(st.binary(max_size=3000), st.integers(1, 1000), CUTS, st.booleans())
def test_what_botocore_sends_in_chunks_is_accepted(payload: bytes, chunk: int, cuts: list[int], sha: bool) -> None:
    """Botocore's own encoder and checksums agree with the decoder."""
    name = "x-amz-checksum-sha256" if sha else "x-amz-checksum-crc32"
    kind = Sha256Checksum if sha else Crc32Checksum
    data = AwsChunkedWrapper(io.BytesIO(payload), checksum_cls=kind, checksum_name=name, chunk_size=chunk).read()
    body = ChunkedBody(UNSIGNED_TRAILER, None, None, decoded_length=len(payload), trailer_names=(name,))
    before, end = decode(body, data, cuts)
    assert before + end.payload == payload
    assert set(end.trailers) == {name}


@FEW
@given(st.sampled_from(ChecksumAlgorithm), st.binary(max_size=500), st.integers(0, 500))
def test_checksums_do_not_depend_on_how_bytes_arrive(algorithm: ChecksumAlgorithm, data: bytes, cut: int) -> None:
    """In one piece or in two, the checksum is the same; another byte changes it."""
    whole, parts, other = Checksum(algorithm), Checksum(algorithm), Checksum(algorithm)
    whole.update(data)
    parts.update(data[:cut])
    parts.update(data[cut:])
    other.update(data + b"\0")
    assert parts.matches(whole.base64())
    assert not other.matches(whole.base64())
    assert b64encode(whole.digest()).decode() == whole.base64()

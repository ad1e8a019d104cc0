"""The aws-chunked decoder on bodies whose every byte is known: AWS's published examples, and ones bent out of shape."""

import base64
import zlib
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from opentrail.aws.authorization import Authorization, ProblemKind, SignatureProblem
from opentrail.aws.chunked import (
    HELD_BACK_BYTES,
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    BodyEnd,
    ChunkedBody,
    ChunkProblem,
    ChunkProblemKind,
)
from opentrail.aws.sigv4 import Scope, SigningKey

SCOPE = Scope("20130524", "us-east-1", "s3")
KEY = SigningKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SCOPE)
PAYLOAD = b"a" * 66560
# Amazon S3 API reference, "Signature calculations ...: transferring payload in multiple chunks (chunked upload)".
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
# The same, "... including trailing headers".
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_CHUNKS = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def authorization(seed: str) -> Authorization:
    """What the examples' requests say about their signature."""
    return Authorization(
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        scope=SCOPE,
        signed_headers=("host",),
        signature=seed,
        signed_at=datetime(2013, 5, 24, tzinfo=UTC),
        presigned=False,
        expires_s=None,
        payload_hash=SIGNED,
        security_token=None,
    )


def example(signatures: tuple[str, ...], end: bytes = b"\r\n") -> bytes:
    """The examples' body: 64 KiB, 1 KiB and the empty chunk."""
    sizes = (65536, 1024, 0)
    body = b""
    for size, signature in zip(sizes, signatures, strict=True):
        body += b"%x;chunk-signature=%s\r\n" % (size, signature.encode())
        if size:
            body += b"a" * size + b"\r\n"
    return body + end


def trailer_end(value: str = "sOO8/Q==", signature: str = TRAILER_SIGNATURE) -> bytes:
    """The trailer section of the second example."""
    return f"x-amz-checksum-crc32c:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()


def signed_body() -> ChunkedBody:
    """A decoder for the first example."""
    return ChunkedBody(SIGNED, KEY, authorization(SEED), decoded_length=66560)


def trailer_body() -> ChunkedBody:
    """A decoder for the second example."""
    names = ("x-amz-checksum-crc32c",)
    return ChunkedBody(SIGNED_TRAILER, KEY, authorization(TRAILER_SEED), decoded_length=66560, trailer_names=names)


def unsigned_body(**options: object) -> ChunkedBody:
    """A decoder for an unsigned body with a CRC-32 trailer."""
    settings: dict[str, object] = {"decoded_length": None, "trailer_names": ("x-amz-checksum-crc32",)} | options
    return ChunkedBody(UNSIGNED_TRAILER, None, None, **settings)  # type: ignore[arg-type] # options by name


def unsigned(payload: bytes, checksum: str | None = None) -> bytes:
    """An unsigned body of one chunk."""
    value = checksum or base64.b64encode(zlib.crc32(payload).to_bytes(4, "big")).decode()
    chunk = b"%x\r\n%s\r\n" % (len(payload), payload) if payload else b""
    return chunk + b"0\r\nx-amz-checksum-crc32:" + value.encode() + b"\r\n\r\n"


def decode(body: ChunkedBody, data: bytes, step: int = 8192) -> tuple[bytes, BodyEnd]:
    """Feed a body in pieces; what came out before the end, and the end."""
    out: list[bytes] = []
    for start in range(0, len(data), step):
        out += body.feed(data[start : start + step])
    return b"".join(out), body.finish()


@pytest.mark.parametrize("step", [1, 7, 8192, 65536, 1 << 20])
def test_awss_example_of_signed_chunks_is_accepted(step: int) -> None:
    """The published example of signed chunks decodes to its payload, however it is cut."""
    before, end = decode(signed_body(), example(CHUNKS), step)
    assert before + end.payload == PAYLOAD
    assert end.payload
    assert end.length_bytes == 66560


@pytest.mark.parametrize("step", [1, 100, 65536])
def test_awss_example_of_signed_trailers_is_accepted(step: int) -> None:
    """The published example with a trailing checksum decodes and shows its trailer."""
    before, end = decode(trailer_body(), example(TRAILER_CHUNKS, trailer_end()), step)
    assert before + end.payload == PAYLOAD
    assert end.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}


def test_the_documentations_stray_line_ends_in_a_trailer_do_not_matter() -> None:
    """A trailer section laid out like the one printed in the API reference is accepted."""
    end = b"x-amz-checksum-crc32c:sOO8/Q==\n\r\n\r\n\r\nx-amz-trailer-signature:%s\r\n\r\n" % TRAILER_SIGNATURE.encode()
    before, last = decode(trailer_body(), example(TRAILER_CHUNKS, end))
    assert before + last.payload == PAYLOAD


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_wrong_chunk_signature_is_refused(number: int) -> None:
    """Whichever chunk's signature is wrong, the body is refused before its end came out."""
    signatures = list(CHUNKS)
    signatures[number] = "0" * 64
    body = signed_body()
    with pytest.raises(SignatureProblem) as refusal:
        decode(body, example(tuple(signatures)))
    assert refusal.value.kind is ProblemKind.MISMATCH


def test_a_changed_byte_of_payload_is_refused() -> None:
    """A flipped bit in a signed chunk is refused at the chunk's end."""
    data = bytearray(example(CHUNKS))
    data[40000] ^= 1
    with pytest.raises(SignatureProblem):
        decode(signed_body(), bytes(data))


def test_signed_chunks_in_another_order_are_refused() -> None:
    """Chunks are chained: leaving one out breaks the next one's signature."""
    head = b"400;chunk-signature=%s\r\n" % CHUNKS[1].encode()
    with pytest.raises(SignatureProblem):
        signed_body().feed(head + b"a" * 1024 + b"\r\n")


def test_a_wrong_trailer_signature_is_refused() -> None:
    """A trailer whose signature does not fit is refused at the end."""
    with pytest.raises(SignatureProblem):
        decode(trailer_body(), example(TRAILER_CHUNKS, trailer_end(signature="1" * 64)))


def test_a_changed_trailer_is_refused_by_its_signature() -> None:
    """A checksum that was changed on the way is refused because the trailer is signed."""
    with pytest.raises(SignatureProblem):
        decode(trailer_body(), example(TRAILER_CHUNKS, trailer_end(value="AAAAAA==")))


def test_a_missing_trailer_signature_is_refused() -> None:
    """The signed form needs its trailer signature."""
    with pytest.raises(ChunkProblem) as refusal:
        decode(trailer_body(), example(TRAILER_CHUNKS, b"x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"))
    assert refusal.value.kind is ChunkProblemKind.MALFORMED_TRAILER


def test_an_unsigned_body_with_its_checksum_is_accepted() -> None:
    """What SDKs send over HTTPS by default decodes."""
    before, end = decode(unsigned_body(decoded_length=5), unsigned(b"hello"), 3)
    assert before + end.payload == b"hello"


def test_an_empty_body_is_accepted() -> None:
    """No payload at all is a body too, and nothing is held back of it."""
    before, end = decode(unsigned_body(decoded_length=0), unsigned(b""))
    assert (before, end.payload, end.length_bytes) == (b"", b"", 0)


def test_a_wrong_checksum_is_refused_before_the_last_byte_came_out() -> None:
    """A body whose trailing checksum is wrong never comes out whole."""
    body = unsigned_body()
    out = b"".join(body.feed(unsigned(b"x" * 300000, checksum="AAAAAA==")))
    assert len(out) < 300000
    with pytest.raises(ChunkProblem) as refusal:
        body.finish()
    assert refusal.value.kind is ChunkProblemKind.BAD_CHECKSUM


@pytest.mark.parametrize("cut", [1, 2, 3, 20, 60, 300])
def test_a_body_cut_short_is_incomplete(cut: int) -> None:
    """A body that ends early is refused with IncompleteBody."""
    data = unsigned(b"x" * 300)
    body = unsigned_body(decoded_length=300)
    body.feed(data[:-cut] if cut > 2 else data[: -2 - cut])
    with pytest.raises(ChunkProblem) as refusal:
        body.finish()
    assert refusal.value.kind is ChunkProblemKind.INCOMPLETE


def test_a_shorter_body_than_announced_is_incomplete() -> None:
    """The decoded length is checked at the end."""
    with pytest.raises(ChunkProblem) as refusal:
        decode(unsigned_body(decoded_length=6), unsigned(b"hello"))
    assert refusal.value.kind is ChunkProblemKind.INCOMPLETE


def test_a_longer_body_than_announced_is_refused_at_once() -> None:
    """A chunk that would go beyond the announced length is refused by its head, before its bytes."""
    with pytest.raises(ChunkProblem) as refusal:
        unsigned_body(decoded_length=4).feed(b"5\r\n")
    assert refusal.value.kind is ChunkProblemKind.INVALID_CHUNK


def test_a_length_beyond_the_limit_is_refused() -> None:
    """A body larger than one PutObject may be is refused before it is read."""
    with pytest.raises(ChunkProblem) as refusal:
        unsigned_body(decoded_length=11, max_body_bytes=10)
    assert refusal.value.kind is ChunkProblemKind.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\n",
        b"5\nhello\r\n",
        b"-5\r\n",
        b"5;chunk-signature=00\r\n",
        b"5\r\nhelloXX",
        b"11111111111111111\r\n",
        b"5" * 2000,
        b"\r\n",
        b" 5\r\n",
    ],
)
def test_a_malformed_chunk_is_refused(data: bytes) -> None:
    """Sizes that are not sizes, and payload that does not end where it should, are refused."""
    with pytest.raises(ChunkProblem) as refusal:
        unsigned_body().feed(data)
    assert refusal.value.kind is ChunkProblemKind.INVALID_CHUNK


@pytest.mark.parametrize(
    "section",
    [
        b"\r\n",
        b"x-amz-checksum-sha1:AAAA\r\n\r\n",
        b"x-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
        b"x-amz-checksum-crc32:NhCmhg==\r\nx-amz-meta-a:b\r\n\r\n",
        b"no colon\r\n\r\n",
        b"x-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:00\r\n\r\n",
    ],
)
def test_a_trailer_section_other_than_announced_is_refused(section: bytes) -> None:
    """Missing, doubled, undeclared and malformed trailers are refused."""
    body = unsigned_body()
    body.feed(b"5\r\nhello\r\n0\r\n" + section)
    with pytest.raises(ChunkProblem) as refusal:
        body.finish()
    assert refusal.value.kind is ChunkProblemKind.MALFORMED_TRAILER


def test_an_endless_trailer_section_is_refused() -> None:
    """The trailer section is bounded."""
    body = unsigned_body()
    body.feed(b"0\r\n")
    with pytest.raises(ChunkProblem) as refusal:
        for _ in range(20):
            body.feed(b"x" * 1024)
    assert refusal.value.kind is ChunkProblemKind.MALFORMED_TRAILER


def test_forms_we_do_not_speak_are_refused_with_their_name() -> None:
    """Chunks signed with SigV4A get a clear answer."""
    with pytest.raises(SignatureProblem, match="SigV4A") as refusal:
        ChunkedBody("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", KEY, authorization(SEED), decoded_length=1)
    assert refusal.value.kind is ProblemKind.MALFORMED


def test_signed_chunks_need_a_signed_request() -> None:
    """An anonymous request cannot carry signed chunks."""
    with pytest.raises(SignatureProblem) as refusal:
        ChunkedBody(SIGNED, None, None, decoded_length=1)
    assert refusal.value.kind is ProblemKind.MALFORMED


@pytest.mark.parametrize(
    "names", [("x-amz-meta-a",), ("x-amz-checksum-crc32", "X-Amz-Checksum-Crc32"), ("content-md5",)]
)
def test_trailers_other_than_checksums_are_refused(names: tuple[str, ...]) -> None:
    """Only checksums can trail, each once."""
    with pytest.raises(ChunkProblem) as refusal:
        unsigned_body(trailer_names=names)
    assert refusal.value.kind is ChunkProblemKind.UNSUPPORTED


def test_what_is_held_back_is_bounded() -> None:
    """A huge piece comes out at once but for its last 64 KiB."""
    body = unsigned_body()
    out = b"".join(body.feed(b"100000\r\n" + b"x" * (1 << 20)))
    assert len(out) == (1 << 20) - HELD_BACK_BYTES


def test_the_seed_is_the_requests_own_signature() -> None:
    """A body replayed under another request is refused at its first chunk."""
    body = ChunkedBody(SIGNED, KEY, authorization(sha256(b"another").hexdigest()), decoded_length=66560)
    with pytest.raises(SignatureProblem):
        decode(body, example(CHUNKS))

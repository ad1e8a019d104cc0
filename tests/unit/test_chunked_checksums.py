"""Checksums against their published check values, and the payload hash."""

import pytest

from opentrail.aws.authorization import ProblemKind, SignatureProblem
from opentrail.aws.checksums import Checksum, ChecksumAlgorithm, PayloadHash, algorithm_of

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        (ChecksumAlgorithm.CRC32, "cbf43926"),
        (ChecksumAlgorithm.CRC32C, "e3069283"),
        (ChecksumAlgorithm.CRC64NVME, "ae8b14860a799888"),
        (ChecksumAlgorithm.SHA1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (ChecksumAlgorithm.SHA256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def test_checksums_have_their_published_check_values(algorithm: ChecksumAlgorithm, digest: str) -> None:
    """The digits 1 to 9 give what the standards say."""
    checksum = Checksum(algorithm)
    checksum.update(b"123456789")
    assert checksum.digest().hex() == digest


@pytest.mark.parametrize("algorithm", list(ChecksumAlgorithm))
def test_a_checksums_header_names_its_algorithm(algorithm: ChecksumAlgorithm) -> None:
    """Header names and algorithms translate both ways."""
    assert algorithm_of(algorithm.header) is algorithm


@pytest.mark.parametrize("name", ["crc32", "x-amz-checksum-", "x-amz-checksum-md5", "x-amz-checksum-algorithm", ""])
def test_other_headers_are_no_checksums(name: str) -> None:
    """Names that merely look alike are not taken for a checksum."""
    assert algorithm_of(name) is None


@pytest.mark.parametrize("value", ["", "é", "AAAAAA==\n", "x" * 1000])
def test_values_that_are_no_checksum_do_not_match(value: str) -> None:
    """Anything may be compared; only the right value matches."""
    checksum = Checksum(ChecksumAlgorithm.CRC32)
    checksum.update(b"a")
    assert not checksum.matches(value)


def test_the_declared_body_is_accepted() -> None:
    """A body that hashes to its declaration passes, in pieces."""
    payload = PayloadHash("15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225")
    payload.update(b"1234")
    payload.update(b"56789")
    payload.finish()


def test_another_body_is_refused() -> None:
    """A body that is not the declared one is refused at its end."""
    payload = PayloadHash(EMPTY)
    payload.update(b"x")
    with pytest.raises(SignatureProblem) as refusal:
        payload.finish()
    assert refusal.value.kind is ProblemKind.BAD_CONTENT_HASH


def test_an_unsigned_payload_may_be_anything() -> None:
    """UNSIGNED-PAYLOAD makes no claim."""
    payload = PayloadHash("UNSIGNED-PAYLOAD")
    payload.update(b"x")
    payload.finish()


@pytest.mark.parametrize("declared", ["", "abc", EMPTY.upper(), "STREAMING-UNSIGNED-PAYLOAD-TRAILER", EMPTY + "\n"])
def test_a_declaration_that_is_no_digest_is_malformed(declared: str) -> None:
    """Only a lower-case digest or UNSIGNED-PAYLOAD declares a plain body."""
    with pytest.raises(SignatureProblem) as refusal:
        PayloadHash(declared)
    assert refusal.value.kind is ProblemKind.MALFORMED

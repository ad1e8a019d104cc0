"""A digest file's content, what is signed of it, and the object that carries it."""

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentrail.delivery.digest import Digest, DigestedFile, PreviousDigest, content_of, signed, string_to_sign
from opentrail.delivery.keyring import KEY_BITS, SigningKey, fingerprint_of

END = datetime(2015, 8, 17, 15, 1, 31, tzinfo=UTC)
KEY = "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/x_20150817T150131Z.json.gz"
PREVIOUS = PreviousDigest("logs", KEY.replace("T15", "T14"), "cd" * 32, "ef" * 256)
FILES = (
    DigestedFile("logs", "AWSLogs/a.json.gz", "00" * 32, END - timedelta(minutes=50), END - timedelta(minutes=9)),
    DigestedFile("logs", "AWSLogs/b.json.gz", "11" * 32, END - timedelta(minutes=55), END - timedelta(minutes=11)),
)
DIGEST = Digest(
    account_id="111122223333",
    start=END - timedelta(hours=1),
    end=END,
    bucket="logs",
    key=KEY,
    previous=PREVIOUS,
    log_files=FILES,
)


class PlainSigner:
    """A signer whose signature is the message, so that tests see what is signed."""

    fingerprint = "31e8b5433410dfb61a9dc45cc65b22ff"

    def sign(self, message: bytes) -> bytes:
        """The message."""
        return message


def test_the_content_is_that_of_awss_documentation_key_by_key() -> None:
    """Names, order, forms of times and hashes (cloudtrail fact sheet 5.2), with event times over all files."""
    assert content_of(DIGEST, PlainSigner.fingerprint).decode() == (
        '{"awsAccountId":"111122223333","digestStartTime":"2015-08-17T14:01:31Z","digestEndTime":"2015-08-17T15:01:31Z",'
        f'"digestS3Bucket":"logs","digestS3Object":"{KEY}",'
        '"digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA",'
        '"newestEventTime":"2015-08-17T14:52:31Z","oldestEventTime":"2015-08-17T14:06:31Z",'
        f'"previousDigestS3Bucket":"logs","previousDigestS3Object":"{PREVIOUS.key}",'
        f'"previousDigestHashValue":"{PREVIOUS.sha256}","previousDigestHashAlgorithm":"SHA-256",'
        f'"previousDigestSignature":"{PREVIOUS.signature}","logFiles":['
        f'{{"s3Bucket":"logs","s3Object":"AWSLogs/a.json.gz","hashValue":"{"00" * 32}","hashAlgorithm":"SHA-256",'
        '"newestEventTime":"2015-08-17T14:52:31Z","oldestEventTime":"2015-08-17T14:11:31Z"},'
        f'{{"s3Bucket":"logs","s3Object":"AWSLogs/b.json.gz","hashValue":"{"11" * 32}","hashAlgorithm":"SHA-256",'
        '"newestEventTime":"2015-08-17T14:50:31Z","oldestEventTime":"2015-08-17T14:06:31Z"}]}'
    )


def test_an_empty_starting_digest_has_every_key_too() -> None:
    """What is not there is null, never left out; no file means an empty list."""
    full = json.loads(content_of(DIGEST, "f"))
    empty = json.loads(content_of(replace(DIGEST, previous=None, log_files=()), "f"))
    assert list(empty) == list(full)
    nulls = [name for name, value in empty.items() if value is None]
    assert nulls == [
        *("newestEventTime", "oldestEventTime", "previousDigestS3Bucket", "previousDigestS3Object"),
        *("previousDigestHashValue", "previousDigestHashAlgorithm", "previousDigestSignature"),
    ]
    assert empty["logFiles"] == []


def test_the_string_to_sign_binds_time_place_content_and_predecessor() -> None:
    """Four lines without a newline at the end; the four letters null where nothing came before (5.4)."""
    assert string_to_sign(DIGEST, "ab" * 32).decode() == (
        f"2015-08-17T15:01:31Z\nlogs/{KEY}\n{'ab' * 32}\n{PREVIOUS.signature}"
    )
    first = replace(DIGEST, previous=None)
    assert string_to_sign(first, "ab" * 32).decode() == f"2015-08-17T15:01:31Z\nlogs/{KEY}\n{'ab' * 32}\nnull"


def test_hash_signature_and_object_are_of_the_same_bytes() -> None:
    """The object is one gzip member of exactly the content that is hashed and signed, the same every time."""
    file = signed(DIGEST, PlainSigner())
    content = gzip.decompress(file.body)
    assert content == content_of(DIGEST, PlainSigner.fingerprint)
    assert (file.size_bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert bytes.fromhex(file.signature) == string_to_sign(DIGEST, file.sha256)
    assert file.body[4:8] == bytes(4)
    assert signed(DIGEST, PlainSigner()) == file
    assert file.metadata == {"signature": file.signature, "signature-algorithm": "SHA256withRSA"}


def test_a_real_signature_is_verified_by_another_implementation() -> None:
    """RSASSA-PKCS1-v1_5 with SHA-256, 512 hex characters, found good by the library that the AWS CLI uses."""
    private = generate_private_key(65537, KEY_BITS)
    public_der = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    signing_key = SigningKey(fingerprint_of(public_der), END, END, private)
    file = signed(DIGEST, signing_key)
    public = rsa.PublicKey.load_pkcs1(public_der, format="DER")
    assert rsa.verify(string_to_sign(DIGEST, file.sha256), bytes.fromhex(file.signature), public) == "SHA-256"
    assert len(file.signature) == 512
    assert json.loads(gzip.decompress(file.body))["digestPublicKeyFingerprint"] == fingerprint_of(public_der)

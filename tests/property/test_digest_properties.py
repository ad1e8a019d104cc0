"""Digest files of any trail, judged by the AWS CLI's own functions: its pattern for keys and its validator."""

import base64
import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from awscli.customizations.cloudtrail.validation import (
    DigestError,
    DigestProvider,
    DigestTraverser,
    Sha256RSADigestValidator,
    extract_digest_key_date,
)
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.delivery.digest import Digest, DigestedFile, PreviousDigest, SignedDigest, signed
from opentrail.delivery.keyring import KEY_BITS, SigningKey, fingerprint_of
from opentrail.delivery.object_keys import DigestFileKey, parse
from opentrail.trails.names import log_root

SECONDS = st.datetimes(datetime(2000, 1, 1), datetime(2900, 1, 1)).map(  # noqa: DTZ001  # the zone comes with replace
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
REGIONS = st.sampled_from(["us-east-1", "eu-west-1", "us-gov-west-1", "ap-southeast-2"])
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True)
PREFIXES = st.one_of(st.just(""), st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text))
ACCOUNTS = st.from_regex(r"[0-9]{12}", fullmatch=True)
ORGANIZATIONS = st.from_regex(r"o-[a-z0-9]{10,32}", fullmatch=True)
KEYS = st.builds(
    DigestFileKey,
    root=st.builds(log_root, PREFIXES, ACCOUNTS, st.one_of(st.none(), ORGANIZATIONS)),
    region=REGIONS,
    trail_name=st.from_regex(r"[A-Za-z0-9]{1,3}([._-][A-Za-z0-9]{1,5}){1,4}", fullmatch=True),
    home_region=REGIONS,
    end=SECONDS,
)
FILES = st.lists(
    st.builds(
        lambda bucket, key, sha256, at, for_s: DigestedFile(bucket, key, sha256, at, at + timedelta(seconds=for_s)),
        BUCKETS,
        st.text(min_size=1, max_size=40),
        HASHES,
        SECONDS,
        st.integers(0, 10**6),
    ),
    max_size=5,
)
PREVIOUS = st.one_of(
    st.none(),
    st.builds(PreviousDigest, BUCKETS, KEYS.map(str), HASHES, st.binary(min_size=256, max_size=256).map(bytes.hex)),
)


@cache
def key_pair() -> tuple[SigningKey, str]:
    """One pair for all examples: the signer, and its public key as the AWS CLI gets it."""
    private = generate_private_key(65537, KEY_BITS)
    public_der = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return SigningKey(fingerprint_of(public_der), at, at, private), base64.b64encode(public_der).decode()


@st.composite
def digests(draw: st.DrawFn) -> Digest:
    """Any digest, in its own place."""
    key = draw(KEYS)
    return Digest(
        account_id=key.account_id,
        start=key.end - timedelta(seconds=draw(st.integers(1, 10**6))),
        end=key.end,
        bucket=draw(BUCKETS),
        key=str(key),
        previous=draw(PREVIOUS),
        log_files=draw(FILES),
    )


def _judge(digest: Digest, file: SignedDigest, content: bytes) -> None:
    """The AWS CLI's validator, with what it takes from object and metadata. Raises DigestError."""
    metadata = file.metadata
    says = {
        **json.loads(content),
        "_signature": metadata["signature"],
        "_signature_algorithm": metadata["signature-algorithm"],
    }
    assert set(DigestTraverser.required_digest_keys) <= set(says)
    Sha256RSADigestValidator().validate(digest.bucket, digest.key, key_pair()[1], says, content)


@given(KEYS)
@settings(max_examples=200)
def test_the_aws_cli_finds_every_digest_key_and_its_end(key: DigestFileKey) -> None:
    """Its pattern matches, also with dots and underscores in names; it cuts the end time out of the right place; no
    digest is taken for a log file.
    """
    prefix, _, inside = f"/{key.root}".rpartition("/AWSLogs/")
    prefix = prefix.removeprefix("/")
    organization_id = inside.split("/")[0] if inside.startswith("o-") else None
    provider = DigestProvider(
        None, key.account_id, key.trail_name, key.home_region, key.region, organization_id=organization_id
    )
    assert re.match(provider._create_digest_key_regex(prefix), str(key), re.DOTALL)
    assert extract_digest_key_date(str(key)) == f"{key.end:%Y%m%dT%H%M%SZ}"
    assert str(key).startswith(provider._create_digest_prefix(key.end, prefix))
    assert parse(str(key)) is None


@given(digests())
@settings(max_examples=100, deadline=None)
def test_the_aws_cli_finds_every_digest_valid(digest: Digest) -> None:
    """Whatever a digest says and follows, its signature is valid, and making it again gives the same bytes."""
    file = signed(digest, key_pair()[0])
    content = gzip.decompress(file.body)
    _judge(digest, file, content)
    assert signed(digest, key_pair()[0]) == file
    listed = json.loads(content)["logFiles"]
    assert [(entry["s3Object"], entry["hashValue"]) for entry in listed] == [
        (log_file.key, log_file.sha256) for log_file in digest.log_files
    ]


@given(digests(), st.data())
@settings(max_examples=50, deadline=None)
def test_no_byte_of_a_digest_can_be_another(digest: Digest, data: st.DataObject) -> None:
    """With any byte of the content changed, so that it still can be read, the signature is found wrong."""
    file = signed(digest, key_pair()[0])
    content = bytearray(gzip.decompress(file.body))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        says = json.loads(bytes(content))
    except ValueError:
        return
    if not set(DigestTraverser.required_digest_keys) <= set(says):
        return
    with pytest.raises(DigestError):
        _judge(digest, file, bytes(content))

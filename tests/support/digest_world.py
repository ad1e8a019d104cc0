"""A bucket with log files and chains of signed digest files, made from the published format alone, and bent at will.

It shares no code with delivery nor with the checker: ``json``, ``gzip`` and cryptography's RSA. Times are simulated: an
interval is an hour. ``rewrite`` and friends are what an attacker with write access to the bucket can do; ``resign`` is
what one with a signing key can do.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentrail.errors import OutboundError
from opentrail.storage.listings import ObjectEntry
from opentrail.storage.reading import OpenObject

ACCOUNT = "111122223333"
BUCKET = "trail-bucket"
REGION = "eu-west-1"
HOME_REGION = "us-east-1"
TRAIL = "all_of.it"
EPOCH = datetime(2026, 3, 1, 22, 1, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = b"s" * 32


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A signing key and how ListPublicKeys shows it."""

    private: rsa.RSAPrivateKey
    valid_from: datetime = EPOCH - timedelta(days=10)
    valid_until: datetime = EPOCH + timedelta(days=20)

    @property
    def der(self) -> bytes:
        """The PKCS#1 DER of the public key."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)

    @property
    def fingerprint(self) -> str:
        """MD5 of the DER, in hex."""
        return hashlib.md5(self.der, usedforsecurity=False).hexdigest()

    @property
    def entry(self) -> dict[str, Any]:
        """One entry of ``aws cloudtrail list-public-keys``."""
        return {
            "Value": base64.b64encode(self.der).decode(),
            "ValidityStartTime": self.valid_from.isoformat(),
            "ValidityEndTime": self.valid_until.isoformat(),
            "Fingerprint": self.fingerprint,
        }

    def sign(self, text: bytes) -> str:
        """SHA256withRSA, in hex."""
        return self.private.sign(text, padding.PKCS1v15(), SHA256()).hex()


@cache
def key_pair(number: int) -> KeyPair:
    """One of a few key pairs; they are made once per run, because that takes a while."""
    assert number < 4
    return KeyPair(rsa.generate_private_key(65537, 2048))


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: bytes, metadata, and when the store took it."""

    body: bytes
    metadata: dict[str, str]
    modified_at: datetime


class MemoryReader:
    """Objects in a dictionary, behind the port of the checker. ``refused`` raises for a location; ``busy`` counts down
    retryable errors of every open.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Stored] = {}
        self.refused: dict[tuple[str, str], str] = {}
        self.busy = 0
        self.opened: list[str] = []

    @contextmanager
    def open(self, bucket: str, key: str) -> Iterator[OpenObject]:
        self.opened.append(key)
        if self.busy:
            self.busy -= 1
            raise OutboundError("SlowDown", "Please reduce your request rate.")
        if (bucket, key) in self.refused:
            raise OutboundError(self.refused[bucket, key], "no", retryable=False)
        if (bucket, key) not in self.objects:
            raise OutboundError("NoSuchKey", "The specified key does not exist.", retryable=False)
        stored = self.objects[bucket, key]
        yield OpenObject(stored.metadata, (stored.body[at : at + 100] for at in range(0, len(stored.body), 100)))

    def list_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        for (where, key), stored in sorted(self.objects.items()):
            if where == bucket and key.startswith(prefix) and key > after:
                yield ObjectEntry(key, len(stored.body), stored.modified_at)

    def list_folders(self, bucket: str, prefix: str) -> list[str]:
        below = [key[len(prefix) :] for where, key in self.objects if where == bucket and key.startswith(prefix)]
        return sorted({f"{prefix}{rest.split('/')[0]}/" for rest in below if "/" in rest})


@dataclass(slots=True)
class Trail:
    """One trail in one account and region: delivers log files and writes digest files, hour after hour."""

    objects: dict[tuple[str, str], Stored]
    name: str = TRAIL
    account_id: str = ACCOUNT
    region: str = REGION
    bucket: str = BUCKET
    prefix: str = ""
    organization: str = ""
    key: KeyPair = field(default_factory=lambda: key_pair(0))
    now: datetime = EPOCH
    logs: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    backfills: list[str] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] | None = None

    @property
    def root(self) -> str:
        """Where the account's objects stand."""
        parts = [self.prefix, "AWSLogs", self.organization, self.account_id]
        return "/".join(part for part in parts if part) + "/"

    def deliver(self, records: Sequence[dict[str, Any]] = (), *, at: datetime | None = None) -> str:
        """One log file, to be listed in the next digest file; gives its key."""
        at = at or self.now
        unique = f"{len(self.logs):016}"
        content = json.dumps({"Records": list(records) or [{"eventID": unique}]}, separators=(",", ":")).encode()
        key = (
            f"{self.root}CloudTrail/{self.region}/{at:%Y/%m/%d}/"
            f"{self.account_id}_CloudTrail_{self.region}_{at:%Y%m%dT%H%MZ}_{unique}.json.gz"
        )
        self.objects[self.bucket, key] = Stored(gzip.compress(content, mtime=0), {}, at)
        self.logs.append(key)
        entry = {"s3Bucket": self.bucket, "s3Object": key, "hashAlgorithm": "SHA-256"}
        entry["hashValue"] = hashlib.sha256(content).hexdigest()
        entry |= {"newestEventTime": _wire(at), "oldestEventTime": _wire(at)}
        self.waiting.append(entry)
        return key

    def close(self, *, length: timedelta = HOUR, start: datetime | None = None) -> str:
        """End an interval: a digest file over what was delivered in it; gives its key."""
        start = start or self.now
        self.now = start + length
        document, key = self.digest_document(start, self.now), self.digest_key(self.now)
        self.last = self.put_digest(key, document)
        self.digests.append(key)
        self.waiting = []
        return key

    def hours(self, count: int, logs: int = 2) -> "Trail":
        """Some intervals with log files in each, spread over the hour."""
        for _ in range(count):
            for number in range(logs):
                self.deliver(at=self.now + (number + 1) * HOUR / (logs + 1))
            self.close()
        return self

    def stand_still(self, time: timedelta) -> "Trail":
        """Logging stops for a while; the next digest file starts a chain."""
        self.now += time
        self.last = None
        return self

    def backfill(self) -> str:
        """A backfill digest file over the last hour, listing what waits; gives its key."""
        start, end, regular = self.now - HOUR, self.now, self.last
        key = self.digest_key(end, backfill=True)
        self.last = None
        document = self.digest_document(start, end) | {"digestS3Object": key}
        self.put_digest(key, document, {"backfill-generation-timestamp": f"{end:%Y-%m-%dT%H:%M:%S}.000Z"})
        self.last, self.waiting = regular, []
        self.backfills.append(key)
        return key

    def digest_key(self, stamp: datetime, *, backfill: bool = False) -> str:
        """Where the digest file of an interval that ends at ``stamp`` goes."""
        name = f"{self.account_id}_CloudTrail-Digest_{self.region}_{self.name}_{HOME_REGION}_{stamp:%Y%m%dT%H%M%SZ}"
        folder = f"{self.root}CloudTrail-Digest/{self.region}/{stamp:%Y/%m/%d}"
        return f"{folder}/{name}{'_backfill' if backfill else ''}.json.gz"

    def digest_document(self, start: datetime, end: datetime) -> dict[str, Any]:
        """The content of a digest file that follows the last one."""
        last = self.last or dict.fromkeys(("bucket", "key", "hash", "algorithm", "signature"))
        return {
            "awsAccountId": self.account_id,
            "digestStartTime": _wire(start),
            "digestEndTime": _wire(end),
            "digestS3Bucket": self.bucket,
            "digestS3Object": self.digest_key(end),
            "digestPublicKeyFingerprint": self.key.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": None,
            "oldestEventTime": None,
            "previousDigestS3Bucket": last["bucket"],
            "previousDigestS3Object": last["key"],
            "previousDigestHashValue": last["hash"],
            "previousDigestHashAlgorithm": last["algorithm"],
            "previousDigestSignature": last["signature"],
            "logFiles": self.waiting,
        }

    def put_digest(self, key: str, document: dict[str, Any], extra: dict[str, str] | None = None) -> dict[str, Any]:
        """Sign a document and store it; gives what a successor says of it."""
        content = json.dumps(document, separators=(",", ":")).encode()
        hashed = hashlib.sha256(content).hexdigest()
        previous = document["previousDigestSignature"] or "null"
        where = f"{document['digestS3Bucket']}/{document['digestS3Object']}"
        signature = self.key.sign(f"{document['digestEndTime']}\n{where}\n{hashed}\n{previous}".encode())
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"} | (extra or {})
        self.objects[self.bucket, key] = Stored(gzip.compress(content, mtime=0), metadata, self.now)
        return {"bucket": self.bucket, "key": key, "hash": hashed, "algorithm": "SHA-256", "signature": signature}

    def location(self, key: str) -> str:
        """How the checker names an object."""
        return f"s3://{self.bucket}/{key}"

    def resign(self, key: str, change: Callable[[dict[str, Any]], None], signer: KeyPair | None = None) -> None:
        """Change a digest file's content and sign it again."""
        document = json.loads(gzip.decompress(self.objects[self.bucket, key].body))
        change(document)
        replace(self, key=signer or self.key).put_digest(key, document)

    def rewrite(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Change an object's stored bytes; its metadata stays."""
        stored = self.objects[self.bucket, key]
        self.objects[self.bucket, key] = replace(stored, body=change(stored.body))

    def delete(self, *keys: str) -> None:
        """Delete objects."""
        for key in keys:
            del self.objects[self.bucket, key]


def _wire(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"

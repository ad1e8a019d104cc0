"""The unmodified `aws cloudtrail validate-logs` on the evidence of a real OpenTrail that was killed and restarted.

What it says of every tampering stands in docs/log-file-validation.md, and is read from there.
"""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentrail.delivery.digest import metadata_of
from opentrail.delivery.keyring import KEY_BITS, SigningKey, fingerprint_of
from opentrail.delivery.object_keys import parse
from tests.support.gateway import Gateway, start, trail_policy
from tests.support.validate_logs import Verdict, verdict_of

BUCKET = "aws-cloudtrail-logs-123456789012-0000eeee"
ARN = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"
HOME, ABROAD = "us-east-1", "eu-west-1"
SETTINGS = {"OPENTRAIL_DELIVERY_DIGEST_INTERVAL_S": "2", "OPENTRAIL_DELIVERY_DIGEST_KEY_VALIDITY_S": "5"}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "log-file-validation.md"
QUIET_S = 4.0
FINGERPRINT = "digestPublicKeyFingerprint"


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes and user metadata."""

    body: bytes
    metadata: dict[str, str]


class Evidence:
    """The bucket of a trail whose life is over, and the command that judges it."""

    def __init__(self, gateway: Gateway, since: datetime) -> None:
        self.gateway = gateway
        self.since = since
        self.s3 = gateway.client("s3")
        self._touched: dict[str, StoredObject | None] = {}
        self.digests = {key: self.digest(key) for key in self.object_keys() if "/CloudTrail-Digest/us-east-1/2" in key}
        self.target = self._inner_digest()

    def object_keys(self) -> list[str]:
        """Every key of the bucket, in order."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET)["Contents"]]

    def count(self, kind: str, region: str) -> int:
        """How many log files (``CloudTrail``) or digest files (``CloudTrail-Digest``) there are of a region."""
        return sum(f"/{kind}/{region}/2" in key for key in self.object_keys())

    def get(self, key: str) -> StoredObject:
        """One object."""
        answer = self.s3.get_object(Bucket=BUCKET, Key=key)
        return StoredObject(answer["Body"].read(), answer["Metadata"])

    def put(self, key: str, stored: StoredObject) -> None:
        """Put an object as log and digest files are put; ``restore`` undoes it."""
        self._remember(key)
        self._put(key, stored)

    def delete(self, *keys: str) -> None:
        """Delete objects; ``restore`` undoes it."""
        for key in keys:
            self._remember(key)
            self.s3.delete_object(Bucket=BUCKET, Key=key)

    def restore(self) -> None:
        """Make the bucket what it was."""
        for key, stored in self._touched.items():
            if stored is None:
                self.s3.delete_object(Bucket=BUCKET, Key=key)
            else:
                self._put(key, stored)
        self._touched.clear()

    def _remember(self, key: str) -> None:
        if key not in self._touched:
            self._touched[key] = self.get(key) if key in self.object_keys() else None

    def _put(self, key: str, stored: StoredObject) -> None:
        headers = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": stored.metadata}
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=stored.body, **headers)

    def digest(self, key: str) -> dict[str, Any]:
        """What a digest file says."""
        says: dict[str, Any] = json.loads(gzip.decompress(self.get(key).body))
        return says

    def before(self, key: str) -> str:
        """The digest before another one."""
        previous: str = self.digests[key]["previousDigestS3Object"]
        return previous

    def log_file(self) -> str:
        """A log file that the target lists."""
        key: str = self.digests[self.target]["logFiles"][0]["s3Object"]
        return key

    def change(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Change an object's bytes as they are stored."""
        stored = self.get(key)
        self.put(key, StoredObject(change(stored.body), stored.metadata))

    def rewrite(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Change an object's content, compressed again as it was."""
        self.change(key, lambda body: gzip.compress(change(gzip.decompress(body)), mtime=0))

    def validate(self, *options: str, region: str = HOME) -> tuple[int, Verdict]:
        """`aws cloudtrail validate-logs` over the trail's whole life."""
        times = ("--start-time", f"{self.since:%Y-%m-%dT%H:%M:%SZ}", "--region", region)
        done = self.gateway.cli("cloudtrail", "validate-logs", "--trail-arn", ARN, *times, *options)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, verdict_of(done.stdout, done.stderr)

    def _inner_digest(self) -> str:
        """A digest with log files, two digests of its chain behind and one before it, which will be tampered with."""
        followed = {says["previousDigestS3Object"] for says in self.digests.values()}
        for key, says in self.digests.items():
            previous = self.digests.get(says["previousDigestS3Object"] or "")
            if says["logFiles"] and key in followed and previous and previous["previousDigestS3Object"] in self.digests:
                return key
        raise AssertionError("no digest is inside a chain and lists a log file")


def _calls(gateway: Gateway, seconds: int) -> None:
    """Calls in two regions, for some seconds."""
    clients = [gateway.client("cloudtrail", region_name=region) for region in (HOME, ABROAD)]
    for _ in range(seconds):
        for client in clients:
            client.list_trails()
        time.sleep(1)


def _until_quiet(gateway: Gateway) -> None:
    """Wait until nothing has been put for a while."""
    s3, seen, since_s = gateway.client("s3"), -1, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        count = s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
        if count != seen:
            seen, since_s = count, time.monotonic()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """A trail in two regions through a kill -9, StopLogging, StartLogging and a restart, with keys that rotate."""
    home = tmp_path_factory.mktemp("validate") / "home"
    since = datetime.now(UTC) - timedelta(minutes=1)
    gateway = start(home, SETTINGS)
    s3, cloudtrail = gateway.client("s3"), gateway.client("cloudtrail")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=trail_policy(BUCKET, "123456789012"))
    cloudtrail.create_trail(Name="main", S3BucketName=BUCKET, EnableLogFileValidation=True, IsMultiRegionTrail=True)
    cloudtrail.start_logging(Name="main")
    _calls(gateway, 3)
    gateway.kill()
    gateway = start(home, SETTINGS)
    _calls(gateway, 1)
    cloudtrail = gateway.client("cloudtrail")
    cloudtrail.stop_logging(Name="main")
    _until_quiet(gateway)
    cloudtrail.start_logging(Name="main")
    _calls(gateway, 2)
    assert gateway.stop() == 0
    gateway = start(home, SETTINGS)
    _calls(gateway, 1)
    gateway.client("cloudtrail").stop_logging(Name="main")
    _until_quiet(gateway)
    yield Evidence(gateway, since)
    assert gateway.stop() == 0


@pytest.mark.parametrize("region", [HOME, ABROAD])
@pytest.mark.parametrize("options", [(), ("--s3-bucket", BUCKET)], ids=["described", "bucket"])
def test_everything_is_valid(evidence: Evidence, region: str, options: tuple[str, ...]) -> None:
    """Every digest and every log file there is was found and is valid, in both regions; the one gap is the stop."""
    code, verdict = evidence.validate(*options, region=region)
    assert (code, verdict.invalid) == (0, ()), verdict.text
    assert (verdict.digests_valid, verdict.logs_valid) == (
        evidence.count("CloudTrail-Digest", region),
        evidence.count("CloudTrail", region),
    )
    assert verdict.logs_valid > 4
    assert len(verdict.gaps) == 1


def test_our_checker_agrees_in_both_regions(evidence: Evidence) -> None:
    """`opentrail validate` over the same endpoint: both chains whole, through rotated keys, a kill and a stop."""
    last = max(says["digestEndTime"] for says in evidence.digests.values())
    command = [sys.executable, "-m", "opentrail", "validate", f"s3://{BUCKET}", "--end-time", last, "--json"]
    environment = evidence.gateway.tool_environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["findings"]) == (0, []), done.stderr
    assert {note["kind"] for note in report["notes"]} == {"chain-restarted"}
    for region in (HOME, ABROAD):
        [chain] = [chain for chain in report["chains"] if chain["region"] == region]
        counted = (evidence.count("CloudTrail-Digest", region), evidence.count("CloudTrail", region))
        assert (chain["digestsValid"], chain["logsValid"]) == counted


def test_several_key_pairs_signed_and_each_is_recorded(evidence: Evidence) -> None:
    """Key pairs rotated during the trail's life; all are listed, and those made while it logged are in its records."""
    signed_with = {says[FINGERPRINT] for says in evidence.digests.values()}
    assert len(signed_with) > 2
    listed = evidence.gateway.client("cloudtrail").list_public_keys(StartTime=evidence.since)["PublicKeyList"]
    assert signed_with <= {key["Fingerprint"] for key in listed}
    bodies = [evidence.get(key).body for key in evidence.object_keys() if parse(key) is not None]
    records = [record for body in bodies for record in json.loads(gzip.decompress(body))["Records"]]
    told = [r["serviceEventDetails"]["fingerprint"] for r in records if r["eventName"] == "CreateDigestKey"]
    assert len(signed_with & set(told)) > 1
    assert len(told) == len(set(told))


def test_the_status_tells_of_the_last_digest(evidence: Evidence) -> None:
    """GetTrailStatus of the AWS CLI shows when the last digest file was delivered, and no error."""
    status = json.loads(evidence.gateway.cli("cloudtrail", "get-trail-status", "--name", "main").stdout)
    assert status["LatestDigestDeliveryTime"] > evidence.since.timestamp()
    assert "LatestDigestDeliveryError" not in status


# Tampering


def _content_of(says: dict[str, Any]) -> bytes:
    return json.dumps(says, separators=(",", ":")).encode()


def _without_log_files(content: bytes) -> bytes:
    """A digest's content that lists nothing."""
    return _content_of({**json.loads(content), "logFiles": []})


def _other_names(content: bytes) -> bytes:
    """A log file's content in which somebody else was called."""
    return content.replace(b'"eventName":"', b'"eventName":"Not')


def _flipped(body: bytes) -> bytes:
    """One bit of the gzip trailer's checksum is another."""
    return body[:-6] + bytes([body[-6] ^ 1]) + body[-5:]


def _cut(body: bytes) -> bytes:
    return body[:-20]


def _longer(body: bytes) -> bytes:
    """A second gzip member behind the first."""
    return body + gzip.compress(b"{}")


def _forge(evidence: Evidence, *, in_our_name: bool) -> None:
    """The target without its log files, signed by somebody else's key."""
    private = generate_private_key(65537, KEY_BITS)
    public_der = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    known = evidence.digests[evidence.target]
    fingerprint = known[FINGERPRINT] if in_our_name else fingerprint_of(public_der)
    says = {**known, "logFiles": [], FINGERPRINT: fingerprint}
    content = _content_of(says)
    sha256 = hashlib.sha256(content).hexdigest()
    lines = (says["digestEndTime"], f"{BUCKET}/{evidence.target}", sha256, says["previousDigestSignature"])
    signature = SigningKey(fingerprint, evidence.since, evidence.since, private).sign("\n".join(lines).encode())
    evidence.put(evidence.target, StoredObject(gzip.compress(content), dict(metadata_of(signature.hex()))))


def _swap(evidence: Evidence) -> None:
    """Two digests in each other's place, signatures and all."""
    other = evidence.before(evidence.target)
    here, there = evidence.get(evidence.target), evidence.get(other)
    evidence.put(evidence.target, there)
    evidence.put(other, here)


def _add_log_file(evidence: Evidence) -> None:
    """A log file that no digest lists, under a name like any other."""
    key = evidence.log_file()
    evidence.put(f"{key[: -len('.json.gz') - 16]}{'0' * 16}.json.gz", evidence.get(key))


TAMPERINGS: dict[str, Callable[[Evidence], None]] = {
    "A record in a log file changed": lambda e: e.rewrite(e.log_file(), _other_names),
    "A bit of a log file flipped": lambda e: e.change(e.log_file(), _flipped),
    "A log file cut short": lambda e: e.change(e.log_file(), _cut),
    "Something appended to a log file": lambda e: e.change(e.log_file(), _longer),
    "A log file deleted": lambda e: e.delete(e.log_file()),
    "A log file added": _add_log_file,
    "A log file taken out of a digest": lambda e: e.rewrite(e.target, _without_log_files),
    "A bit of a digest flipped": lambda e: e.change(e.target, _flipped),
    "A digest cut short": lambda e: e.change(e.target, _cut),
    "Something appended to a digest": lambda e: e.change(e.target, _longer),
    "A digest's signature removed": lambda e: e.put(e.target, StoredObject(e.get(e.target).body, {})),
    "A digest signed with another key": lambda e: _forge(e, in_our_name=False),
    "A digest signed with another key in the name of ours": lambda e: _forge(e, in_our_name=True),
    "Two digests swapped": _swap,
    "One digest deleted": lambda e: e.delete(e.target),
    "Two digests in a row deleted": lambda e: e.delete(e.target, e.before(e.target)),
    "The newest digest deleted": lambda e: e.delete(max(e.digests)),
}


def _documented() -> dict[str, list[str]]:
    """The table of the documentation: what was done, and what the AWS CLI says to it, each as many times as it does."""
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", DOCS.read_text(), re.MULTILINE)
    table = {name: verdict for name, verdict in rows if name in TAMPERINGS or "`" in verdict}
    return {
        name: re.findall(r"`([^`]+)`", verdict) * (2 if "twice" in verdict else 1) for name, verdict in table.items()
    }


def test_the_documentation_names_every_tampering() -> None:
    """Each has its row in the table, and no row is without its tampering."""
    assert list(_documented()) == list(TAMPERINGS)


@pytest.mark.parametrize("name", TAMPERINGS)
def test_the_aws_cli_says_of_a_tampering_what_is_documented(evidence: Evidence, name: str) -> None:
    """Its findings are those of the table, no more and no fewer; what it does not notice is documented as that."""
    try:
        TAMPERINGS[name](evidence)
        code, verdict = evidence.validate()
    finally:
        evidence.restore()
    findings = [re.sub(r"\t.*\t", " ", line) for line in verdict.invalid]
    findings = [re.sub(r"fingerprint [0-9a-f]{32}", "fingerprint ...", finding) for finding in findings]
    assert (findings, code) == (_documented()[name], 1 if findings else 0), verdict.text

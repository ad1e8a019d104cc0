"""Delivery's CPU per event: journal -> CRC check -> group -> join -> gzip -> SHA-256, against the naive pipeline.

The naive pipeline parses every record, groups, serialises and compresses with gzip -6. Both handle the same 1,545-byte
records of four partitions, which gzip -6 brings to about 220 bytes each, like real ones. Rounds are interleaved, CPU
time is the process's, and the figure is the median of the ratios per round, because machines have noisy spells.

    python -m bench.bench_delivery [--check]        --check: exit 1 below 8x
"""

import base64
import gzip
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

from opentrail.delivery.carrier import READ_BYTES
from opentrail.delivery.logfile import Compression, LogFileWriter
from opentrail.journal import Draft, Frame, Journal

RECORD_BYTES = 1545
EVENTS = 12_000
ROUNDS = 5
REQUIRED_RATIO = 8.0
TRAIL = "11111111-2222-4333-8444-555555555555"
PARTITIONS = [f"123456789012/{region}" for region in ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1")]
_OPERATIONS = ["DescribeServers", "CreateServer", "CreateBackup", "AssumeRole", "GetCallerIdentity", "GetObject"]


def make_record(chance: random.Random, region: str) -> bytes:
    """An event record of a role session, of the usual size and with the usual amount of variety."""
    event_id, request_id = (str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(2))
    role, session = f"Role{chance.randrange(40)}", f"session-{chance.randrange(10**6)}"
    key = "ASIA" + "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    issuer = {"type": "Role", "principalId": "AROAEXAMPLEID", "arn": f"arn:aws:iam::123456789012:role/{role}"}
    record: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLEID:{session}",
            "arn": f"arn:aws:sts::123456789012:assumed-role/{role}/{session}",
            "accountId": "123456789012",
            "accessKeyId": key,
            "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}},
        },
        "eventTime": f"2026-11-23T{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}Z",
        "eventSource": "opsworks-cm.amazonaws.com",
        "eventName": chance.choice(_OPERATIONS),
        "awsRegion": region,
        "sourceIPAddress": f"10.0.{chance.randrange(256)}.{chance.randrange(256)}",
        "userAgent": "Boto3/1.44.1 md/Botocore#1.44.1 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.2",
        "requestParameters": {"serverName": f"server-{chance.randrange(500)}", "maxResults": chance.randrange(100)},
        "responseElements": None,
        "requestID": request_id,
        "eventID": event_id,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"opsworks-cm.{region}.amazonaws.com",
        },
        "additionalEventData": {"x-amz-id-2": base64.b64encode(chance.randbytes(90)).decode(), "note": ""},
    }
    missing = RECORD_BYTES - len(json.dumps(record, separators=(",", ":")))
    record["additionalEventData"]["note"] = "-" * missing
    return json.dumps(record, separators=(",", ":")).encode()


def fill(journal: Journal) -> list[tuple[str, bytes]]:
    """Append the records to the journal; gives them as (partition, record) for the naive pipeline."""
    chance = random.Random(20261123)
    records = []
    futures = []
    for number in range(EVENTS):
        partition = PARTITIONS[number % len(PARTITIONS)]
        record = make_record(chance, partition.partition("/")[2])
        records.append((partition, record))
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        futures.append(journal.append([Draft(event_id, 1_795_000_000 + number, partition, (TRAIL,), record)]))
        if len(futures) == 1000:
            futures.pop().result()
            futures.clear()
    for future in futures:
        future.result()
    return records


def deliver(journal: Journal) -> dict[str, str]:
    """Our pipeline; gives each partition's SHA-256."""
    writers = {partition: LogFileWriter(Compression()) for partition in PARTITIONS}
    after = 0
    while frames := journal.read(after, max_bytes=READ_BYTES):
        grouped: dict[str, list[bytes]] = defaultdict(list)
        _group(frames, grouped)
        for partition, payloads in grouped.items():
            writers[partition].add(payloads)
        after = frames[-1].sequence
    return {partition: writer.finish().sha256 for partition, writer in writers.items()}


def _group(frames: list[Frame], grouped: dict[str, list[bytes]]) -> None:
    for frame in frames:
        if TRAIL in frame.routes:
            grouped[frame.partition].append(frame.payload)


def deliver_naively(records: list[tuple[str, bytes]]) -> dict[str, str]:
    """The pipeline that anybody would write first; gives each partition's SHA-256."""
    grouped: dict[str, list[object]] = defaultdict(list)
    for partition, record in records:
        grouped[partition].append(json.loads(record))
    hashes = {}
    for partition, documents in grouped.items():
        content = json.dumps({"Records": documents}, separators=(",", ":")).encode()
        gzip.compress(content, 6, mtime=0)
        hashes[partition] = hashlib.sha256(content).hexdigest()
    return hashes


def run() -> dict[str, float]:
    """Measure; prints a line per round and gives microseconds of CPU per event of both, and the median ratio."""
    ours, naive = [], []
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal.open(Path(directory))
        records = fill(journal)
        if deliver(journal) != deliver_naively(records):
            raise AssertionError("the two pipelines differ in content")
        for number in range(ROUNDS):
            started = time.process_time()
            deliver(journal)
            between = time.process_time()
            deliver_naively(records)
            ours.append((between - started) / EVENTS * 1e6)
            naive.append((time.process_time() - between) / EVENTS * 1e6)
            print(
                f"round {number + 1}: ours {ours[-1]:.2f} us/event, naive {naive[-1]:.2f}, {naive[-1] / ours[-1]:.1f}x"
            )
        journal.close()
    ratio = statistics.median(slow / fast for slow, fast in zip(naive, ours, strict=True))
    return {"ours_us": statistics.median(ours), "naive_us": statistics.median(naive), "ratio": ratio}


def main() -> int:
    """Measure and judge."""
    figures = run()
    print(f"delivery: {figures['ratio']:.1f}x less CPU per event than json + gzip -6 (required: {REQUIRED_RATIO}x)")
    return 1 if "--check" in sys.argv[1:] and figures["ratio"] < REQUIRED_RATIO else 0


if __name__ == "__main__":
    sys.exit(main())

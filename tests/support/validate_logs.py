"""The AWS CLI's own `validate-logs`, unmodified, in this process over an object store in memory and our key pairs.

Only its two doors are ours: what boto3 clients answer. So scenarios with a clock that tests move get a stranger's
verdict.
"""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from awscli.customizations.cloudtrail.validation import CloudTrailValidateLogs
from botocore.exceptions import ClientError

from opentrail.delivery.keyring import Keyring
from opentrail.trails.trail import Trail
from tests.support.memory_store import MemoryObjectStore


@dataclass(frozen=True)
class Verdict:
    """What the command said: counts of the summary, gaps, and everything that is invalid, without ``s3://bucket/``."""

    digests_valid: int
    digests: int
    logs_valid: int
    logs: int
    gaps: tuple[str, ...]
    invalid: tuple[str, ...]
    text: str

    @property
    def is_whole(self) -> bool:
        """Whether there are digests, and nothing is invalid."""
        return self.digests > 0 and not self.invalid


def verdict_of(stdout: str, stderr: str) -> Verdict:
    """Read the command's output."""
    digests_valid, digests = _ratio(r"(\d+)/(\d+) digest files valid", stdout)
    logs_valid, logs = _ratio(r"(\d+)/(\d+) log files valid", stdout)
    told = [line for line in stderr.splitlines() if line]
    return Verdict(
        digests_valid,
        digests,
        logs_valid,
        logs,
        tuple(line for line in told if line.startswith("No log files were delivered")),
        tuple(re.sub(r"s3://[^/]+/", "", line) for line in told if "INVALID" in line),
        stdout + stderr,
    )


def _ratio(pattern: str, text: str) -> tuple[int, int]:
    found = re.search(pattern, text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class _Pages:
    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def search(self, _expression: str) -> Iterator[str]:
        return iter(self._keys)


class _S3:
    """What the command asks of S3, answered from a store; it is its own provider and paginator."""

    def __init__(self, store: MemoryObjectStore) -> None:
        self._store = store

    def get_client(self, _bucket: str) -> "_S3":
        return self

    def get_paginator(self, name: str) -> "_S3":
        assert name == "list_objects"
        return self

    def paginate(self, **asked: str) -> _Pages:
        keys = self._store.list_keys(asked["Bucket"], asked["Prefix"])
        return _Pages([key for key in keys if key > asked["Marker"]])

    def get_object(self, **asked: str) -> dict[str, Any]:
        found = self._store.buckets[asked["Bucket"]].get(asked["Key"])
        if found is None:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "none"}}, "GetObject")
        return {"Body": io.BytesIO(found.body), "Metadata": dict(found.head.metadata)}


class _CloudTrail:
    """What the command asks of CloudTrail and Organizations: where the trail delivers, and which keys there are."""

    def __init__(self, trail: Trail, keyring: Keyring, region: str) -> None:
        self._trail, self._keyring, self._region = trail, keyring, region

    def describe_trails(self) -> dict[str, Any]:
        settings = {"TrailARN": self._trail.arn, "S3BucketName": self._trail.bucket, "S3KeyPrefix": self._trail.prefix}
        return {"trailList": [settings | {"IsOrganizationTrail": self._trail.is_organization}]}

    def describe_organization(self) -> dict[str, Any]:
        return {"Organization": {"Id": self._trail.organization_id}}

    def list_public_keys(self, **asked: datetime) -> dict[str, Any]:
        keys = self._keyring.public_keys(self._region, asked["StartTime"], asked["EndTime"])
        listed = [(key.fingerprint, base64.b64encode(key.der).decode()) for key in keys]  # blobs reach the CLI as text
        return {"PublicKeyList": [{"Fingerprint": fingerprint, "Value": value} for fingerprint, value in listed]}


def validate(
    store: MemoryObjectStore,
    keyring: Keyring,
    trail: Trail,
    region: str,
    times: tuple[datetime, datetime],
    account_id: str | None = None,
) -> Verdict:
    """Validate a stream's digests and log files in a range of time; ``account_id`` for an organization's trail."""
    command = CloudTrailValidateLogs(None)
    command.trail_arn, command.account_id = trail.arn, account_id
    command.start_time, command.end_time = times
    command.s3_client_provider = _S3(store)
    command.cloudtrail_client = command.organization_client = _CloudTrail(trail, keyring, region)
    command._source_region = region
    stdout, stderr = io.StringIO(), io.StringIO()
    with redirect_stdout(stdout), redirect_stderr(stderr):
        command._call()
    return verdict_of(stdout.getvalue(), stderr.getvalue())

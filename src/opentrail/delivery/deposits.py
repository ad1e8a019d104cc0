"""Putting finished files into a bucket: each where its key is free, and none over anything else.

Rules. The bucket's policy, and that of the trail's KMS key, are asked before every put: both can be revoked. Where the
key is taken, the content there is compared: equal means that an earlier attempt succeeded, different is an
IntegrityError, and nothing is overwritten. Content counts, not compression; what is signed is part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentrail.delivery.logfile import content_sha256
from opentrail.errors import IntegrityError, OutboundError
from opentrail.kms.store import Keys, KeySet
from opentrail.storage.bucket import PRECONDITION_FAILED, ObjectStore
from opentrail.trails.bucket_access import (
    LOG_FILE_ACL,
    BucketDirectory,
    BucketPolicyMode,
    facts_of,
    missing_permissions,
)
from opentrail.trails.key_access import encryption_of, key_problem, log_file_context
from opentrail.trails.trail import Trail

_GZIP_SLACK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Deposit:
    """One gzip file and its place. ``sha256`` (hex) and ``size_bytes`` are of the content before compression."""

    bucket: str
    key: str
    body: bytes = field(repr=False)
    sha256: str
    size_bytes: int
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deposits:
    """Puts files for trails into ``store``."""

    store: ObjectStore
    buckets: BucketDirectory
    mode: BucketPolicyMode
    keys: Keys | None = None

    def check_access(self, trail: Trail, bucket: str, key: str) -> None:
        """Raise OutboundError unless the bucket's policy, and the trail's KMS key, let CloudTrail put the object.

        Codes: NoSuchBucket, AccessDenied, and S3's for KMS's (``KMS.DisabledException``).
        """
        facts = facts_of(self.buckets, bucket)
        missing = missing_permissions(trail, facts, self.mode, key=key)
        if missing and facts.owner is None and not self.store.bucket_exists(bucket):
            raise OutboundError("NoSuchBucket", f"there is no bucket {bucket}")
        if missing:
            raise OutboundError("AccessDenied", f"the bucket policy does not allow {'; nor '.join(missing)}")
        if trail.kms_key_arn:
            self._check_kms_key(trail, trail.kms_key_arn, log_file_context(trail, key, bucket=bucket))

    def _check_kms_key(self, trail: Trail, arn: str, context: dict[str, str]) -> None:
        keys = self.keys.snapshot if self.keys is not None else KeySet()
        key_id = arn.rpartition("/")[2]
        problem = key_problem(trail, keys.by_id(key_id), keys.aliases_for(key_id), context)
        if problem is not None:
            denied = problem.code == "AccessDeniedException"
            raise OutboundError("AccessDenied" if denied else f"KMS.{problem.code}", problem.message)

    def put(self, trail: Trail, file: Deposit) -> str:
        """Put a trail's file, or find it put; answers the object's ETag.

        Raises OutboundError where the bucket refuses or cannot be reached, IntegrityError where the key holds something
        else.
        """
        try:
            return self._put(trail, file, only_if_absent=True)
        except OutboundError as error:
            if error.code == PRECONDITION_FAILED:
                return self._etag_if_same(file)
            if error.code != "NotImplemented":
                raise
        if self.store.head(file.bucket, file.key) is not None:
            return self._etag_if_same(file)
        return self._put(trail, file, only_if_absent=False)

    def _put(self, trail: Trail, file: Deposit, *, only_if_absent: bool) -> str:
        return self.store.put(
            file.bucket,
            file.key,
            file.body,
            content_type="application/json",
            content_encoding="gzip",
            metadata=file.metadata,
            acl=LOG_FILE_ACL,
            server_side_encryption=encryption_of(trail, file.key, bucket=file.bucket),
            only_if_absent=only_if_absent,
        )

    def _etag_if_same(self, file: Deposit) -> str:
        head = self.store.head(file.bucket, file.key)
        if head is None:
            raise OutboundError(PRECONDITION_FAILED, f"{file.key} was refused as existing and then was not there")
        small_enough = head.size_bytes <= file.size_bytes + _GZIP_SLACK_BYTES
        body = self.store.get(file.bucket, file.key) if small_enough else b""
        is_same = content_sha256(body, max_bytes=file.size_bytes) == file.sha256
        if not is_same or any(head.metadata.get(name) != value for name, value in file.metadata.items()):
            raise IntegrityError(f"s3://{file.bucket}/{file.key} exists and is not the file planned for this key")
        return head.etag

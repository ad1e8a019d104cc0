"""What is made sure of before a trail is pointed at a bucket (cloudtrail fact sheet 3.4, 3.5)."""

from dataclasses import dataclass

from opentrail.errors import ApiError, OutboundError
from opentrail.services.cloudtrail.trail_keys import TrailKeys
from opentrail.storage.bucket import ObjectStore
from opentrail.trails.bucket_access import (
    LOG_FILE_ACL,
    BucketDirectory,
    BucketPolicyMode,
    facts_of,
    insufficiency,
    marker_keys,
)
from opentrail.trails.key_access import encryption_of
from opentrail.trails.names import check_bucket_name, check_prefix
from opentrail.trails.trail import Trail


@dataclass(frozen=True, slots=True)
class Preflight:
    """Checks a trail's destination and leaves the marker objects there.

    What goes through ``store`` is a call of CloudTrail's own and recorded as one; ``quiet_store`` is for looking first,
    so that a probe which the bucket's policy does not allow is neither made nor recorded as if it had been.
    """

    buckets: BucketDirectory
    store: ObjectStore
    mode: BucketPolicyMode
    quiet_store: ObjectStore | None = None
    trail_keys: TrailKeys | None = None

    def check(self, trail: Trail) -> None:
        """Raise ApiError unless the trail's bucket exists and its policy lets CloudTrail write; then put the markers.

        The trail's KMS key is tried before: its own errors are those of ``TrailKeys.check``.

        Codes: InvalidS3BucketName-, InvalidS3Prefix-, S3BucketDoesNotExist- and InsufficientS3BucketPolicyException;
        ServiceUnavailable (503) where the bucket cannot be asked.
        """
        check_bucket_name(trail.bucket)
        check_prefix(trail.prefix)
        try:
            if not (self.quiet_store or self.store).bucket_exists(trail.bucket):
                raise _no_such_bucket(trail.bucket)
            problem = insufficiency(trail, facts_of(self.buckets, trail.bucket), self.mode)
            if problem:
                raise ApiError("InsufficientS3BucketPolicyException", problem)
            if self.quiet_store is not None and not self.store.bucket_exists(trail.bucket):
                raise _no_such_bucket(trail.bucket)
            if self.trail_keys is not None:
                self.trail_keys.check(trail)
            for key in marker_keys(trail):
                self._put_marker(trail, key)
        except OutboundError as error:
            raise _refusal(trail.bucket, error) from error

    def _put_marker(self, trail: Trail, key: str) -> None:
        """A zero-byte object that shows CloudTrail may write, with the headers of a log file."""
        self.store.put(
            trail.bucket,
            key,
            b"",
            content_type="application/json",
            content_encoding="gzip",
            acl=LOG_FILE_ACL,
            server_side_encryption=encryption_of(trail, key),
        )


def _no_such_bucket(bucket: str) -> ApiError:
    return ApiError("S3BucketDoesNotExistException", f"S3 bucket {bucket} does not exist!")


def _refusal(bucket: str, error: OutboundError) -> ApiError:
    if error.code == "NoSuchBucket":
        return _no_such_bucket(bucket)
    if error.code == "AccessDenied":
        message = f"Incorrect S3 bucket policy is detected for bucket: {bucket}. The bucket's server denies access."
        return ApiError("InsufficientS3BucketPolicyException", message)
    return ApiError("ServiceUnavailable", f"S3 bucket {bucket} cannot be reached now ({error.code}).", status=503)

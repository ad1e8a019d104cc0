"""Whether CloudTrail may encrypt a trail's log files with its KMS key, by the key's policy (cloudtrail fact sheet 3.6).

Pure decisions over the key. They are asked when a trail gets a key or another bucket, and again before every delivery,
because a key can be disabled and its policy changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from opentrail.errors import ApiError
from opentrail.identity.authorization import NO_POLICIES
from opentrail.kms.access import Asker, encryption_context, verdict_on
from opentrail.kms.key import Alias, Key
from opentrail.kms.vault import require_usable
from opentrail.storage.bucket import Encryption, KmsEncryption
from opentrail.trails.bucket_access import CLOUDTRAIL, LOG_FILE_ENCRYPTION, service_context
from opentrail.trails.trail import Trail

ACTION = "kms:GenerateDataKey"


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """Why a key does not serve: KMS's error code and sentence."""

    code: str
    message: str

    @property
    def is_policy(self) -> bool:
        """Whether the key's policy is in the way, or there is no such key: to CloudTrail that is the same."""
        return self.code in ("AccessDeniedException", "NotFoundException")


def log_file_context(trail: Trail, key: str, *, bucket: str = "") -> dict[str, str]:
    """The encryption context of an object that a trail delivers (cloudtrail fact sheet 3.4)."""
    return {"aws:cloudtrail:arn": trail.arn, "aws:s3:arn": f"arn:aws:s3:::{bucket or trail.bucket}/{key}"}


def encryption_of(trail: Trail, key: str, *, bucket: str = "") -> Encryption:
    """How an object of a trail is encrypted: SSE-S3, or with the trail's key and its context."""
    if not trail.kms_key_arn:
        return LOG_FILE_ENCRYPTION
    return KmsEncryption(trail.kms_key_arn, log_file_context(trail, key, bucket=bucket))


def key_problem(trail: Trail, key: Key | None, aliases: Iterable[Alias], context: dict[str, str]) -> KeyProblem | None:
    """What keeps CloudTrail from making data keys for a trail with its key; None where all is well."""
    if key is None:
        return KeyProblem("NotFoundException", f"Key '{trail.kms_key_arn}' does not exist")
    verdict = verdict_on(
        Asker(CLOUDTRAIL, NO_POLICIES, service_context(trail)), ACTION, key, aliases, encryption_context(context)
    )
    if not verdict.allowed:
        needed = f"{ACTION} for the service principal {CLOUDTRAIL.service} (with aws:SourceArn = {trail.arn} and "
        missing = f"{needed}kms:EncryptionContext:aws:cloudtrail:arn = {trail.arn})"
        return KeyProblem("AccessDeniedException", f"the policy of {key.arn} does not allow {missing}")
    try:
        require_usable(key)
    except ApiError as error:
        return KeyProblem(error.code, error.message)
    return None

"""KMS keys of trails: which one a request means, and whether CloudTrail may use it (cloudtrail fact sheet 3.6, 6.2)."""

from collections.abc import Callable
from dataclasses import dataclass

from opentrail.aws.arn import parse_arn
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.events.internal_calls import InternalCall, InternalCalls
from opentrail.kms.key import Key
from opentrail.kms.references import parse_reference
from opentrail.kms.store import Keys
from opentrail.trails.bucket_access import CLOUDTRAIL
from opentrail.trails.key_access import KeyProblem, key_problem, log_file_context
from opentrail.trails.trail import Trail


@dataclass(frozen=True, slots=True)
class TrailKeys:
    """Finds and tries keys. ``calls`` records each try as CloudTrail's own; ``region_of`` tells a bucket's region."""

    keys: Keys
    calls: InternalCalls
    region_of: Callable[[str], str | None]

    def resolve(self, call: Call, named: str, bucket: str) -> str:
        """The ARN of the key that a request names by id, ARN, alias or alias ARN.

        Raises ApiError: KmsKeyNotFoundException for what cannot be a key, or not one of the bucket's region;
        InsufficientEncryptionPolicyException for one that does not exist.
        """
        try:
            region = parse_arn(named).region if named.startswith("arn:") else call.region
            reference = parse_reference(named, account_id=call.account_id, region=region)
        except ValueError as problem:
            raise ApiError("KmsKeyNotFoundException", str(problem)) from None
        if reference.region != (self.region_of(bucket) or reference.region):
            said = f"The key {reference.arn} and the S3 bucket {bucket} are not in the same region."
            raise ApiError("KmsKeyNotFoundException", said)
        key = self.keys.snapshot.find(reference)
        if key is None:
            raise _insufficient(f"there is no {reference.arn}, or its policy does not allow CloudTrail to use it")
        return key.arn

    def check(self, trail: Trail) -> None:
        """Try the trail's key, if it has one, as a delivery would: the try is recorded in the key's account.

        Raises ApiError: KmsKeyNotFoundException, InsufficientEncryptionPolicyException or KmsException.
        """
        if not trail.kms_key_arn:
            return
        arn = parse_arn(trail.kms_key_arn)
        if arn.region != (self.region_of(trail.bucket) or arn.region):
            said = f"The key {arn} and the S3 bucket {trail.bucket} are not in the same region."
            raise ApiError("KmsKeyNotFoundException", said)
        key = self.keys.snapshot.by_id(arn.resource_id)
        context = log_file_context(trail, trail.marker_key)
        aliases = self.keys.snapshot.aliases_for(arn.resource_id)
        problem = key_problem(trail, key, aliases, context)
        if key is not None:
            self._record(key, context, problem)
        if problem is None:
            return
        if problem.is_policy:
            raise _insufficient(problem.message)
        raise ApiError("KmsException", problem.message)

    def _record(self, key: Key, context: dict[str, str], problem: KeyProblem | None) -> None:
        probe = InternalCall(
            service=CLOUDTRAIL.service,
            account_id=key.account_id,
            region=key.region,
            event_source="kms.amazonaws.com",
            event_name="GenerateDataKey",
            parameters={"keyId": key.arn, "keySpec": "AES_256", "encryptionContext": context},
            resources=(key.record_resource,),
        )
        self.calls.record(probe, error=(problem.code, problem.message) if problem else None)


def _insufficient(reason: str) -> ApiError:
    return ApiError("InsufficientEncryptionPolicyException", f"Insufficient permissions to use the KMS key: {reason}.")

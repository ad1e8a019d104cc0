"""Trails and their buckets, asked through the endpoint like any AWS tool would."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from opentrail.cli.clients import client
from opentrail.cli.hardening import BucketFacts, Measure, Root
from opentrail.trails.names import log_root

_NOTHING = frozenset(
    {"NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError"}
)  # fmt: skip


class Buckets:
    """The buckets of one environment, as ``opentrail env`` prints it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._s3 = client(environment, "s3")

    def roots(self, trail: Mapping[str, Any]) -> list[Root]:
        """Where a trail of DescribeTrails writes in its bucket; an organization's id is read from what is there."""
        prefix, account = trail.get("S3KeyPrefix", ""), trail["TrailARN"].split(":")[4]
        own = log_root(prefix, account)
        found = [Root(own, own)]
        if trail.get("IsOrganizationTrail"):
            start = f"{own.removesuffix(f'{account}/')}o-"
            page, _ = _asked(
                lambda: self._s3.list_objects_v2(Bucket=trail["S3BucketName"], Prefix=start, Delimiter="/")
            )
            ids = [folder["Prefix"] for folder in (page or {}).get("CommonPrefixes", [])]
            found += [Root(folder, f"{folder}{account}/") for folder in ids]
        return found

    def facts(self, bucket: str, roots: tuple[Root, ...]) -> BucketFacts:
        """What a bucket says of itself. Raises what boto3 raises where nobody answers."""
        refusals: dict[str, str] = {}

        def ask(name: str, question: Callable[[], Any]) -> Any:
            answer, code = _asked(question)
            if code:
                refusals[name] = code
            return answer

        versioning = ask("versioning", lambda: self._s3.get_bucket_versioning(Bucket=bucket).get("Status"))
        policy = ask("bucket policy", lambda: json.loads(self._s3.get_bucket_policy(Bucket=bucket)["Policy"]))
        rules = ask("lifecycle rule", lambda: self._s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
        return BucketFacts(bucket, roots, versioning, policy, rules, refusals)

    def has_object_lock(self, bucket: str) -> tuple[bool, str | None]:
        """Whether objects of a bucket can be locked, and the error's code where that cannot be known."""
        answer, code = _asked(lambda: self._s3.get_object_lock_configuration(Bucket=bucket))
        enabled = (answer or {}).get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"
        return enabled, code

    def apply(self, bucket: str, measure: Measure) -> str | None:
        """Carry out what a measure recommends; the error's code where it is refused."""
        puts: dict[str, Callable[[], Any]] = {
            "versioning": lambda: self._s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": measure.value}
            ),
            "bucket policy": lambda: self._s3.put_bucket_policy(Bucket=bucket, Policy=measure.value),
            "lifecycle rule": lambda: self._s3.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": measure.value}
            ),
        }
        return _asked(puts[measure.measure])[1]

    def validate_from_now_on(self, trail: Mapping[str, Any]) -> str | None:
        """Turn a trail's log file validation on; the error's code where it is refused."""
        region = {**self._environment, "AWS_DEFAULT_REGION": trail["HomeRegion"]}
        cloudtrail = client(region, "cloudtrail")
        return _asked(lambda: cloudtrail.update_trail(Name=trail["TrailARN"], EnableLogFileValidation=True))[1]


def _asked(question: Callable[[], Any]) -> tuple[Any, str | None]:
    """An answer, or the code of a refusal; what is just not there is None and no refusal."""
    from botocore.exceptions import ClientError

    try:
        return question(), None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return None, None if code in _NOTHING else code

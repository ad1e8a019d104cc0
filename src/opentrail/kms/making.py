"""Making keys and key material, and the policies that keys begin with."""

import json
from dataclasses import replace
from datetime import datetime

from opentrail.clock import Entropy
from opentrail.kms.ciphertext import MATERIAL_BYTES
from opentrail.kms.key import AWS, DEFAULT_ROTATION_DAYS, Alias, Key, KeyMaterial, RotationType
from opentrail.kms.references import KeyReference
from opentrail.kms.store import Keys, compiled_policy
from opentrail.state.database import Unit

S3_ALIAS = "alias/aws/s3"
"""The key that S3 uses for an account where a request asks for KMS and names no key."""

_MATERIAL_ID_BYTES = 32


def new_material(entropy: Entropy, number: int, now: datetime, rotation: RotationType | None = None) -> KeyMaterial:
    """Fresh key material."""
    return KeyMaterial(
        number, entropy.token(_MATERIAL_ID_BYTES).hex(), _to_ms(now), entropy.token(MATERIAL_BYTES), rotation
    )


def new_key(entropy: Entropy, account_id: str, region: str, policy_text: str, now: datetime) -> Key:
    """A new, enabled key. Raises ValueError where the policy is refused."""
    return Key(
        key_id=entropy.uuid(),
        account_id=account_id,
        region=region,
        created_at=_to_ms(now),
        policy_text=policy_text,
        policy=compiled_policy(policy_text),
        materials=(new_material(entropy, 1, now),),
    )


def rotate(key: Key, entropy: Entropy, now: datetime, rotation: RotationType) -> Key:
    """A key with new material."""
    return key.rotated(new_material(entropy, key.current.number + 1, now, rotation))


def default_policy(account_id: str) -> str:
    """The policy of a key that is made without one: the account's identity policies decide."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [
                {
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        },
        indent=2,
    )


def s3_policy(account_id: str, region: str) -> str:
    """The policy of the key that S3 keeps for an account: whoever may use S3 there, through S3 alone."""
    used_by_s3 = {
        "Sid": "Allow access through S3 for all principals in the account that are authorized to use S3",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"kms:CallerAccount": account_id, "kms:ViaService": f"s3.{region}.amazonaws.com"}
        },
    }
    seen_by_account = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
        "Resource": "*",
    }
    policy = {"Version": "2012-10-17", "Id": "auto-s3-2", "Statement": [used_by_s3, seen_by_account]}
    return json.dumps(policy, indent=2)


def ensure_s3_key(keys: Keys, unit: Unit, entropy: Entropy, reference: KeyReference, now: datetime) -> tuple[Key, bool]:
    """The key behind ``alias/aws/s3`` of an account and region, and whether it had to be made."""
    found = keys.within(unit).find(reference)
    if found is not None:
        return found, False
    account_id, region = reference.account_id, reference.region
    made = new_key(entropy, account_id, region, s3_policy(account_id, region), now)
    key = replace(
        made,
        manager=AWS,
        description="Default key that protects my S3 objects when no other key is defined",
    ).rotating_every(DEFAULT_ROTATION_DAYS, made.created_at)
    keys.put(unit, key)
    keys.put_alias(unit, Alias(S3_ALIAS, account_id, region, key.key_id, key.created_at, key.created_at))
    return key, True


def _to_ms(at: datetime) -> datetime:
    """An instant as the store keeps it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)

"""A KMS key as a value, and its transitions. Pure: nothing here reads a clock, a database or a random source.

Rules (AWS KMS Developer Guide, "Key states", "Rotating AWS KMS keys", "Deleting AWS KMS keys"). Only an enabled key
encrypts and decrypts. A key that is pending deletion can be described, and saved by cancelling, and nothing else.
Rotation adds key material: the newest encrypts, every one decrypts what it encrypted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from opentrail.identity.policy import Policy

DEFAULT_ROTATION_DAYS = 365
DEFAULT_WINDOW_DAYS = 30
CUSTOMER, AWS = "CUSTOMER", "AWS"


class KeyState(StrEnum):
    """The states of a key, by the names of the API."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"


class RotationType(StrEnum):
    """What made new key material."""

    AUTOMATIC = "AUTOMATIC"
    ON_DEMAND = "ON_DEMAND"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """One backing key. ``number`` counts from 1; ``rotation`` is None for the material that a key was made with."""

    number: int
    material_id: str
    created_at: datetime
    secret: bytes = field(repr=False)
    rotation: RotationType | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One symmetric key (SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT, origin AWS_KMS).

    ``manager`` is ``CUSTOMER``, or ``AWS`` for a key that a service keeps for an account. ``rotation_days`` is None
    while automatic rotation is off, ``next_rotation_at`` then as well; ``deletion_at`` and ``window_days`` are set
    while the key is pending deletion. ``materials`` are in order, the newest last.
    """

    key_id: str
    account_id: str
    region: str
    created_at: datetime
    policy_text: str
    policy: Policy
    materials: tuple[KeyMaterial, ...]
    description: str = ""
    state: KeyState = KeyState.ENABLED
    manager: str = CUSTOMER
    rotation_days: int | None = None
    next_rotation_at: datetime | None = None
    deletion_at: datetime | None = None
    window_days: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """The key's ARN."""
        return f"arn:aws:kms:{self.region}:{self.account_id}:key/{self.key_id}"

    @property
    def record_resource(self) -> Mapping[str, str]:
        """The entry of a record's ``resources``; members in this order (cloudtrail fact sheet 1.5)."""
        return {"accountId": self.account_id, "type": "AWS::KMS::Key", "ARN": self.arn}

    @property
    def current(self) -> KeyMaterial:
        """The material that encrypts."""
        return self.materials[-1]

    def material(self, number: int) -> KeyMaterial | None:
        """The material of that number; None where the key never had it."""
        return self.materials[number - 1] if 0 < number <= len(self.materials) else None

    def enabled(self) -> "Key":
        """Ready for use."""
        return replace(self, state=KeyState.ENABLED)

    def disabled(self) -> "Key":
        """Not to be used until it is enabled again."""
        return replace(self, state=KeyState.DISABLED)

    def deleted_in(self, days: int, now: datetime) -> "Key":
        """Pending deletion, which comes after so many days; automatic rotation rests meanwhile."""
        return replace(self, state=KeyState.PENDING_DELETION, deletion_at=now + timedelta(days=days), window_days=days)

    def deletion_cancelled(self) -> "Key":
        """Kept after all; whoever saved it must enable it."""
        return replace(self, state=KeyState.DISABLED, deletion_at=None, window_days=None)

    def rotating_every(self, days: int, now: datetime) -> "Key":
        """With automatic rotation, so many days from now for the first time."""
        return replace(self, rotation_days=days, next_rotation_at=now + timedelta(days=days))

    def not_rotating(self) -> "Key":
        """Without automatic rotation."""
        return replace(self, rotation_days=None, next_rotation_at=None)

    def rotated(self, material: KeyMaterial) -> "Key":
        """With new material that encrypts from now on; an automatic rotation names the day of the next one.

        A rotation that is late counts from the day on which it was due, but never leaves one due at once.
        """
        following = self.next_rotation_at
        if material.rotation is RotationType.AUTOMATIC and following is not None and self.rotation_days is not None:
            following += timedelta(days=self.rotation_days)
            if following <= material.created_at:
                following = material.created_at + timedelta(days=self.rotation_days)
        return replace(self, materials=(*self.materials, material), next_rotation_at=following)

    def tagged(self, tags: Mapping[str, str]) -> "Key":
        """With these tags added or changed."""
        return replace(self, tags={**self.tags, **tags})

    def untagged(self, keys: frozenset[str]) -> "Key":
        """Without the tags of these keys."""
        return replace(self, tags={name: value for name, value in self.tags.items() if name not in keys})

    def is_rotation_due(self, now: datetime) -> bool:
        """Whether automatic rotation should make new material now. Only an enabled key rotates."""
        due = self.next_rotation_at
        return self.state is KeyState.ENABLED and due is not None and due <= now

    def is_deletion_due(self, now: datetime) -> bool:
        """Whether the key's waiting period is over."""
        return self.state is KeyState.PENDING_DELETION and self.deletion_at is not None and self.deletion_at <= now


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a key, within one account and region; ``name`` begins with ``alias/``."""

    name: str
    account_id: str
    region: str
    key_id: str
    created_at: datetime
    updated_at: datetime

    @property
    def arn(self) -> str:
        """The alias's ARN."""
        return f"arn:aws:kms:{self.region}:{self.account_id}:{self.name}"

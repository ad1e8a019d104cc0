"""Rotation of key material, automatic and on demand."""

from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.kms.key import DEFAULT_ROTATION_DAYS, Key, KeyMaterial, RotationType
from opentrail.kms.making import rotate
from opentrail.kms.vault import require_usable
from opentrail.services.answer import Answer
from opentrail.services.kms.parts import Parts, Request, about, page, require_customers, require_not_pending
from opentrail.services.operation import operation
from opentrail.state.database import Unit

MAX_ON_DEMAND = 25
"""Rotations on demand of one key (AWS KMS Developer Guide, "Resource quotas")."""


class RotationOperations:
    """Operations on rotation."""

    parts: Parts

    @operation("EnableKeyRotation", writes=True)
    def enable_key_rotation(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Make new material regularly; the first time after a whole period from now."""
        days = request.get("RotationPeriodInDays", DEFAULT_ROTATION_DAYS)
        key = self._usable(call, request, unit, more={"kms:rotationperiodindays": (str(days),)})
        if key.rotation_days != days:
            key = key.rotating_every(days, self.parts.clock.now())
            self.parts.keys.put(unit, key)
        return about(key)

    @operation("DisableKeyRotation", writes=True)
    def disable_key_rotation(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Keep the material as it is until somebody rotates it."""
        key = self._usable(call, request, unit).not_rotating()
        self.parts.keys.put(unit, key)
        return about(key)

    @operation("RotateKeyOnDemand", writes=True)
    def rotate_key_on_demand(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Make new material now; the rhythm of automatic rotation stays."""
        key = self._usable(call, request, unit)
        if sum(material.rotation is RotationType.ON_DEMAND for material in key.materials) >= MAX_ON_DEMAND:
            raise ApiError("LimitExceededException", f"{key.arn} was rotated on demand {MAX_ON_DEMAND} times")
        rotated = rotate(key, self.parts.entropy, self.parts.clock.now(), RotationType.ON_DEMAND)
        self.parts.keys.put(unit, rotated)
        return about(rotated, {"KeyId": rotated.key_id})

    @operation("GetKeyRotationStatus")
    def get_key_rotation_status(self, call: Call, request: Request) -> Answer:
        """Whether and when a key rotates by itself."""
        key = self.parts.key(call, request["KeyId"], self.parts.keys.snapshot)
        require_not_pending(key)
        status: dict[str, Any] = {"KeyId": key.arn, "KeyRotationEnabled": key.rotation_days is not None}
        if key.rotation_days is not None:
            status |= {"RotationPeriodInDays": key.rotation_days, "NextRotationDate": key.next_rotation_at}
        return about(key, status)

    @operation("ListKeyRotations")
    def list_key_rotations(self, call: Call, request: Request) -> Answer:
        """The rotations that were; the first material is shown where all material is asked for."""
        key = self.parts.own_key(call, request["KeyId"], self.parts.keys.snapshot)
        require_not_pending(key)
        everything = request.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        materials = [material for material in key.materials if everything or material.rotation is not None]
        shown, following = page(request, materials, _order)
        return about(key, {"Rotations": [_rotation(key, material) for material in shown], **following})

    def _usable(self, call: Call, request: Request, unit: Unit, **more: Any) -> Key:
        key = self.parts.own_key(call, request["KeyId"], self.parts.keys.within(unit), **more)
        require_customers(key, call)
        require_usable(key)
        return key


def _rotation(key: Key, material: KeyMaterial) -> dict[str, Any]:
    entry = {
        "KeyId": key.arn,
        "KeyMaterialId": material.material_id,
        "KeyMaterialState": "CURRENT" if material is key.current else "NON_CURRENT",
    }
    if material.rotation is None:
        return entry
    return {**entry, "RotationDate": material.created_at, "RotationType": material.rotation.value}


def _order(material: KeyMaterial) -> str:
    return f"{material.number:010}"

"""Virtual MFA devices. The seed is told once, when the device is made; enabling takes two codes in a row."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity import iam_mfa
from opentrail.identity.iam_entities import Entity, Kind, find_by_id
from opentrail.identity.iam_mfa import RESYNC_STEPS, SEED_BYTES, WINDOW_STEPS, MfaDevice, find_lead
from opentrail.identity.iam_tags import clear_tags, put_tags
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.parts import Surroundings, entity, new_tags, page, refuse_if, user_or_caller
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class MfaOperations(Surroundings):
    """The operations on MFA devices; a part of ``IamService``."""

    @operation("CreateVirtualMFADevice", writes=True)
    def create_virtual_mfa_device(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a device that is nobody's yet. The answer has the seed as text; no picture of it is drawn."""
        tags = new_tags(request, what="MFADevice")
        where = f"{request.get('Path') or '/'}{request['VirtualMFADeviceName']}"
        serial, seed = f"arn:aws:iam::{call.account_id}:mfa{where}", self.parts.entropy.token(SEED_BYTES)
        refuse_if(len(serial) > 256, refusals.validation("The path and name of an MFA device are too long"))
        taken = iam_mfa.find_device(unit.connection, self.parts.identities.seal, call.account_id, serial)
        refuse_if(taken, refusals.exists("MFADevice entity at the same path and name already exists."))
        made = MfaDevice(serial, call.account_id, seed, call.received_at)
        iam_mfa.insert_device(unit.connection, self.parts.identities.seal, made)
        put_tags(unit.connection, call.account_id, serial, tags)
        self.parts.identities.changed(unit, call.account_id)
        return {"VirtualMFADevice": {"SerialNumber": serial, "Base32StringSeed": made.base32_seed()}}

    @operation("EnableMFADevice", writes=True)
    def enable_mfa_device(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Give a device to a user who shows two of its codes."""
        user = entity(unit.connection, call, Kind.USER, request["UserName"])
        device = self._device(unit.connection, call, request)
        refuse_if(device.user_id, refusals.exists(f"MFA device {device.serial} is already in use."))
        others = [each for each in self._all(unit.connection, call) if each.user_id == user.unique_id]
        full = len(others) >= limits.MFA_DEVICES_PER_USER
        refuse_if(full, refusals.quota("MFADevicesPerUser", limits.MFA_DEVICES_PER_USER))
        self._lead(device, request, WINDOW_STEPS)
        self._change_device(
            unit, device, user_id=user.unique_id, enabled_at=call.received_at.timestamp(), offset_steps=0
        )
        return {}

    @operation("ResyncMFADevice", writes=True)
    def resync_mfa_device(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Learn how far a device's clock is off, from two codes in a row."""
        user = entity(unit.connection, call, Kind.USER, request["UserName"])
        device = self._enabled(unit.connection, call, request, user)
        lead = self._lead(device, request, RESYNC_STEPS)
        self._change_device(unit, device, offset_steps=lead if abs(lead) > WINDOW_STEPS else 0)
        return {}

    @operation("DeactivateMFADevice", writes=True)
    def deactivate_mfa_device(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Take a device from a user; it stays, nobody's."""
        user = user_or_caller(unit.connection, call, request)
        device = self._enabled(unit.connection, call, request, user)
        self._change_device(unit, device, user_id=None, enabled_at=None)
        return {}

    @operation("DeleteVirtualMFADevice", writes=True)
    def delete_virtual_mfa_device(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a device that is nobody's."""
        device = self._device(unit.connection, call, request)
        in_use = ApiError("DeleteConflictException", "MFA VirtualDevice in use. Must deactivate first.")
        refuse_if(device.user_id, in_use)
        clear_tags(unit.connection, device.serial)
        iam_mfa.remove_device(unit.connection, device)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("ListMFADevices")
    def list_mfa_devices(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A user's devices."""
        with self.parts.identities.database.read() as connection:
            user = user_or_caller(connection, call, request)
            found = [] if user is None else [
                each for each in self._all(connection, call) if each.user_id == user.unique_id
            ]  # fmt: skip
        name = {} if user is None else {"UserName": user.name}

        def show(device: MfaDevice) -> dict[str, Any]:
            return name | {"SerialNumber": device.serial, "EnableDate": device.enabled_at}

        return page(request, found, "MFADevices", lambda device: device.serial, show)

    @operation("ListVirtualMFADevices")
    def list_virtual_mfa_devices(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's devices, by whether they are somebody's."""
        status = request.get("AssignmentStatus") or "Any"
        with self.parts.identities.database.read() as connection:
            found = self._all(connection, call)
            owners = {each.serial: find_by_id(connection, each.user_id) for each in found if each.user_id}
        found = [each for each in found if status == "Any" or (each.serial in owners) is (status == "Assigned")]

        def show(device: MfaDevice) -> dict[str, Any]:
            return rendering.mfa_device(device, owners.get(device.serial))

        return page(request, found, "VirtualMFADevices", lambda device: device.serial, show)

    @operation("GetMFADevice")
    def get_mfa_device(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Whose a device is, and since when."""
        with self.parts.identities.database.read() as connection:
            user = user_or_caller(connection, call, request) if "UserName" in request else None
            device = self._device(connection, call, request)
            owner = find_by_id(connection, device.user_id) if device.user_id else None
        if owner is None or user not in (None, owner):
            raise _no_such_device(device.serial)
        return {"UserName": owner.name, "SerialNumber": device.serial, "EnableDate": device.enabled_at}

    def _all(self, connection: sa.Connection, call: Call) -> list[MfaDevice]:
        return iam_mfa.devices(connection, self.parts.identities.seal, call.account_id)

    def _device(self, connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> MfaDevice:
        serial = request["SerialNumber"]
        found = iam_mfa.find_device(connection, self.parts.identities.seal, call.account_id, serial)
        if found is None:
            raise _no_such_device(serial)
        return found

    def _enabled(
        self, connection: sa.Connection, call: Call, request: Mapping[str, Any], user: Entity | None
    ) -> MfaDevice:
        """A device of that user. Raises ApiError NoSuchEntity."""
        device = self._device(connection, call, request)
        if user is None or device.user_id != user.unique_id:
            raise _no_such_device(device.serial)
        return device

    def _lead(self, device: MfaDevice, request: Mapping[str, Any], reach: int) -> int:
        """The lead of a device's clock by two codes. Raises ApiError InvalidAuthenticationCode."""
        codes = (request["AuthenticationCode1"], request["AuthenticationCode2"])
        lead = find_lead(device.seed, codes, self.parts.clock.now(), reach)
        if lead is None:
            raise ApiError("InvalidAuthenticationCodeException", "Authentication code for device is not valid")
        return lead

    def _change_device(self, unit: Unit, device: MfaDevice, **values: Any) -> None:
        iam_mfa.change_device(unit.connection, device, **values)
        self.parts.identities.changed(unit, device.account_id)


def _no_such_device(serial: str) -> ApiError:
    return refusals.not_found(f"VirtualMFADevice with serial number {serial} doesn't exist.")

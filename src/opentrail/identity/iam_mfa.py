"""Virtual MFA devices: one-time codes (TOTP, RFC 6238, SHA-1, six digits, 30 s) and the rows that hold sealed seeds."""

import base64
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from opentrail.identity.iam_tables import Row, mfa_devices
from opentrail.state.sealing import Seal

STEP_S = 30
SEED_BYTES = 40
WINDOW_STEPS = 1
"""How far a device's clock may be off when it signs in."""

RESYNC_STEPS = 20
"""How far it may be off when it is brought back into step."""

_CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """A virtual MFA device. ``user_id`` is None while it belongs to nobody; ``offset_steps``: its clock's lead."""

    serial: str
    account_id: str
    seed: bytes = field(repr=False)
    created_at: datetime
    user_id: str | None = None
    enabled_at: datetime | None = None
    offset_steps: int = 0

    def accepts(self, code: str, at: datetime) -> bool:
        """Whether the code is the device's at that time, or one step before or after."""
        now = step_of(at) + self.offset_steps
        steps = range(now - WINDOW_STEPS, now + WINDOW_STEPS + 1)
        # Every candidate is compared, so that time does not tell which one matched.
        return True in [matches(self.seed, code, step) for step in steps]

    def base32_seed(self) -> bytes:
        """The seed as authenticator apps take it."""
        return base64.b32encode(self.seed)


def step_of(at: datetime) -> int:
    """The number of the 30 s step that an instant is in."""
    return int(at.timestamp()) // STEP_S


def code_of(seed: bytes, step: int) -> str:
    """The six digits of a step."""
    # HMAC-SHA-1 is what authenticator apps speak; its weakness against collisions does not matter here.
    return TOTP(seed, 6, SHA1(), STEP_S).generate(step * STEP_S).decode()  # noqa: S303 - see above


def matches(seed: bytes, code: str, step: int) -> bool:
    """Whether a code is that step's; compared in constant time."""
    return _CODE.fullmatch(code) is not None and hmac.compare_digest(code_of(seed, step).encode(), code.encode())


def find_lead(seed: bytes, codes: tuple[str, str], at: datetime, reach: int) -> int | None:
    """How many steps a device is ahead whose two codes, one after the other, were read off until ``at``.

    None where the codes are not the device's, or it is off by more than ``reach`` steps.
    """
    now = step_of(at)
    for lead in sorted(range(-reach, reach + 1), key=abs):
        if matches(seed, codes[0], now + lead - 1) and matches(seed, codes[1], now + lead):
            return lead
    return None


def find_device(connection: sa.Connection, seal: Seal, account_id: str, serial: str) -> MfaDevice | None:
    """The account's device with that serial number."""
    query = sa.select(mfa_devices).where(mfa_devices.c.serial == serial, mfa_devices.c.account_id == account_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else device_of(row, seal)


def devices(connection: sa.Connection, seal: Seal, account_id: str) -> list[MfaDevice]:
    """The account's devices, in order of serial number."""
    query = sa.select(mfa_devices).where(mfa_devices.c.account_id == account_id).order_by(mfa_devices.c.serial)
    return [device_of(row, seal) for row in connection.execute(query).mappings()]


def insert_device(connection: sa.Connection, seal: Seal, device: MfaDevice) -> None:
    """Store a new device, its seed sealed."""
    row = {
        "serial": device.serial,
        "account_id": device.account_id,
        "sealed_seed": seal.seal(device.seed, _context(device.serial)),
        "offset_steps": 0,
        "created_at": device.created_at.timestamp(),
    }
    connection.execute(sa.insert(mfa_devices).values(row))


def change_device(connection: sa.Connection, device: MfaDevice, **values: Any) -> None:
    """Give columns of a device new values."""
    connection.execute(sa.update(mfa_devices).where(mfa_devices.c.serial == device.serial).values(values))


def remove_device(connection: sa.Connection, device: MfaDevice) -> None:
    """Take a device away."""
    connection.execute(sa.delete(mfa_devices).where(mfa_devices.c.serial == device.serial))


def device_of(row: Row, seal: Seal) -> MfaDevice:
    """A device from its row. Raises IntegrityError where the seed cannot be opened."""
    enabled = row["enabled_at"]
    return MfaDevice(
        row["serial"],
        row["account_id"],
        seal.open(row["sealed_seed"], _context(row["serial"])),
        datetime.fromtimestamp(row["created_at"], UTC),
        row["user_id"],
        None if enabled is None else datetime.fromtimestamp(enabled, UTC),
        row["offset_steps"],
    )


def _context(serial: str) -> str:
    return f"mfa-seed/{serial}"

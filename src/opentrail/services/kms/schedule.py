"""What KMS does by the clock: automatic rotations, and deletions whose waiting period is over.

Each leaves a service event in the account of the key (AWS KMS Developer Guide, "RotateKey", "DeleteKey"; cloudtrail
fact sheet 1.9).
"""

from collections.abc import Sequence

from opentrail.clock import Clock, Entropy
from opentrail.events.record import ServiceEvent
from opentrail.kms.key import Key, RotationType
from opentrail.kms.making import rotate
from opentrail.kms.store import Keys
from opentrail.state.database import Unit

EVENT_SOURCE = "kms.amazonaws.com"


class KeySchedule:
    """Carries out what is due."""

    def __init__(self, keys: Keys, clock: Clock, entropy: Entropy) -> None:
        self._keys = keys
        self._clock = clock
        self._entropy = entropy

    def is_due(self) -> bool:
        """Whether ``carry_out`` would change anything; cheap, for a tick that opens no transaction in vain."""
        now = self._clock.now()
        return any(key.is_rotation_due(now) or key.is_deletion_due(now) for key in self._keys.snapshot.every())

    def carry_out(self, unit: Unit) -> Sequence[ServiceEvent]:
        """Rotate and delete what is due; the events that tell of it must commit with the unit."""
        now = self._clock.now()
        events = []
        for key in self._keys.within(unit).every():
            if key.is_deletion_due(now):
                self._keys.delete(unit, key.key_id)
                events.append(self._event(key, "DeleteKey", {"keyId": key.key_id}))
            elif key.is_rotation_due(now):
                rotated = rotate(key, self._entropy, now, RotationType.AUTOMATIC)
                self._keys.put(unit, rotated)
                details = {"rotationType": RotationType.AUTOMATIC.value, "keyId": key.key_id}
                events.append(self._event(key, "RotateKey", details))
        return events

    def _event(self, key: Key, name: str, details: dict[str, str]) -> ServiceEvent:
        return ServiceEvent(
            event_source=EVENT_SOURCE,
            event_name=name,
            account_id=key.account_id,
            region=key.region,
            occurred_at=self._clock.now(),
            details=details,
            resources=(key.record_resource,),
        )

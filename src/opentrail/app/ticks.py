"""What has to be done every now and then, by nobody's request: noting last uses, changing the sealing key, and what is
due for KMS keys.

Rules. Last uses are written in batches, so that no call waits for them; what was noted when the process is killed is
lost, as AWS's own are hours late. A new sealing key, new key material or a deletion, and the record of it, commit
together.
"""

import logging
import threading
from collections.abc import Callable

from opentrail.app.core import Core
from opentrail.events.record import ServiceEvent
from opentrail.gateway.admit import KeyUses
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID, DEFAULT_REGION
from opentrail.services.kms.schedule import KeySchedule

log = logging.getLogger(__name__)

INTERVAL_S = 5.0


class Ticks:
    """A thread that does what is due, every few seconds."""

    def __init__(self, core: Core, uses: KeyUses, *, interval_s: float = INTERVAL_S) -> None:
        self._core = core
        self._uses = uses
        self._schedule = KeySchedule(core.keys, core.world.clock, core.world.entropy)
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticks", daemon=True)

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the last uses are written."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        _guarded(self.note_uses)

    def note_uses(self) -> None:
        """Write down the last uses of access keys and roles since the last time."""
        keys, roles = self._uses.take()
        if not keys and not roles:
            return
        with self._core.database.unit() as unit:
            self._core.identities.note_uses(unit, keys, roles.items())

    def rotate_sealing_key(self) -> None:
        """Seal session tokens with a new key, where the current one has done so long enough. Raises JournalError."""
        core = self._core
        if core.sealing_keys.is_due():
            core.commit(lambda unit: [_rotation(core)] if core.sealing_keys.rotate_if_due(unit) else [])

    def look_after_keys(self) -> None:
        """Rotate and delete the KMS keys that are due. Raises JournalError."""
        if self._schedule.is_due():
            self._core.commit(self._schedule.carry_out)

    def _run(self) -> None:
        while True:
            _guarded(self.note_uses)
            _guarded(self.rotate_sealing_key)
            _guarded(self.look_after_keys)
            if self._stopping.wait(self._interval_s):
                return


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("regular work failed")


def _rotation(core: Core) -> ServiceEvent:
    """The record of a new sealing key, in the form of KMS's RotateKey (cloudtrail fact sheet 1.9)."""
    return ServiceEvent(
        event_source="opentrail.amazonaws.com",
        event_name="RotateSealingKey",
        account_id=DEFAULT_ACCOUNT_ID,
        region=DEFAULT_REGION,
        occurred_at=core.world.clock.now(),
        details={"rotationType": "AUTOMATIC"},
    )

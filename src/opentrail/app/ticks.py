"""What has to be done every now and then, by nobody's request: noting last uses, and changing the sealing key.

Rules. Last uses are written in batches, so that no call waits for them; what was noted when the process is killed is
lost, as AWS's own are hours late. A new sealing key and the record of it commit together.
"""

import logging
import threading
from collections.abc import Callable

from opentrail.app.core import Core
from opentrail.events.record import ServiceEvent
from opentrail.gateway.admit import KeyUses
from opentrail.journal import outbox
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID, DEFAULT_REGION

log = logging.getLogger(__name__)

INTERVAL_S = 5.0


class Ticks:
    """A thread that does what is due, every few seconds."""

    def __init__(self, core: Core, uses: KeyUses, *, interval_s: float = INTERVAL_S) -> None:
        self._core = core
        self._uses = uses
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
        if not core.sealing_keys.is_due():
            return
        with core.database.unit() as unit:
            if not core.sealing_keys.rotate_if_due(unit):
                return
            draft = core.internal.draft(_rotation(core))
            core.drain.sweep(unit)
            row = outbox.add(unit, [draft], core.journal.next_sequence)
        core.journal.append([draft]).result()
        core.drain.appended(row)

    def _run(self) -> None:
        while True:
            _guarded(self.note_uses)
            _guarded(self.rotate_sealing_key)
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

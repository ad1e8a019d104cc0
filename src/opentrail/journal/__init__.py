"""The durable record: an append-only, checksummed journal of event records, and what hangs on it.

``journal`` appends and reads; ``outbox`` ties state changes to it; ``intents`` concludes what a crash left open;
``cursors`` says how far each reader has come.
"""

from opentrail.journal.frames import Draft, Frame
from opentrail.journal.journal import Journal
from opentrail.journal.opening import Doors
from opentrail.journal.options import JournalOptions
from opentrail.journal.reservations import OUTCOME_ALLOWANCE_BYTES, Intent

__all__ = ["OUTCOME_ALLOWANCE_BYTES", "Doors", "Draft", "Frame", "Intent", "Journal", "JournalOptions"]

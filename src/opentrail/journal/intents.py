"""What a crash left open: intents whose outcome never reached the journal become the records that say so.

An intent is concluded if a record with its event id stands behind it. For one that is not, the record that it holds is
appended, with its routes; that concludes it, so that a crash in the middle repeats nothing. The cursor says up to where
there is nothing to look for; the courier moves it as it prunes.
"""

from collections.abc import Iterable, Iterator, Sequence

from opentrail.journal import cursors
from opentrail.journal.frames import Draft, Frame
from opentrail.journal.journal import Journal
from opentrail.state.database import Database

CURSOR = "intents"
"""The name of the cursor before which every intent is concluded."""

_READ_BYTES = 4 * 1024 * 1024


def recover(database: Database, journal: Journal) -> int:
    """Append the records of calls whose outcome is not known, each call's as one group; answers how many calls.

    To be called when the outbox has been replayed (its rows are outcomes) and before anything else appends or prunes.
    The last process kept the room free, so that a full disk does not hinder it unless the outbox needed that room.
    Raises JournalError if the journal refuses (the rest stays open), IntegrityError where a frame is damaged.
    """
    with database.read() as connection:
        after = cursors.get(connection, CURSOR) or 0
    groups = list(_calls(_open_frames(journal.frames(after, max_bytes=_READ_BYTES))))
    for group in groups:
        journal.append(group).result()
    with database.unit() as unit:
        cursors.put(unit, CURSOR, journal.durable_sequence)
    return len(groups)


def _open_frames(frames: Iterable[Frame]) -> Sequence[Frame]:
    """Intents without a record behind them, in order."""
    found: dict[str, Frame] = {}
    for frame in frames:
        if frame.is_intent:
            found[frame.event_id] = frame
        else:
            found.pop(frame.event_id, None)
    return list(found.values())


def _calls(frames: Iterable[Frame]) -> Iterator[list[Draft]]:
    """The records that open intents stand for, one group for each call."""
    group: list[Draft] = []
    expected = 0
    for frame in frames:
        if frame.intended is None:
            continue
        if group and frame.sequence != expected:
            yield group
            group = []
        group.append(Draft(frame.event_id, frame.time_s, frame.partition, frame.intended.routes, frame.payload))
        expected = frame.sequence + 1 if frame.intended.continues else 0
    if group:
        yield group

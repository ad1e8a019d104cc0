"""Where a group of frames may be placed so that every outcome that was promised room still finds it.

Let T be the bytes left in the active segment, C what a new segment holds, r(i) the reservation of each intent on disk
and R their sum; the limit on promises keeps R <= C. A spare can be *held*: only the writer has it then. The invariant:

    (I)  R <= T, or a spare is held

Every group, of size s, changes R by d: an ordinary one by 0, an intent by +r, an outcome by -r. ``fitting`` lets it
into the active segment only if (I) holds afterwards. Where it does not fit, a spare is held; if s > T, the journal goes
on in it, after which T = C >= R. If none is to be had, the group is refused, which places nothing, so that (I) stays.

*No outcome with s <= r(i) is refused, whatever the disk says, in whichever order they come.* Without a held spare
R <= T, so that s <= r(i) <= R <= T: it fits, and (I) holds again because R - r(i) <= T - s. With one held: if s <= T it
fits, and the spare is still held. If not, the journal goes on in the spare, for which nothing has to be allocated; then
R <= T, the first case, of which every later outcome is an instance as well.

Nothing here touches the disk: that is the writer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opentrail.journal.intake import Entry


@dataclass(slots=True)
class Room:
    """The bytes left in the active segment, what a new one holds, the bytes reserved for outcomes, the held spare."""

    tail_bytes: int
    segment_bytes: int
    reserved_bytes: int = 0
    held: Path | None = None

    def fitting(self, entries: Sequence[Entry], begin: int) -> int:
        """The end of the row of groups, from ``begin``, that the active segment takes."""
        is_backed = self.held is not None
        free_bytes = self.tail_bytes if is_backed else self.tail_bytes - self.reserved_bytes
        end, count = begin, len(entries)
        while end < count:
            entry = entries[end]
            cost_bytes = entry.size_bytes
            if entry.promise is not None and not is_backed:
                cost_bytes += entry.promise.change_bytes
            if cost_bytes > free_bytes:
                break
            free_bytes -= cost_bytes
            end += 1
        return end

    def place(self, size_bytes: int, change_bytes: int) -> None:
        """Note that groups were written into the tail, and by how much that changed the reservations."""
        self.tail_bytes -= size_bytes
        self.reserved_bytes += change_bytes

    def go_on(self) -> None:
        """Note that the journal goes on in the held spare: its bytes are the tail now."""
        self.tail_bytes = self.segment_bytes
        self.held = None

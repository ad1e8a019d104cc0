"""Where a group of frames may be placed so that every outcome that was promised room still finds it.

Let T be the bytes left in the active segment, C what a new segment holds, r(i) the reservation of each intent on disk
and R their sum; the limit on promises keeps R <= C. A *held* spare is one that only the writer can use. The invariant:

    (I)  R <= T, or at least one spare is held

Every group, of size s, changes R by d: an ordinary one by 0, an intent by +r, an outcome by -r. ``fitting`` places it
in the active segment only if (I) holds afterwards; ``lack`` says what would make room elsewhere.

*No outcome with s <= r(i) is ever refused, whatever the disk says, in whichever order they come.* Without a held
spare R <= T, so s <= r(i) <= R <= T: it is placed, and (I) holds again because R - r(i) <= T - s. With one held: if
s <= T it is placed in the tail, and the spare is still held. If not, the journal goes on in the held spare, for which
nothing has to be allocated; then T = C >= R, which is the first case, of which every later outcome is an instance, too.
Refusing a group places nothing, so that (I) stays. Whatever is cut off by going on in a new segment was part of the
tail that (I) did not count on. A spare stays held until the journal goes on in it.

Nothing here touches the disk: that is the writer's.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from opentrail.journal.intake import Entry


class Lack(NamedTuple):
    """What a group needs that does not fit: how many spares have to be held, and whether the journal has to go on in
    one of them."""

    spares: int
    next_segment: bool


@dataclass(slots=True)
class Room:
    """The bytes left in the active segment, what a new one holds, the bytes reserved for outcomes, the spares held."""

    tail_bytes: int
    segment_bytes: int
    reserved_bytes: int = 0
    held: deque[Path] = field(default_factory=deque)

    def fitting(self, entries: Sequence[Entry], begin: int) -> int:
        """The end of the row of groups, from ``begin``, that the active segment takes."""
        is_backed = bool(self.held)
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

    def lack(self, entry: Entry) -> Lack:
        """What a group that does not fit needs."""
        reserved_bytes = self.reserved_bytes + (entry.promise.change_bytes if entry.promise is not None else 0)
        next_segment = entry.size_bytes > self.tail_bytes
        left_bytes = (self.segment_bytes if next_segment else self.tail_bytes) - entry.size_bytes
        return Lack(next_segment + (reserved_bytes > left_bytes), next_segment)

    def hold(self, spares: int, take: Callable[[], Path | None]) -> bool:
        """Hold at least so many spares; False where no more can be had."""
        while len(self.held) < spares:
            spare = take()
            if spare is None:
                return False
            self.held.append(spare)
        return True

    def place(self, size_bytes: int, change_bytes: int) -> None:
        """Note that groups were written into the tail, and by how much that changed the reservations."""
        self.tail_bytes -= size_bytes
        self.reserved_bytes += change_bytes

    def go_on(self) -> Path:
        """The held spare in which the journal goes on; from now on its bytes are the tail."""
        self.tail_bytes = self.segment_bytes
        return self.held.popleft()

"""Whose turn it is: each trail's pauses after what failed, ended at once where somebody changes the trail."""

from opentrail.delivery.lane import Backoff
from opentrail.trails.store import Trails


class TrailPaces:
    """The back-offs of every trail, for one thread."""

    def __init__(self, trails: Trails) -> None:
        self._trails = trails
        self._backoffs: dict[str, Backoff] = {}
        self._generations: dict[str, int] = {}

    def of(self, trail_id: str) -> Backoff:
        """A trail's; a new one where the trail was changed: what failed before may work now."""
        trail = self._trails.snapshot.get(trail_id)
        generation = trail.generation if trail is not None else 0
        if self._generations.get(trail_id) != generation:
            self._generations[trail_id] = generation
            self._backoffs[trail_id] = Backoff()
        return self._backoffs[trail_id]

"""The trails of an account that could keep an event, arranged so that most events find theirs with a few look-ups.

Pure and immutable; made anew with every change of a trail, asked for every record. Trails are told apart by where an
event happened first, then by the event categories that their selectors want, and only then by the event's facts.
"""

from collections.abc import Callable, Iterable, Sequence

from opentrail.events.selectors import Category
from opentrail.events.selectors_matching import EventFacts, Matcher
from opentrail.trails.trail import Trail

GLOBAL_SERVICE_REGION = "us-east-1"
"""Where the events of global services belong (cloudtrail fact sheet 6.3)."""

Facts = Callable[[], EventFacts]
"""An event's facts, gathered only where a selector asks for them."""

Watching = tuple[Trail, Matcher]
"""A trail that logs, with its selectors compiled."""


class Keepers:
    """The trails that could keep an event in one place, in a stable order."""

    __slots__ = ("_always", "_asked")

    def __init__(self, watching: Iterable[Watching]) -> None:
        watching = list(watching)
        self._always: dict[str, tuple[str, ...]] = {}
        self._asked: dict[str, tuple[tuple[str, Matcher], ...]] = {}
        for category in {category for _, matcher in watching for category in matcher.categories}:
            wanting = [(trail.trail_id, matcher) for trail, matcher in watching if category in matcher.categories]
            if category == Category.MANAGEMENT and all(m.takes_all_management_events for _, m in wanting):
                self._always[category] = tuple(trail_id for trail_id, _ in wanting)
            else:
                self._asked[category] = tuple(wanting)

    def of(self, category: str, facts: Facts) -> tuple[str, ...]:
        """The ids of the trails that keep an event of a category."""
        always = self._always.get(category)
        if always is not None:
            return always
        asked = self._asked.get(category)
        if asked is None:
            return ()
        known = facts()
        return tuple(trail_id for trail_id, matcher in asked if matcher.matches(known))


class AccountKeepers:
    """The trails that log what happens in an account, by where an event happened.

    ``categories`` are the event categories that any of them wants. ``of_global_services`` are those for events of
    global services, whatever their region.
    """

    __slots__ = ("_by_region", "_elsewhere", "categories", "of_global_services")

    def __init__(self, watching: Sequence[Watching]) -> None:
        """``watching`` log, every one of them."""
        regions = {trail.home_region for trail, _ in watching}
        self._by_region = {region: Keepers(_visible_in(region, watching)) for region in regions}
        self._elsewhere = Keepers((trail, matcher) for trail, matcher in watching if trail.is_multi_region)
        here = _visible_in(GLOBAL_SERVICE_REGION, watching)
        self.of_global_services = Keepers(found for found in here if found[0].include_global_service_events)
        self.categories = frozenset(category for _, matcher in watching for category in matcher.categories)

    def in_region(self, region: str) -> Keepers:
        """Those for events in a region; any text may be one."""
        return self._by_region.get(region, self._elsewhere)


def _visible_in(region: str, watching: Iterable[Watching]) -> list[Watching]:
    return [found for found in watching if found[0].is_visible_in(region)]


NO_KEEPERS = AccountKeepers(())
"""Those of an account without trails."""

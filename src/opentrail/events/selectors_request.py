"""Selectors out of a request, checked: the one way in for what callers put."""

from collections.abc import Mapping
from typing import Any

from opentrail.events.selectors import Selectors, read
from opentrail.events.selectors_advanced import FOR_TRAILS, Rules, check_advanced
from opentrail.events.selectors_basic import check_basic, invalid


def parse_selectors(request: Mapping[str, Any], rules: Rules = FOR_TRAILS) -> Selectors:
    """The selectors of a request with the members ``EventSelectors`` or ``AdvancedEventSelectors``.

    Raises InvalidEventSelectorsException where they break a rule of cloudtrail fact sheet 6.5: neither kind, both, too
    many, or a value that cannot be.
    """
    selectors = read(request)
    if selectors.basic and selectors.advanced:
        raise invalid("EventSelectors and AdvancedEventSelectors cannot both be given.")
    if selectors.advanced:
        check_advanced(selectors.advanced, rules)
    elif selectors.basic:
        check_basic(selectors.basic)
    else:
        raise invalid("EventSelectors or AdvancedEventSelectors must be given, with at least one selector.")
    return selectors

"""On whose behalf: what automation says about itself with session tags, carried into ``additionalEventData``.

Whoever starts an agent tags its session (``sts:TagSession``): ``agent`` names the program that acts, ``run`` one run of
it, ``on-behalf-of`` the person it acts for. CloudTrail has a place for the last one only in part (``sourceIdentity``),
so all three stand in ``{"delegation": {"agent": ..., "run": ..., "on-behalf-of": ...}}``: humans' and agents' calls can
be told apart, and everything that one run did can be found. Rules: tag keys do not differ by case; what is empty is
absent; only the caller's own account sees it, as with everything else about a caller.
"""

from opentrail.events.limits import cut
from opentrail.identity.principal import Principal

DELEGATION_TAGS = ("agent", "run", "on-behalf-of")
"""The session tags that are carried, in the order in which they are written."""


def delegation(principal: Principal) -> dict[str, str]:
    """The content of ``delegation`` for a caller; empty where its session has none of the tags."""
    if principal.session is None or not principal.session.tags:
        return {}
    tags = {key.lower(): value for key, value in principal.session.tags}
    return {name: cut(tags[name]) for name in DELEGATION_TAGS if tags.get(name)}

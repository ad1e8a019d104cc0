"""``/_opentrail/health`` and ``/_opentrail/ready``: for probes and people, unsigned, saying nothing secret."""

from collections.abc import Callable

import orjson

from opentrail.gateway.exchange import Incoming, Outgoing

Reasons = Callable[[], list[str]]
"""Why calls cannot be served at the moment, one sentence each; empty when they can."""


class OwnPages:
    """Answers the paths below ``/_opentrail/``."""

    def __init__(self, version: str, reasons: Reasons) -> None:
        self._version = version
        self._reasons = reasons

    def __call__(self, incoming: Incoming) -> Outgoing:
        """``health``: the process answers. ``ready``: it can serve calls, else 503 with the reasons."""
        if incoming.head.method not in {"GET", "HEAD"}:
            return _page(405, {"error": "only GET is served here"})
        match incoming.head.path:
            case "/_opentrail/health":
                return _page(200, {"status": "ok", "version": self._version})
            case "/_opentrail/ready":
                reasons = self._reasons()
                return _page(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})
            case _:
                return _page(404, {"error": "no such page; there are /_opentrail/health and /_opentrail/ready"})


def _page(status: int, content: dict[str, object]) -> Outgoing:
    return Outgoing(status, {"content-type": "application/json", "cache-control": "no-store"}, orjson.dumps(content))

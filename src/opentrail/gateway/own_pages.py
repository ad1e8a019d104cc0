"""``/_opentrail/health``, ``ready`` and ``metrics``: for probes and people, unsigned, saying nothing secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import orjson

from opentrail.gateway.client_address import is_from_this_machine
from opentrail.gateway.exchange import Incoming, Outgoing

Reasons = Callable[[], list[str]]
"""Why calls cannot be served at the moment, one sentence each; empty when they can."""

_PAGES = "there are /_opentrail/health, /_opentrail/ready and /_opentrail/metrics"


class Audience(Enum):
    """Who may read the metrics; the values are those of ``gateway.metrics``."""

    LOOPBACK = "loopback"
    ALL = "all"
    NOBODY = "off"


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """How the metrics are rendered, and for whom."""

    audience: Audience
    content_type: str
    render: Callable[[], bytes]


class OwnPages:
    """Answers the paths below ``/_opentrail/``."""

    def __init__(
        self, version: str, reasons: Reasons, metrics: MetricsPage, documents: Mapping[str, bytes] | None = None
    ) -> None:
        """``documents``: certificates (PEM) that are served to everybody, by their path."""
        self._version = version
        self._reasons = reasons
        self._metrics = metrics
        self._documents = documents or {}

    def __call__(self, incoming: Incoming) -> Outgoing:
        """``health``: the process answers. ``ready``: it can serve calls, else 503 with the reasons. ``metrics``."""
        if incoming.head.method not in {"GET", "HEAD"}:
            return _page(405, {"error": "only GET is served here"})
        if document := self._documents.get(incoming.head.path):
            return Outgoing(200, {"content-type": "application/x-pem-file"}, document)
        match incoming.head.path:
            case "/_opentrail/health":
                return _page(200, {"status": "ok", "version": self._version})
            case "/_opentrail/ready":
                reasons = self._reasons()
                return _page(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})
            case "/_opentrail/metrics" if self._metrics.audience is not Audience.NOBODY:
                return self._measured(incoming)
            case _:
                return _page(404, {"error": f"no such page; {_PAGES}"})

    def _measured(self, incoming: Incoming) -> Outgoing:
        is_open = self._metrics.audience is Audience.ALL
        if not is_open and not is_from_this_machine(incoming.socket_address, incoming.head.headers):
            return _page(403, {"error": "metrics are for this machine only; [gateway] metrics can open them"})
        headers = {"content-type": self._metrics.content_type, "cache-control": "no-store"}
        return Outgoing(200, headers, self._metrics.render())


def _page(status: int, content: dict[str, object]) -> Outgoing:
    return Outgoing(status, {"content-type": "application/json", "cache-control": "no-store"}, orjson.dumps(content))

"""The metrics page: what the parts know about themselves, in Prometheus' text format.

Everything is read when the page is asked for; nothing is kept but what ``meters`` count. ``docs/operations.md`` is
checked against ``METRICS``. Labels are bounded: services by the meter, trails by CloudTrail's own limit (five for each
region and account), codes by their form.
"""

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from opentrail.app.meters import OTHER, Meters
from opentrail.delivery.courier import DeliveryLag
from opentrail.delivery.lane import LaneLag
from opentrail.errors import IntegrityError, JournalError
from opentrail.journal import Journal
from opentrail.lifecycle.worker import ACTIONS
from opentrail.trails.trail_set import TrailSet
from opentrail.version import __version__

Kind = Literal["counter", "gauge", "histogram", "info"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


@dataclass(frozen=True, slots=True)
class Description:
    """One metric: its kind, its labels, and what it says."""

    kind: Kind
    labels: tuple[str, ...]
    sentence: str


METRICS = {
    "opentrail_build_info": Description("info", ("version", "python"), "Always 1; its labels say what runs."),
    "opentrail_ready": Description("gauge", (), "1 while calls can be served and evidence moves on, as `ready` says."),
    "opentrail_calls_total": Description(
        "counter",
        ("service", "class", "outcome"),
        "Recorded calls. `class`: read, write; `outcome`: ok, client_error, server_error.",
    ),
    "opentrail_denials_total": Description("counter", ("service",), "Calls that policies did not allow."),
    "opentrail_chef_requests_total": Description(
        "counter", ("outcome",), "Requests of Chef clients to their servers; they are no calls, and not recorded."
    ),
    "opentrail_journal_flush_seconds": Description("histogram", (), "Time of one durable write of the journal."),
    "opentrail_journal_disk_bytes": Description("gauge", (), "Bytes of all segments, spares included."),
    "opentrail_journal_segments": Description("gauge", (), "Segments in use."),
    "opentrail_journal_spare_segments": Description("gauge", (), "Segments that are ready to be used."),
    "opentrail_journal_queued_bytes": Description("gauge", (), "Bytes of records that wait for a flush."),
    "opentrail_journal_durable_sequence": Description("gauge", (), "Sequence number of the last durable record."),
    "opentrail_journal_open_intents": Description("gauge", (), "Changes on their way to an upstream."),
    "opentrail_journal_reserved_bytes": Description("gauge", (), "Bytes kept free for the outcomes of those."),
    "opentrail_oldest_undelivered_seconds": Description(
        "gauge", (), "Age of the oldest record that is not in its bucket yet; 0 where there is none."
    ),
    "opentrail_trail_waiting_records": Description("gauge", ("trail",), "Records that are not in the bucket yet."),
    "opentrail_trail_lag_seconds": Description("gauge", ("trail",), "Age of the oldest of those; 0 where none waits."),
    "opentrail_trail_failures": Description("gauge", ("trail",), "Failed attempts since the last delivered log file."),
    "opentrail_trail_error": Description("gauge", ("trail", "code"), "1 while the last attempt failed with this code."),
    "opentrail_behind_seconds": Description(
        "gauge",
        ("reader",),
        "How long log groups (`logs`) and event buses (`event_bus`) have missed records; 0 where they miss none.",
    ),
    "opentrail_upstream_up": Description("gauge", ("upstream",), "1 while the server behind us can be called."),
    "opentrail_upstream_in_flight": Description("gauge", ("upstream",), "Calls that wait for its answer."),
    "opentrail_upstream_errors_total": Description("counter", ("upstream",), "Calls that it did not answer."),
    "opentrail_lifecycle_actions_total": Description(
        "counter", ("action",), "What lifecycle rules did on the embedded S3 server, object by object."
    ),
}
"""Every metric of ours; those called ``process_*`` are prometheus-client's."""

_CODE = re.compile(r"[A-Za-z0-9_.]{1,64}")


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """How a server behind us does; None where that is not known of it."""

    name: str
    is_up: bool
    in_flight: int | None = None
    errors: int | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from."""

    meters: Meters
    journal: Journal
    lag: Callable[[], DeliveryLag]
    trails: Callable[[], TrailSet]
    upstreams: Callable[[], Iterable[UpstreamState]]
    waiting_since: Callable[[], Mapping[str, datetime | None]]
    reasons: Callable[[], Sequence[str]]
    now: Callable[[], datetime]
    lifecycle: Callable[[], Mapping[str, int]] = dict


class Metrics:
    """Renders the page."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(sources))
        ProcessCollector(registry=self._registry)

    def page(self) -> bytes:
        """The page as it is now, in the form of CONTENT_TYPE."""
        return generate_latest(self._registry)


def oldest_undelivered_s(lag: DeliveryLag, first_unread_s: int | None, now_s: float) -> float:
    """The age of the oldest record on its way: in a trail's hands, or not yet looked at by the courier. Pure."""
    moments = [lane.oldest_event_s for lane in lag.lanes if lane.oldest_event_s is not None]
    if first_unread_s is not None:
        moments.append(first_unread_s)
    return _age_s(min(moments, default=None), now_s)


class _Figures:
    """A collector in prometheus-client's sense."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask for figures."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family with its samples."""
        sources = self._sources
        yield InfoMetricFamily(
            "opentrail_build",
            METRICS["opentrail_build_info"].sentence,
            {"version": __version__, "python": platform.python_version()},
        )
        yield _family("opentrail_ready", [((), float(not sources.reasons()))])
        yield from self._calls()
        yield from self._journal()
        yield from self._delivery()
        yield from self._upstreams()
        counts = sources.lifecycle()
        yield _family("opentrail_lifecycle_actions_total", [((name,), counts.get(name, 0)) for name in ACTIONS])

    def _calls(self) -> Iterator[Metric]:
        counts = self._sources.meters.calls.counts()
        calls = [
            ((service, "read" if read_only else "write", outcome), count)
            for (service, read_only, outcome), count in counts.calls.items()
        ]
        yield _family("opentrail_calls_total", calls)
        yield _family("opentrail_denials_total", [((service,), count) for service, count in counts.denials.items()])

        chef = self._sources.meters.chef.counts()
        yield _family("opentrail_chef_requests_total", [((outcome,), count) for outcome, count in chef.items()])

    def _journal(self) -> Iterator[Metric]:
        times = self._sources.meters.files.times()
        name = "opentrail_journal_flush_seconds"
        flushes = HistogramMetricFamily(name, METRICS[name].sentence)
        flushes.add_metric((), list(times.cumulative()), times.sum_s)
        yield flushes
        stats = self._sources.journal.stats()
        for figure, value in (
            ("disk_bytes", stats.disk_bytes),
            ("segments", stats.segments),
            ("spare_segments", stats.spare_segments),
            ("queued_bytes", stats.queued_bytes),
            ("durable_sequence", stats.durable_sequence),
            ("open_intents", stats.open_intents),
            ("reserved_bytes", stats.reserved_bytes),
        ):
            yield _family(f"opentrail_journal_{figure}", [((), value)])

    def _delivery(self) -> Iterator[Metric]:
        lag, now_s = self._sources.lag(), self._sources.now().timestamp()
        oldest_s = oldest_undelivered_s(lag, self._first_unread_s(lag), now_s)
        yield _family("opentrail_oldest_undelivered_seconds", [((), oldest_s)])
        lanes = list(self._named(lag.lanes))
        yield _family("opentrail_trail_waiting_records", [((arn,), lane.waiting_records) for arn, lane in lanes])
        ages = [((arn,), _age_s(lane.oldest_event_s, now_s)) for arn, lane in lanes]
        yield _family("opentrail_trail_lag_seconds", ages)
        yield _family("opentrail_trail_failures", [((arn,), lane.failures) for arn, lane in lanes])
        errors = [((arn, _code(lane.error)), 1) for arn, lane in lanes if lane.error is not None]
        yield _family("opentrail_trail_error", errors)
        waiting = self._sources.waiting_since().items()
        behind = [((reader,), _age_s(int(since.timestamp()) if since else None, now_s)) for reader, since in waiting]
        yield _family("opentrail_behind_seconds", behind)

    def _first_unread_s(self, lag: DeliveryLag) -> int | None:
        """When the first record was made that the courier has not looked at; None where there is none to be read."""
        if lag.scanned_sequence >= lag.durable_sequence:
            return None
        try:
            frames = self._sources.journal.read(lag.scanned_sequence, max_bytes=1)
        except (IntegrityError, JournalError):  # the courier meets the same, and readiness tells it
            return None
        return frames[0].time_s if frames else None

    def _named(self, lanes: Iterable[LaneLag]) -> Iterator[tuple[str, LaneLag]]:
        trails = self._sources.trails()
        for lane in lanes:
            trail = trails.get(lane.trail_id)
            if trail is not None:
                yield trail.arn, lane

    def _upstreams(self) -> Iterator[Metric]:
        states = list(self._sources.upstreams())
        yield _family("opentrail_upstream_up", [((one.name,), one.is_up) for one in states])
        in_flight = [((one.name,), one.in_flight) for one in states if one.in_flight is not None]
        yield _family("opentrail_upstream_in_flight", in_flight)
        errors = [((one.name,), one.errors) for one in states if one.errors is not None]
        yield _family("opentrail_upstream_errors_total", errors)


def _family(name: str, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    described = METRICS[name]
    kind = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    family = kind(name, described.sentence, labels=described.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _age_s(moment_s: int | None, now_s: float) -> float:
    return 0.0 if moment_s is None else max(0.0, now_s - moment_s)


def _code(code: str) -> str:
    """A server's error code, unless it is anything but one."""
    return code if _CODE.fullmatch(code) else OTHER

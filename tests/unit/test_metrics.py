"""Metrics: what is counted, how the page shows it, and who may read it."""

import timeit
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opentrail.app.meters import DENIALS, FLUSH_BOUNDS_S, OTHER, CallMeter, Meters, outcome_of
from opentrail.app.metrics import METRICS, Metrics, Sources, UpstreamState, oldest_undelivered_s
from opentrail.aws.http import RequestHead
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.delivery.courier import DeliveryLag
from opentrail.delivery.lane import LaneLag
from opentrail.events.call import Call, Outcome
from opentrail.gateway.client_address import is_from_this_machine
from opentrail.gateway.exchange import Incoming
from opentrail.gateway.own_pages import Audience, MetricsPage, OwnPages
from opentrail.gateway.recording import Recording
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.journal import Doors, Draft, Journal, JournalOptions
from opentrail.state.database import Database
from opentrail.trails.store import Trails
from opentrail.trails.trail_set import TrailSet

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ROOT = Principal(PrincipalType.ROOT, "123456789012", "123456789012", "arn:aws:iam::123456789012:root")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _call(source: str = "sqs.amazonaws.com", *, read_only: bool = False) -> Call:
    return Call(
        request_id="r",
        received_at=NOW,
        account_id="123456789012",
        region="us-east-1",
        principal=ROOT,
        event_source=source,
        event_name="SendMessage",
        read_only=read_only,
    )


def _ended(code: str | None = None) -> Outcome:
    return Outcome(completed_at=NOW, error_code=code)


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def journal(tmp_path: Path, meters: Meters) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal", JournalOptions(segment_bytes=65536), doors=Doors(files=meters.files))
    yield opened
    opened.close()


def _page(
    meters: Meters,
    journal: Journal,
    *,
    lag: DeliveryLag | None = None,
    trails: Callable[[], TrailSet] | None = None,
    upstreams: Sequence[UpstreamState] = (),
    reasons: Sequence[str] = (),
    waiting: Mapping[str, datetime | None] | None = None,
) -> Samples:
    sources = Sources(
        meters=meters,
        journal=journal,
        lag=lambda: lag or DeliveryLag(0, 0, (), None),
        trails=trails or (lambda: Trails(_database()).snapshot),
        upstreams=lambda: upstreams,
        waiting_since=lambda: waiting or {},
        reasons=lambda: reasons,
        now=lambda: NOW,
    )
    return _parsed(Metrics(sources).page().decode())


def _database() -> Database:
    database = Database(None)
    database.create_tables()
    return database


def _parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (None, "ok"),
        ("NoSuchBucket", "client_error"),
        ("InternalFailure", "server_error"),
        ("InternalError", "server_error"),
        ("Server.InternalError", "server_error"),
        ("ServiceUnavailable", "server_error"),
        ("OutcomeUnknown", "server_error"),
        ("Client.UnauthorizedOperation", "client_error"),
    ],
)
def test_an_error_code_says_whose_fault_it_was(code: str | None, outcome: str) -> None:
    """Records hold no status, so the code decides."""
    assert outcome_of(code) == outcome


def test_calls_are_counted_by_service_class_and_outcome_and_denials_beside_them(
    meters: Meters, journal: Journal
) -> None:
    """Every denial's code counts, and no other."""
    for code in (None, None, "NoSuchQueue", "InternalFailure", *DENIALS):
        meters.calls(_call(), _ended(code))
    meters.calls(_call("s3.amazonaws.com", read_only=True), _ended())
    samples = _page(meters, journal)
    sqs = {"service": "sqs.amazonaws.com", "class": "write"}
    assert _value(samples, "opentrail_calls_total", **sqs, outcome="ok") == 2
    assert _value(samples, "opentrail_calls_total", **sqs, outcome="client_error") == 1 + len(DENIALS)
    assert _value(samples, "opentrail_calls_total", **sqs, outcome="server_error") == 1
    s3 = {"service": "s3.amazonaws.com", "class": "read", "outcome": "ok"}
    assert _value(samples, "opentrail_calls_total", **s3) == 1
    assert _value(samples, "opentrail_denials_total", service="sqs.amazonaws.com") == len(DENIALS)


def test_services_beyond_the_limit_share_one_label() -> None:
    """However many event sources there are, the page stays small and no call goes uncounted."""
    meter = CallMeter(most_services=3)
    for number in range(50):
        meter(_call(f"service-{number}.amazonaws.com"), _ended())
    meter(_call("service-0.amazonaws.com"), _ended())
    calls = meter.counts().calls
    assert {service for service, _, _ in calls} == {OTHER, *(f"service-{number}.amazonaws.com" for number in range(3))}
    assert sum(calls.values()) == 51
    assert calls["service-0.amazonaws.com", False, "ok"] == 2


def test_what_is_recorded_is_counted_once(tmp_path: Path) -> None:
    """A call with a copy for another account is one call."""
    meter = CallMeter()
    journal = Journal.open(tmp_path / "journal", JournalOptions(segment_bytes=65536))
    recording = Recording(journal, SystemClock(), SystemEntropy(), lambda *_: (), count=meter)
    assert len(recording.drafts(_call(), _ended(), also_for=("210987654321",))) == 2
    assert sum(meter.counts().calls.values()) == 1
    journal.close()


def test_counting_a_call_costs_little() -> None:
    """Two microseconds at most on an idle machine; the bound here leaves room for a busy one."""
    meter, call, ended = CallMeter(), _call(), _ended()
    best_s = min(timeit.repeat(lambda: meter(call, ended), number=20_000, repeat=5)) / 20_000
    print(f"counting a call: {best_s * 1e6:.2f} us")
    assert best_s < 10e-6


def test_durable_writes_are_timed_and_the_journal_shows_its_figures(meters: Meters, journal: Journal) -> None:
    """The histogram counts writes; the gauges follow the appends."""
    before = _page(meters, journal)
    for number in range(5):
        journal.append([Draft(str(uuid.UUID(int=number)), 1, "123456789012/us-east-1", (), b"{}")]).result()
    after = _page(meters, journal)
    name = "opentrail_journal_flush_seconds"
    assert _value(after, f"{name}_count") == _value(before, f"{name}_count") + 5
    assert _value(after, f"{name}_sum") > _value(before, f"{name}_sum")
    assert _value(after, f"{name}_bucket", le="+Inf") == _value(after, f"{name}_count")
    buckets = [_value(after, f"{name}_bucket", le=str(bound)) for bound in FLUSH_BOUNDS_S]
    assert buckets == sorted(buckets)
    assert _value(after, "opentrail_journal_durable_sequence") == 5
    assert _value(after, "opentrail_journal_segments") == 1
    assert _value(after, "opentrail_journal_disk_bytes") >= 65536
    assert _value(after, "opentrail_journal_open_intents") == 0


def test_an_open_intent_shows_with_what_is_kept_for_it(meters: Meters, journal: Journal) -> None:
    """Until its outcome is on disk."""
    intent = journal.intend_blocking([Draft(str(uuid.UUID(int=1)), 1, "123456789012/us-east-1", (), b"{}")])
    open_page = _page(meters, journal)
    assert _value(open_page, "opentrail_journal_open_intents") == 1
    assert _value(open_page, "opentrail_journal_reserved_bytes") == intent.reserved_bytes > 0
    journal.conclude_blocking(intent, intent.group)
    assert _value(_page(meters, journal), "opentrail_journal_open_intents") == 0


HOSTILE = 'a"b\\c\nopentrail_ready 7\n# {x="y"}'


def test_hostile_text_in_a_label_stays_a_label(meters: Meters, journal: Journal) -> None:
    """Quotes, backslashes and new lines come out of the parser as they went in, and make no sample of their own."""
    meters.calls(_call(HOSTILE), _ended("AccessDenied"))
    samples = _page(meters, journal, upstreams=[UpstreamState(HOSTILE, is_up=False, in_flight=3, errors=4)])
    assert _value(samples, "opentrail_denials_total", service=HOSTILE) == 1
    assert _value(samples, "opentrail_upstream_up", upstream=HOSTILE) == 0
    assert _value(samples, "opentrail_upstream_in_flight", upstream=HOSTILE) == 3
    assert _value(samples, "opentrail_upstream_errors_total", upstream=HOSTILE) == 4
    assert _value(samples, "opentrail_ready") == 1


def test_readiness_is_a_gauge(meters: Meters, journal: Journal) -> None:
    """0 as soon as there is one reason."""
    assert _value(_page(meters, journal, reasons=["the disk is full"]), "opentrail_ready") == 0


def test_the_oldest_undelivered_record_is_in_a_lane_or_still_unread() -> None:
    """The older of the two counts; with neither, the age is 0, and a clock set back makes none negative."""
    lanes = (LaneLag("a", 2, 900, 0, None), LaneLag("b", 0, None, 0, None), LaneLag("c", 1, 950, 3, "NoSuchBucket"))
    assert oldest_undelivered_s(DeliveryLag(5, 9, lanes, None), None, 1000.0) == 100
    assert oldest_undelivered_s(DeliveryLag(5, 9, lanes, None), 800, 1000.0) == 200
    assert oldest_undelivered_s(DeliveryLag(5, 9, (), None), None, 1000.0) == 0
    assert oldest_undelivered_s(DeliveryLag(5, 9, lanes, None), None, 10.0) == 0


def test_a_record_that_the_courier_has_not_read_ages(meters: Meters, journal: Journal) -> None:
    """Delivery that stands still shows, although no trail waits."""
    made_s = int(NOW.timestamp()) - 77
    journal.append([Draft(str(uuid.UUID(int=1)), made_s, "123456789012/us-east-1", (), b"{}")]).result()
    samples = _page(meters, journal, lag=DeliveryLag(0, 1, (), "damaged"))
    assert _value(samples, "opentrail_oldest_undelivered_seconds") == 77


def test_log_groups_and_event_buses_that_miss_something_show_for_how_long(meters: Meters, journal: Journal) -> None:
    """Since what they miss was written down; 0 where they miss nothing."""
    waiting = {"logs": NOW - timedelta(seconds=90), "event_bus": None}
    samples = _page(meters, journal, waiting=waiting)
    assert _value(samples, "opentrail_behind_seconds", reader="logs") == 90
    assert _value(samples, "opentrail_behind_seconds", reader="event_bus") == 0


def _incoming(address: str, headers: dict[str, str] | None = None, path: str = "metrics") -> Incoming:
    async def nothing() -> "Iterator[bytes]":  # type: ignore[misc] # an asynchronous iterator that ends at once
        return
        yield b""

    head = RequestHead("GET", f"/_opentrail/{path}", "", headers or {}, peer="127.0.0.1")
    return Incoming(head, nothing(), "r", NOW, address)  # type: ignore[arg-type] # never read


@pytest.mark.parametrize(
    ("address", "headers", "is_here"),
    [
        ("127.0.0.1", {}, True),
        ("127.9.9.9", {}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("192.0.2.1", {}, False),
        ("::ffff:192.0.2.1", {}, False),
        ("", {}, False),
        ("localhost", {}, False),
        ("192.0.2.1", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x-real-ip": "127.0.0.1"}, False),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, False),
    ],
)
def test_only_the_connection_itself_is_from_this_machine(address: str, headers: dict[str, str], is_here: bool) -> None:
    """No header makes a stranger local, and a proxy on this machine speaks for somebody else."""
    assert is_from_this_machine(address, headers) is is_here
    pages = OwnPages("1", list, MetricsPage(Audience.LOOPBACK, "text/plain", lambda: b"figures"))
    answer = pages(_incoming(address, headers))
    assert (answer.status, answer.body == b"figures") == ((200, True) if is_here else (403, False))


def test_the_setting_opens_or_closes_the_page() -> None:
    """``all`` shows it to everybody, ``off`` to nobody."""
    for audience, status in ((Audience.ALL, 200), (Audience.NOBODY, 404)):
        pages = OwnPages("1", list, MetricsPage(audience, "text/plain", lambda: b"figures"))
        assert pages(_incoming("192.0.2.1")).status == status
    closed = OwnPages("1", list, MetricsPage(Audience.NOBODY, "text/plain", lambda: b"figures"))
    assert closed(_incoming("127.0.0.1")).status == 404


def test_the_page_shows_every_metric_that_is_described(meters: Meters, journal: Journal) -> None:
    """And no other of ours; a metric without samples still has its help line."""
    sources_page = _page_text(meters, journal)
    shown = {line.split()[2] for line in sources_page.splitlines() if line.startswith("# HELP opentrail_")}
    assert shown == set(METRICS)


def _page_text(meters: Meters, journal: Journal) -> str:
    sources = Sources(
        meters=meters,
        journal=journal,
        lag=lambda: DeliveryLag(0, 0, (), None),
        trails=lambda: Trails(_database()).snapshot,
        upstreams=list,
        waiting_since=dict,
        reasons=list,
        now=lambda: NOW,
    )
    return Metrics(sources).page().decode()

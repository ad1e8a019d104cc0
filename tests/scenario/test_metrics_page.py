"""``/_opentrail/metrics`` of a running gateway: the numbers move with the calls, and no header opens the page."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import botocore.exceptions
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import Gateway, Key, make_trail, running

BUCKET = "aws-cloudtrail-logs-123456789012-0000aaaa"
TRAIL = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"
ADA = Key("AKIAADAADAADAADAADA1", "canary-ada-secret-metrics")
STS = "sts.amazonaws.com"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway that believes a proxy on the whole loopback network, as the careless do; systemd listens."""
    directory = tmp_path_factory.mktemp("metrics")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(directory / "notify"))
        systemd.settimeout(10)
        settings = {
            "OPENTRAIL_GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8",
            "OPENTRAIL_LOCAL_MINISTACK": "off",
            "NOTIFY_SOCKET": str(directory / "notify"),
        }
        with running(directory / "home", settings) as found:
            assert systemd.recv(64) == b"READY=1"
            yield found
        assert systemd.recv(64) == b"STOPPING=1"


def _samples(gateway: Gateway) -> Samples:
    with urllib.request.urlopen(f"{gateway.url}/_opentrail/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def test_the_numbers_move_as_calls_are_made(gateway: Gateway) -> None:
    """Reads, writes, refusals and denials of services and of S3, each in its place; flushes and sequences with them."""
    gateway.import_key("123456789012", ADA, "--user", "ada")  # a user without any permission
    before = _samples(gateway)
    for _ in range(3):
        gateway.client("sts").get_caller_identity()
    gateway.client("s3").create_bucket(Bucket="metrics-0001")
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        gateway.client("iam", ADA).list_users()
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        gateway.client("s3", ADA).list_objects_v2(Bucket="metrics-0001")
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchEntity"):
        gateway.client("iam").get_user(UserName="nobody")
    after = _samples(gateway)

    def moved(name: str, **labels: str) -> float:
        return _value(after, name, **labels) - _value(before, name, **labels)

    calls = "opentrail_calls_total"
    assert moved(calls, service=STS, **{"class": "read"}, outcome="ok") == 3
    assert moved(calls, service="s3.amazonaws.com", **{"class": "write"}, outcome="ok") == 1
    assert moved(calls, service="s3.amazonaws.com", **{"class": "read"}, outcome="client_error") == 1
    assert moved(calls, service="iam.amazonaws.com", **{"class": "read"}, outcome="client_error") == 2
    assert moved("opentrail_denials_total", service="iam.amazonaws.com") == 1
    assert moved("opentrail_denials_total", service="s3.amazonaws.com") == 1
    assert moved("opentrail_journal_durable_sequence") >= 7
    assert moved("opentrail_journal_flush_seconds_count") >= 7
    assert _value(after, "opentrail_ready") == 1
    assert _value(after, "opentrail_upstream_up", upstream="s3") == 1
    assert _value(after, "process_resident_memory_bytes") > 1e6


def test_a_trail_that_cannot_deliver_shows_its_error_and_its_age(gateway: Gateway) -> None:
    """The trail's ARN is the label; the failure goes once the bucket takes log files again."""
    make_trail(gateway, BUCKET)
    s3 = gateway.client("s3")
    policy = s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    gateway.client("sts").get_caller_identity()
    ill = _until(gateway, "opentrail_trail_failures", above=0)
    assert _value(ill, "opentrail_trail_error", trail=TRAIL, code="AccessDenied") == 1
    assert _value(ill, "opentrail_trail_waiting_records", trail=TRAIL) > 0
    assert _value(ill, "opentrail_oldest_undelivered_seconds") >= _value(
        ill, "opentrail_trail_lag_seconds", trail=TRAIL
    )
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    well = _until(gateway, "opentrail_trail_failures", above=-1, below=1)
    assert _value(well, "opentrail_trail_error", trail=TRAIL, code="AccessDenied") == 0


def _until(gateway: Gateway, name: str, *, above: float, below: float = 1e9) -> Samples:
    deadline = time.monotonic() + 60
    while not above < _value(samples := _samples(gateway), name, trail=TRAIL) < below:
        assert time.monotonic() < deadline, samples
        time.sleep(0.2)
    return samples


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"])
def test_a_forwarded_address_does_not_open_the_page(gateway: Gateway, header: str) -> None:
    """Whoever comes through a proxy on this machine is a stranger, although the proxy is trusted."""
    request = urllib.request.Request(f"{gateway.url}/_opentrail/metrics", headers={header: "127.0.0.1"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403
    assert b"opentrail_" not in refused.value.read()

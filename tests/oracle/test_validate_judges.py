"""Two judges over the same buckets: the unmodified AWS CLI's `validate-logs`, and ours, both over HTTP."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opentrail.cli.main import application
from tests.support.digest_world import ACCOUNT, EPOCH, HOME_REGION, HOUR, REGION, MemoryReader, Trail, key_pair
from tests.support.stub_aws import Answers, running_stub

ARN = f"arn:aws:cloudtrail:{HOME_REGION}:{ACCOUNT}:trail/all_of.it"


def nothing(trail: Trail) -> None:
    """Leave it alone."""


def flip_log(trail: Trail) -> None:
    """One digit in a log file changed."""
    trail.rewrite(trail.logs[3], lambda body: gzip.compress(gzip.decompress(body).replace(b"0", b"1", 1)))


def delete_log(trail: Trail) -> None:
    """A log file deleted."""
    trail.delete(trail.logs[3])


def append_to_log(trail: Trail) -> None:
    """A second gzip member behind a log file."""
    trail.rewrite(trail.logs[3], lambda body: body + gzip.compress(b"more"))


def flip_digest(trail: Trail) -> None:
    """One value in a digest file changed."""
    change = (b'"oldestEventTime":null', b'"oldestEventTime":true')
    trail.rewrite(trail.digests[2], lambda body: gzip.compress(gzip.decompress(body).replace(*change)))


def delete_digest(trail: Trail) -> None:
    """One digest file deleted."""
    trail.delete(trail.digests[2])


def delete_two_digests(trail: Trail) -> None:
    """Two digest files in a row deleted."""
    trail.delete(*trail.digests[2:4])


def delete_newest_digests(trail: Trail) -> None:
    """The newest digest files deleted."""
    trail.delete(*trail.digests[-3:])


def delete_oldest_digests(trail: Trail) -> None:
    """The oldest digest files deleted."""
    trail.delete(*trail.digests[:2])


def append_to_digest(trail: Trail) -> None:
    """A byte behind a digest file."""
    trail.rewrite(trail.digests[2], lambda body: body + b"x")


def swap_digests(trail: Trail) -> None:
    """Two digest files exchanged."""
    first, second = ((trail.bucket, key) for key in trail.digests[2:4])
    trail.objects[first], trail.objects[second] = trail.objects[second], trail.objects[first]


def strip_signature(trail: Trail) -> None:
    """A digest file's metadata lost."""
    trail.objects[trail.bucket, trail.digests[2]] = replace(trail.objects[trail.bucket, trail.digests[2]], metadata={})


def sign_with_another_key(trail: Trail) -> None:
    """A digest file replaced, signed with another key."""
    trail.resign(trail.digests[2], lambda document: document.update(logFiles=[]), key_pair(1))


def sign_again_with_the_trails_key(trail: Trail) -> None:
    """A digest file replaced, signed with the trail's own key."""
    trail.resign(trail.digests[2], lambda document: document.update(logFiles=[]))


def plant_log(trail: Trail) -> None:
    """A log file put there that no digest file lists."""
    Trail(trail.objects, bucket=trail.bucket, logs=[""] * 90).deliver(at=trail.now - 2.5 * HOUR)


NOT_FOUND, SIGNATURE, FORMAT = "INVALID: not found", "INVALID: signature verification failed", "INVALID: invalid format"
MOVED = "INVALID: has been moved from its original location"
CASES: list[tuple[Callable[[Trail], None], set[str], set[str]]] = [
    (nothing, set(), set()),
    (flip_log, {"INVALID: hash value doesn't match"}, {"log-differs"}),
    (delete_log, {NOT_FOUND}, {"log-missing"}),
    (append_to_log, {"INVALID: unexpected data after end of compressed stream"}, {"log-trailing-data"}),
    (flip_digest, {SIGNATURE}, {"signature-invalid"}),
    (delete_digest, {NOT_FOUND}, {"digest-missing"}),
    (delete_two_digests, {NOT_FOUND}, {"digest-missing", "digests-missing"}),
    (delete_newest_digests, set(), {"chain-ends-early"}),
    (delete_oldest_digests, {NOT_FOUND}, {"chain-truncated"}),
    (append_to_digest, set(), {"digest-trailing-data"}),
    (swap_digests, {MOVED}, {"digest-moved"}),
    (strip_signature, {SIGNATURE}, {"signature-missing"}),
    (sign_with_another_key, {SIGNATURE}, {"signature-invalid"}),
    (sign_again_with_the_trails_key, set(), {"predecessor-differs", "log-unlisted"}),
    (plant_log, set(), {"log-unlisted"}),
]


@dataclass(frozen=True)
class Court:
    """One server with a bucket for each case, and one AWS CLI."""

    trails: dict[str, Trail]
    driver: Any

    def ask_aws_cli(self, trail: Trail, capsys: pytest.CaptureFixture[str]) -> tuple[int, set[str], str]:
        """Exit code, what it calls invalid, and all it printed."""
        window = ("--start-time", f"{EPOCH:%Y-%m-%dT%H:%M:%SZ}", "--end-time", f"{trail.now:%Y-%m-%dT%H:%M:%SZ}")
        whose = ("--region", REGION, "--trail-arn", ARN, "--s3-bucket", trail.bucket)
        self.driver._command_table = None  # the command keeps its counts from one run to the next
        code = self.driver.main(["cloudtrail", "validate-logs", "--verbose", *whose, *window])
        printed = capsys.readouterr()
        invalid = {line[line.index("INVALID") :] for line in printed.err.splitlines() if "INVALID" in line}
        return code, invalid, printed.out + printed.err

    def ask_ours(self, trail: Trail) -> tuple[int, set[str], dict[str, Any]]:
        """Exit code, the kinds of findings, and the report."""
        window = ("--end-time", f"{trail.now:%Y-%m-%dT%H:%M:%SZ}")
        arguments = ["validate", f"s3://{trail.bucket}", "--trail-arn", ARN, "--json", *window]
        done = CliRunner().invoke(application, arguments)
        report = json.loads(done.stdout)
        return done.exit_code, {finding["kind"] for finding in report["findings"]}, report


@pytest.fixture(scope="module")
def court() -> Iterator[Court]:
    """Every case's bucket, tampered with, behind one endpoint."""
    from awscli.clidriver import create_clidriver

    objects = MemoryReader().objects
    trails = {}
    for tamper, _, _ in CASES:
        trail = Trail(objects, bucket=tamper.__name__.replace("_", "-")).hours(6)
        tamper(trail)
        trails[tamper.__name__] = trail
    with running_stub(lambda: Answers(objects, [key_pair(0).entry])) as endpoint, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }.items():
            patch.setenv(name, value)
        yield Court(trails, create_clidriver())


@pytest.mark.parametrize(("tamper", "cli", "ours"), CASES, ids=[case[0].__name__ for case in CASES])
def test_both_judges_on_the_same_bucket(
    tamper: Callable[[Trail], None], cli: set[str], ours: set[str], court: Court, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the AWS CLI notices we notice too, and we name what it does not see (the table of docs/validate.md)."""
    trail = court.trails[tamper.__name__]
    code, invalid, text = court.ask_aws_cli(trail, capsys)
    our_code, kinds, report = court.ask_ours(trail)
    assert (code, invalid) == (1 if cli else 0, cli), text
    assert (our_code, kinds) == (1 if ours else 0, ours), report
    if not ours:
        assert "6/6 digest files valid" in text
        assert "12/12 log files valid" in text
        assert (report["chains"][0]["digestsValid"], report["chains"][0]["logsValid"]) == (6, 12)


def test_the_table_of_verdicts_is_the_documented_one() -> None:
    """docs/validate.md tells, case by case, what each judge says."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "validate.md").read_text()
    for tamper, cli, ours in CASES[1:]:
        told = " and ".join(sorted(cli)) or "valid"
        kinds = ", ".join(f"`{kind}`" for kind in sorted(ours))
        assert f"| {(tamper.__doc__ or '').rstrip('.')} | {told} | {kinds} |" in text, tamper.__name__

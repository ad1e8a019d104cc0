"""Validation against the AWS CLI's own code: the same bucket, the same run, at two round-trip times; and its memory.

A small server in a process of its own holds 2,000 log files of 120 records (185 KB, 27 KB gzipped) under hourly digest
files, 20 in each. Both judges run in a fresh process each, one after the other, so that machines' noisy spells hit
both; loading Python's modules is not counted, making clients and listing is. At 20 ms fewer files are enough, because
the AWS CLI asks for one at a time. Memory is the peak of a whole process, with 20 times the files.

    python -m bench.bench_validate [--quick] [--check]     --check: exit 1 below 2.5x and 8x, or where memory grows
"""

import gzip
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from tests.support.digest_world import ACCOUNT, EPOCH, HOME_REGION, HOUR, REGION, Stored, Trail, key_pair
from tests.support.stub_aws import Answers, running_stub

RECORDS = 120
LOGS_PER_DIGEST = 20
REQUIRED = {0: 2.5, 20: 8.0}
MEMORY_GROWTH_MAX = 1.25
ARN = f"arn:aws:cloudtrail:{HOME_REGION}:{ACCOUNT}:trail/all_of.it"


@dataclass(frozen=True)
class Plan:
    """How much is measured: files per round-trip time (ms), rounds, and the two sizes of the memory test."""

    files: dict[int, int]
    rounds: dict[int, int]
    memory: tuple[int, int]


FULL = Plan({0: 2000, 20: 400}, {0: 2, 20: 1}, (1000, 20_000))
QUICK = Plan({0: 600, 20: 200}, {0: 1, 20: 1}, (500, 4000))


@cache
def content(variant: int) -> bytes:
    """A log file's content before compression."""
    from bench.bench_delivery import make_record

    chance = random.Random(variant)
    return b'{"Records":[' + b",".join(make_record(chance, REGION) for _ in range(RECORDS)) + b"]}"


def bucket_name(files: int) -> str:
    return f"logs-{files}"


def make_answers(sizes: tuple[int, ...]) -> Answers:
    """A bucket per number of files. Eight different contents are shared by the files, to keep the server small."""
    import hashlib

    bodies = [(gzip.compress(content(n), 6, mtime=0), hashlib.sha256(content(n)).hexdigest()) for n in range(8)]
    objects: dict[tuple[str, str], Stored] = {}
    for files in sizes:
        trail = Trail(objects, bucket=bucket_name(files))
        for number in range(files // LOGS_PER_DIGEST):
            for place in range(LOGS_PER_DIGEST):
                key = trail.deliver(at=trail.now + place * HOUR / LOGS_PER_DIGEST)
                body, sha256 = bodies[(number + place) % len(bodies)]
                objects[trail.bucket, key] = Stored(body, {}, trail.now)
                trail.waiting[-1]["hashValue"] = sha256
            trail.close()
    return Answers(objects, [key_pair(0).entry | {"ValidityEndTime": "2030-01-01T00:00:00+00:00"}])


@contextmanager
def serving(sizes: tuple[int, ...], delay_ms: int) -> Iterator[str]:
    """The server, once it has made its objects."""
    import urllib.request

    with running_stub(partial(make_answers, sizes), delay_ms / 1000) as endpoint:
        urllib.request.urlopen(f"{endpoint}/x?location", timeout=120).read()
        yield endpoint


def period(files: int) -> tuple[datetime, datetime]:
    """From the first digest to the last."""
    return EPOCH, EPOCH + (files // LOGS_PER_DIGEST) * HOUR


def ask_aws_cli(endpoint: str, files: int) -> tuple[float, int]:
    """Seconds, and valid log files, of the AWS CLI's command."""
    from awscli.clidriver import create_clidriver

    start, end = (f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in period(files))
    driver = create_clidriver()
    whose = ["--region", REGION, "--trail-arn", ARN, "--s3-bucket", bucket_name(files), "--endpoint-url", endpoint]
    printed = io.StringIO()
    began = time.perf_counter()
    with redirect_stdout(printed):
        driver.main(["cloudtrail", "validate-logs", *whose, "--start-time", start, "--end-time", end])
    seconds = time.perf_counter() - began
    [line] = [line for line in printed.getvalue().splitlines() if "log files valid" in line]
    return seconds, int(line.partition("/")[0])


def ask_ours(endpoint: str, files: int) -> tuple[float, int]:
    """The same of ours."""
    import boto3

    from opentrail.aws.arn import parse_arn
    from opentrail.clock import SystemClock
    from opentrail.storage.reading import S3ObjectReader
    from opentrail.verify.public_keys import ListedKeys
    from opentrail.verify.validation import Question, validate

    start, end = period(files)
    began = time.perf_counter()
    session = boto3.session.Session(region_name=REGION)
    reader = S3ObjectReader(session, SystemClock(), endpoint=endpoint, region=REGION, connections=33)
    keys = ListedKeys(lambda region: session.client("cloudtrail", region_name=region, endpoint_url=endpoint))
    question = Question(bucket_name(files), trail=parse_arn(ARN), start=start, end=end)
    report = validate(question, reader, keys, now=datetime.now(UTC), secret=os.urandom(32))
    seconds = time.perf_counter() - began
    if not report.whole:
        raise AssertionError(report.findings[0])
    return seconds, report.chains[0].logs_valid


def run_judge(judge: str, endpoint: str, files: int) -> dict[str, Any]:
    """One validation in a fresh process."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    command = [sys.executable, "-m", "bench.bench_validate", "judge", judge, endpoint, str(files)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    if answer["valid"] != files:
        raise AssertionError(f"{judge} found {answer['valid']} of {files} log files valid")
    return answer


def judge_here(judge: str, endpoint: str, files: int) -> None:
    """What the fresh process does."""
    seconds, valid = {"cli": ask_aws_cli, "ours": ask_ours}[judge](endpoint, files)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = usage.ru_utime + usage.ru_stime
    print(json.dumps({"seconds": seconds, "valid": valid, "rss_mb": usage.ru_maxrss / 1024, "cpu_s": cpu_s}))


def compare(plan: Plan, delay_ms: int) -> float:
    """The median ratio at one round-trip time."""
    files = plan.files[delay_ms]
    ratios: list[float] = []
    with serving((files,), delay_ms) as endpoint:
        for number in range(plan.rounds[delay_ms]):
            ours, cli = (run_judge(judge, endpoint, files)["seconds"] for judge in ("ours", "cli"))
            ratios.append(cli / ours)
            print(
                f"{delay_ms} ms, round {number + 1}: ours {files / ours:.0f} files/s, "
                f"AWS CLI {files / cli:.0f} files/s, {cli / ours:.1f}x",
                flush=True,
            )
    return statistics.median(ratios)


def memory_growth(plan: Plan) -> float:
    """The peak memory with many files over that with few."""
    few, many = plan.memory
    with serving(plan.memory, 0) as endpoint:
        small, large = (float(run_judge("ours", endpoint, files)["rss_mb"]) for files in (few, many))
    print(f"memory: {small:.0f} MB with {few} files, {large:.0f} MB with {many}")
    return large / small


def main() -> int:
    """Measure and judge."""
    if sys.argv[1:2] == ["judge"]:
        judge_here(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return 0
    plan = QUICK if "--quick" in sys.argv[1:] else FULL
    ratios = {delay_ms: compare(plan, delay_ms) for delay_ms in REQUIRED}
    growth = memory_growth(plan)
    for delay_ms, ratio in ratios.items():
        print(f"validate: {ratio:.1f}x the AWS CLI at {delay_ms} ms (required: {REQUIRED[delay_ms]}x)")
    print(f"validate: memory x{growth:.2f} (allowed: x{MEMORY_GROWTH_MAX})")
    good = growth <= MEMORY_GROWTH_MAX and all(ratio >= REQUIRED[delay_ms] for delay_ms, ratio in ratios.items())
    return 0 if good or "--check" not in sys.argv[1:] else 1


if __name__ == "__main__":
    sys.exit(main())

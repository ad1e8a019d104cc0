"""What a call through the gateway costs, beside nginx, beside MiniStack's own recorder, and with capture off.

All run in the same minute on the same machine, each server a process of its own: nginx's ``proxy_pass`` and the gateway
in front of one upstream that costs next to nothing, and MiniStack answering the same calls by itself, its CloudTrail
recorder off and on. The calls are DynamoDB's GetItem and PutItem, signed by botocore. Capture on is what the product
does: the signature is verified, the call decoded and allowed by policies, a change's intent is flushed to disk before
it is sent on, and the record before the answer. "Capture off" is no setting of the product: the benchmark puts the same
parts together with a recorder that keeps nothing (``bench.gateway.serve``).

Rounds are interleaved. CPU per request is that of the server's process at 32 connections, all its threads, divided by
its answers: the median of the rounds, and the best. Ratios of CPU are taken within a round, and their median is shown.
Times depend on who else wants the machine, so the best round's are shown: the median latency at one connection, what of
it is added to going straight to the upstream, and answers per second at 32.

    python -m bench.bench_gateway [--check] [--rounds N] [--directory DIR] [--profile]

``--check`` exits with 1 where capture takes more than 2.5 times the CPU of the same gateway without it, for reads.
``--profile`` measures nothing but shows where the gateway's time goes, by stage and function.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.gateway.contenders import Contender, Contenders
from bench.gateway.load import drive, requests_of
from bench.gateway.sampling import STAGES
from opentrail.clock import SystemClock
from opentrail.processes.supervisor import Supervisor

MAX_CAPTURE_RATIO = 2.5
ROUNDS = 5
CONNECTIONS = 32
_BUSY_S, _ALONE_S, _WARM_S = 0.6, 0.3, 0.7
_PROFILE_S = 12.0
_READ, _CHANGE = "GetItem", "PutItem"
_FUNCTIONS_SHOWN = 5

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One server doing one thing.

    ``base``: the row of the same without capture; ``frames``: how many each call must leave in a gateway's journal.
    """

    title: str
    server: Contender
    operation: str
    base: str = ""
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """One round of one row."""

    cpu_us: float
    p50_us: float
    answers_per_s: float


class Results:
    """The figures of every row, round by round."""

    def __init__(self) -> None:
        self._rounds: dict[str, list[Figures]] = defaultdict(list)

    def add(self, title: str, figures: Figures) -> None:
        """Keep a round's."""
        self._rounds[title].append(figures)

    def has(self, title: str) -> bool:
        """Whether a row was measured."""
        return title in self._rounds

    def cpu_us(self, title: str, pick: Callable[[Iterable[float]], float] = median) -> float:
        """CPU per request of one round: of the middle one, or as ``pick`` says."""
        return pick(figures.cpu_us for figures in self._rounds[title])

    def p50_us(self, title: str) -> float:
        """The latency at one connection, of the best round."""
        return min(figures.p50_us for figures in self._rounds[title])

    def answers_per_s(self, title: str) -> float:
        """Answers at many connections, of the best round."""
        return max(figures.answers_per_s for figures in self._rounds[title])

    def ratio(self, title: str, to: str) -> float:
        """CPU of one row in terms of another's, the median of the rounds' ratios."""
        return median(mine.cpu_us / its.cpu_us for mine, its in self._pairs(title, to))

    def added_cpu_us(self, title: str, to: str) -> float:
        """CPU that one row takes more than another, the median of the rounds' differences."""
        return median(mine.cpu_us - its.cpu_us for mine, its in self._pairs(title, to))

    def _pairs(self, one: str, other: str) -> Iterator[tuple[Figures, Figures]]:
        return zip(self._rounds[one], self._rounds[other], strict=True)


DIRECT, NGINX = "straight to the upstream", "nginx proxy_pass"
OFF, ON, ALONE = "capture off", "captured", "captured, no intent"
QUIET, RECORDED = "recorder off", "recorder on"


def run(rounds: int = ROUNDS, directory: Path | None = None, report: Report = print) -> dict[str, float]:
    """Measure interleaved rounds; prints a table and answers the ratios that matter.

    Raises RuntimeError where a server answers anything but 200, or a gateway has not recorded what it answered.
    """
    with running(directory) as contenders:
        servers = Servers.started(contenders)
        rows = _rows(servers, report)
        answered: Counter[Row] = Counter()
        for row in sorted(rows, key=lambda row: row.operation == _READ):  # changes first: then there is what to read
            answered[row] += drive_busy(row, _WARM_S).answers
        results = Results()
        for number in range(rounds):
            for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                figures, answers = _measure(row)
                results.add(row.title, figures)
                answered[row] += answers
        _table(rows, results, report)
        _verify(contenders, servers, answered)
    return _summary(results, report)


@contextmanager
def running(directory: Path | None) -> Iterator[Contenders]:
    """A place for servers, which are stopped at the end."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="bench-gateway-") as name, ExitStack() as stack:
        supervisor = Supervisor(Path(name) / "children", SystemClock())
        stack.callback(supervisor.stop_all)
        yield Contenders(Path(name), supervisor)


@dataclass(frozen=True, slots=True)
class Servers:
    """All that take part; None for what is not installed here."""

    upstream: Contender
    nginx: Contender | None
    off: Contender
    on: Contender
    alone: Contender
    quiet: Contender | None
    recorded: Contender | None

    @classmethod
    def started(cls, contenders: Contenders) -> "Servers":
        """Start them, beside each other."""
        upstream = contenders.upstream()
        with ThreadPoolExecutor() as pool:
            nginx = pool.submit(contenders.nginx, upstream.port)
            off = pool.submit(contenders.gateway, "off", upstream.port, "--capture", "off")
            on = pool.submit(contenders.gateway, "on", upstream.port)
            alone = pool.submit(contenders.gateway, "alone", upstream.port, "--intents", "off")
            quiet = pool.submit(contenders.ministack, "ministack", recording=False)
            recorded = pool.submit(contenders.ministack, "ministack-recording", recording=True)
        gateways = off.result(), on.result(), alone.result()
        return cls(upstream, nginx.result(), *gateways, quiet.result(), recorded.result())


def _rows(servers: Servers, report: Report) -> list[Row]:
    rows = [Row(DIRECT, servers.upstream, _READ)]
    if servers.nginx is None:
        report("nginx is missing (tools/get_nginx.sh), so its row is left out")
    else:
        rows.append(Row(NGINX, servers.nginx, _READ))
    reads, changes = f"{_READ}: {OFF}", f"{_CHANGE}: {OFF}"
    rows += [
        Row(reads, servers.off, _READ),
        Row(f"{_READ}: {ON}", servers.on, _READ, reads, frames=1),
        Row(changes, servers.off, _CHANGE),
        Row(f"{_CHANGE}: {ALONE}", servers.alone, _CHANGE, changes, frames=1),
        Row(f"{_CHANGE}: {ON}", servers.on, _CHANGE, changes, frames=2),  # the intent, then the record
    ]
    if servers.quiet is None or servers.recorded is None:
        report("MiniStack is not installed, so its rows are left out")
        return rows
    for operation in (_READ, _CHANGE):
        base = f"MiniStack {operation}: {QUIET}"
        rows.append(Row(base, servers.quiet, operation))
        rows.append(Row(f"MiniStack {operation}: {RECORDED}", servers.recorded, operation, base))
    return rows


@dataclass(frozen=True, slots=True)
class Busy:
    """A server under load."""

    answers: int
    answers_per_s: float
    cpu_us: float


def drive_busy(row: Row, duration_s: float) -> Busy:
    """Load a row's server from many connections, and see what CPU it takes."""
    server = row.server
    requests = requests_of(server.port, row.operation)
    before_s = server.cpu_s()
    measured = drive(server.port, requests, connections=CONNECTIONS, duration_s=duration_s)
    return Busy(measured.answers, measured.answers_per_s, (server.cpu_s() - before_s) / measured.answers * 1e6)


def _measure(row: Row) -> tuple[Figures, int]:
    busy = drive_busy(row, _BUSY_S)
    requests = requests_of(row.server.port, row.operation)
    alone = drive(row.server.port, requests, connections=1, duration_s=_ALONE_S)
    return Figures(busy.cpu_us, alone.p50_us, busy.answers_per_s), busy.answers + alone.answers


def _verify(contenders: Contenders, servers: Servers, answered: Counter[Row]) -> None:
    """Every answer of a capturing gateway has its record on disk, and the one without capture has none."""
    for server in (servers.off, servers.on, servers.alone):
        needed = sum(answers * row.frames for row, answers in answered.items() if row.server == server)
        contenders.stop(server)
        found = contenders.frames_of(server)
        if found != needed:
            raise RuntimeError(f"gateway {server.name}: {found} frames are durable; its answers need {needed}")


def _table(rows: Sequence[Row], results: Results, report: Report) -> None:
    heads = ("CPU us", "best", "x nginx", "x off", "p50 us", "added us", "req/s")
    report(f"\n{'':34}" + "".join(f"{head:>9}" for head in heads))
    for row in rows:
        title, is_proxy = row.title, not row.title.startswith("MiniStack") and row.title != DIRECT
        cells = (
            f"{results.cpu_us(title):.1f}",
            f"{results.cpu_us(title, min):.1f}",
            f"{results.ratio(title, NGINX):.2f}" if is_proxy and results.has(NGINX) else "",
            f"{results.ratio(title, row.base):.2f}" if row.base else "",
            f"{results.p50_us(title):.0f}",
            f"{results.p50_us(title) - results.p50_us(DIRECT):.0f}" if is_proxy else "",
            f"{results.answers_per_s(title):,.0f}",
        )
        report(f"{title:34}" + "".join(f"{cell:>9}" for cell in cells))
    report("")


def _summary(results: Results, report: Report) -> dict[str, float]:
    found: dict[str, float] = {}
    for operation in (_READ, _CHANGE):
        on, off = f"{operation}: {ON}", f"{operation}: {OFF}"
        ratio = found[f"{operation}_capture_ratio"] = results.ratio(on, off)
        added = results.added_cpu_us(on, off)
        text = f"{operation}: capture takes {ratio:.2f} times the CPU of the same gateway without it, {added:+.0f} us"
        quiet, recorded = f"MiniStack {operation}: {QUIET}", f"MiniStack {operation}: {RECORDED}"
        if results.has(recorded):
            theirs = results.added_cpu_us(recorded, quiet)
            text += f"; MiniStack's recorder, in memory only, {theirs:+.0f} us"
        report(text)
    return found


def profile(directory: Path | None = None, report: Report = print) -> None:
    """Show where the capturing gateway's CPU time goes, for a read and for a change."""
    for operation in (_READ, _CHANGE):
        with running(directory) as contenders:
            upstream = contenders.upstream()
            file = contenders.directory / "profile.json"
            row = Row(operation, contenders.gateway("on", upstream.port, "--profile", str(file)), operation)
            drive_busy(row, _WARM_S)
            os.kill(row.server.pid, signal.SIGUSR1)
            busy = drive_busy(row, _PROFILE_S)
            contenders.stop(row.server)
            _show(row, busy, json.loads(file.read_text()), report)


def _show(row: Row, busy: Busy, found: Mapping[str, Any], report: Report) -> None:
    samples: list[tuple[str, str, int]] = found["samples"]
    threads: dict[str, float] = found["threads_cpu_s"]
    total = sum(count for _, _, count in samples)
    per_request = {name: cpu_s / busy.answers * 1e6 for name, cpu_s in threads.items()}
    report(
        f"\n{row.title}, captured: {busy.cpu_us:.1f} us CPU per request, {busy.answers:,} requests, {total:,} samples"
    )
    loop_us = per_request.pop("MainThread")
    for stage in STAGES:
        inside = [(count, function) for name, function, count in samples if name == stage]
        if inside:
            weight = sum(count for count, _ in inside)
            tops = ", ".join(f"{name} {count / total * loop_us:.1f}" for count, name in inside[:_FUNCTIONS_SHOWN])
            report(f"  {stage:18}{weight / total * loop_us:7.1f} us {weight / total:6.1%}   {tops}")
    for name, cpu_us in sorted(per_request.items(), key=lambda item: -item[1]):
        if cpu_us >= 0.1:
            report(f"  thread {name:11}{cpu_us:7.1f} us")


def main() -> int:
    """Print the comparison; with --check, fail where capture costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help=f"exit with 1 above {MAX_CAPTURE_RATIO} times, for reads")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--directory", type=Path, help="where the journals are: a real disk, not a tmpfs")
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    asked = parser.parse_args()
    if asked.profile:
        profile(asked.directory)
        return 0
    result = run(asked.rounds, asked.directory)
    return 1 if asked.check and result[f"{_READ}_capture_ratio"] > MAX_CAPTURE_RATIO else 0


if __name__ == "__main__":
    sys.exit(main())

"""``opentrail validate``: are the log files in a bucket, or in a directory, what was delivered?"""

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.aws.arn import Arn, parse_arn
from opentrail.cli.options import JsonOption
from opentrail.clock import SystemClock
from opentrail.errors import ConfigError
from opentrail.storage.reading import ObjectReader, S3ObjectReader
from opentrail.verify.copies import CopyReader
from opentrail.verify.directory import DirectoryReader, find_bucket
from opentrail.verify.findings import Finding, Note
from opentrail.verify.public_keys import KeyFiles, KeySource, ListedKeys
from opentrail.verify.report import Report
from opentrail.verify.times import display, parse_asked
from opentrail.verify.validation import Progress, Question, validate

_WORKERS_MAX = 256


def validate_command(
    target: Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX] | DIR", help="Where the files are.")],
    trail_arn: Annotated[
        str | None, typer.Option("--trail-arn", metavar="ARN", help="Only this trail [default: all that are found].")
    ] = None,
    start_time: Annotated[
        str | None, typer.Option("--start-time", metavar="TIME", help="Delivered since [default: the first digest].")
    ] = None,
    end_time: Annotated[
        str | None, typer.Option("--end-time", metavar="TIME", help="Delivered until [default: now].")
    ] = None,
    public_keys: Annotated[
        list[Path] | None,
        typer.Option("--public-keys", metavar="FILE", help="What `aws cloudtrail list-public-keys` printed."),
    ] = None,
    account_id: Annotated[
        str | None, typer.Option("--account-id", metavar="N", help="Only this account's log files.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="R", help="Only this region's log files.")] = None,
    endpoint_url: Annotated[
        str | None, typer.Option("--endpoint-url", metavar="URL", help="Instead of AWS's [default: AWS_ENDPOINT_URL].")
    ] = None,
    original_bucket: Annotated[
        str | None,
        typer.Option("--original-bucket", metavar="NAME", help="The files are a copy of this bucket's: an archive."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Files fetched at a time.")] = 32,
    as_json: JsonOption = False,
) -> None:
    """Check digest files and the log files they list. Exit code 0: whole; 1: findings; 2: wrong use."""
    place, prefix = _place(target)
    question = Question(
        original_bucket or place,
        prefix,
        trail=_trail(trail_arn),
        account_id=_account(account_id),
        region=region,
        start=_time("--start-time", start_time),
        end=_time("--end-time", end_time),
    )
    if question.start and question.end and question.start > question.end:
        raise ConfigError("--start-time must be before --end-time")
    if not 1 <= workers <= _WORKERS_MAX:
        raise ConfigError(f"--workers must be between 1 and {_WORKERS_MAX}")
    reader, keys = _sources(target, question, public_keys or [], endpoint_url, workers)
    if question.bucket != place and target.startswith("s3://"):
        reader = CopyReader(reader, question.bucket, place)
    with _progress_bar() as on_progress:
        report = validate(
            question,
            reader,
            keys,
            now=datetime.now(UTC),
            secret=secrets.token_bytes(32),
            workers=workers,
            on_progress=on_progress,
        )
    if as_json:
        print(json.dumps({**report.document(), "readFrom": target}))
    else:
        if original_bucket:
            print(f"as s3://{_printable(original_bucket)}, read from {_printable(target)}")
        _show(report)
    if not report.whole:
        raise typer.Exit(1)


def _place(target: str) -> tuple[str, str]:
    """Bucket and prefix of an s3:// address; a directory's bucket is the one that its digest files name."""
    if target.startswith("s3://"):
        bucket, _, prefix = target.removeprefix("s3://").partition("/")
        if not bucket:
            raise ConfigError("s3:// needs a bucket: s3://BUCKET[/PREFIX]")
        return bucket, prefix
    directory = Path(target)
    if not directory.is_dir():
        raise ConfigError(f"{target} is neither s3://BUCKET[/PREFIX] nor a directory")
    return find_bucket(directory) or "?", ""


def _sources(
    target: str, question: Question, files: list[Path], endpoint: str | None, workers: int
) -> tuple[ObjectReader, KeySource]:
    """What to read from: the bucket and CloudTrail with the usual AWS environment, or files instead of either."""
    in_bucket = target.startswith("s3://")
    if not in_bucket and not files:
        raise ConfigError("a directory needs --public-keys FILE: what `aws cloudtrail list-public-keys` printed")
    keys: KeySource | None = KeyFiles(files) if files else None
    if not in_bucket:
        assert keys is not None
        return DirectoryReader(Path(target), question.bucket), keys
    session = _session()
    home = session.region_name or question.region or "us-east-1"
    clock = SystemClock()
    region = home if endpoint or _has_endpoint() else _bucket_region(session, _place(target)[0], home)
    reader = S3ObjectReader(session, clock, endpoint=endpoint, region=region, connections=workers + 1)
    return reader, keys or ListedKeys(_cloudtrail_clients(session, endpoint))


def _session() -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.session.Session()
    except BotoCoreError as error:
        raise ConfigError(str(error)) from error


def _has_endpoint() -> bool:
    return bool(os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_S3"))


def _bucket_region(session: Any, bucket: str, home: str) -> str:
    """Where AWS keeps a bucket; our own region where it does not say."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        location: str | None = session.client("s3", region_name=home).get_bucket_location(Bucket=bucket)[
            "LocationConstraint"
        ]
    except (ClientError, BotoCoreError):
        return home
    return {"EU": "eu-west-1"}.get(location, location) if location else "us-east-1"


def _cloudtrail_clients(session: Any, endpoint: str | None) -> Callable[[str], Any]:
    return lambda region: session.client("cloudtrail", region_name=region, endpoint_url=endpoint)


def _trail(arn: str | None) -> Arn | None:
    if arn is None:
        return None
    try:
        parsed = parse_arn(arn)
    except ValueError as error:
        raise ConfigError(f"--trail-arn: {error}") from error
    if parsed.service != "cloudtrail" or parsed.resource_type != "trail":
        raise ConfigError("--trail-arn: not a trail's ARN: arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME")
    return parsed


def _account(account_id: str | None) -> str | None:
    if account_id is not None and not (len(account_id) == 12 and account_id.isascii() and account_id.isdigit()):
        raise ConfigError("--account-id takes twelve digits")
    return account_id


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_asked(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on standard error where that is a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        digests, logs = bars.add_task("digest files", total=None), bars.add_task("log files", total=None)

        def show(progress: Progress) -> None:
            bars.update(digests, completed=progress.digests, total=progress.digests_total)
            bars.update(logs, completed=progress.logs, total=progress.logs_total)

        yield show


def _show(report: Report) -> None:
    console = Console(soft_wrap=True)
    table = Table()
    for heading in ("trail, account and region", "from, until", "digest files", "log files"):
        table.add_column(heading, overflow="fold")  # nothing is cut off, however narrow the terminal
    for tally in report.chains:
        place = tally.chain.place
        name = tally.chain.trail_name + (" (backfill)" if tally.chain.backfill else "")
        table.add_row(
            Text(f"{name}\n{place.account_id} {_printable(place.region)}"),
            f"{display(tally.first) if tally.first else '-'}\n{display(tally.last) if tally.last else '-'}",
            f"{tally.digests_valid}/{tally.digests} valid",
            f"{tally.logs_valid}/{tally.logs} valid",
        )
    console.print(table)
    _show_remarks(console, "finding", report.findings)
    _show_remarks(console, "note", report.notes)
    count = len(report.findings)
    console.print(Text("whole" if report.whole else f"NOT whole: {count} finding{'s' if count > 1 else ''}"))


def _show_remarks(console: Console, heading: str, remarks: Sequence[Finding] | Sequence[Note]) -> None:
    """One block per finding or note: keys are long, and a cell would break them where nobody can copy them."""
    for remark in remarks:
        when = f" at {display(remark.when)}" if remark.when else ""
        console.print(Text(f"{heading}: {remark.kind.value}{when}"))
        console.print(Text(f"    {_printable(remark.subject)}"))
        console.print(Text(f"    {_printable(remark.sentence)}"))


def _printable(text: str) -> str:
    """Keys are chosen by whoever can write to the bucket: no escape sequence of theirs reaches a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)

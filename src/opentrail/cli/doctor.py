"""``opentrail doctor``: what is well, what is not, and what to do about it."""

import json
import shutil
import ssl
import urllib.error
import urllib.request
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.cli.checks import Check
from opentrail.cli.clients import client
from opentrail.cli.doctor_buckets import archive_checks, bucket_checks
from opentrail.cli.env import variables
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of
from opentrail.config import ARCHIVE, Settings
from opentrail.errors import ConfigError
from opentrail.local.goiardi import goiardi_binary
from opentrail.local.ministack import missing
from opentrail.local.weed import weed_binary
from opentrail.state.home import Home, HomeLock, format_of

_LOW_DISK_BYTES = 1 << 30


def doctor(home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at HOME, the programs it needs, the running gateway and its trails. Exit 1 where something needs doing."""
    place = home_of(home)
    settings = settings_of(place, config)
    checks = [_home(place), _disk(place), *_programs(settings), *_upstreams(settings), *_running(place, settings)]
    if as_json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        _show(checks)
    if any(check.state == "problem" for check in checks):
        raise typer.Exit(1)


def _show(checks: list[Check]) -> None:
    table = Table("what", "state", "detail")
    colours = {"ok": "green", "note": "yellow", "problem": "red"}
    for check in checks:
        table.add_row(Text(check.subject), Text(check.state, colours[check.state]), Text(check.detail))
    Console().print(table)


def _home(home: Home) -> Check:
    try:
        version = format_of(home)
    except ConfigError as problem:
        return Check("HOME", "problem", str(problem))
    if version is None:
        return Check("HOME", "note", f"{home.root} holds no OpenTrail yet; `opentrail up` makes one")
    return Check("HOME", "ok", f"{home.root}, format {version}")


def _disk(home: Home) -> Check:
    place = home.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < _LOW_DISK_BYTES:
        return Check("disk", "problem", f"{text}; calls are refused when the journal cannot grow: make room")
    return Check("disk", "ok", text)


def _programs(settings: Settings) -> list[Check]:
    checks = []
    if not settings.upstream_s3.endpoint:
        try:
            checks.append(Check("SeaweedFS", "ok", str(weed_binary())))
        except ConfigError as problem:
            checks.append(Check("SeaweedFS", "problem", str(problem)))
    goiardi = goiardi_binary()
    missing = "not found: CreateServer ends in FAILED; on Debian: apt-get install goiardi"
    checks.append(Check("goiardi", "ok" if goiardi else "note", str(goiardi or missing)))
    return checks


def _upstreams(settings: Settings) -> list[Check]:
    """What stands behind the gateway, and where evidence has a gap by configuration."""
    checks = []
    for name, upstream in settings.upstreams.items():
        if name == ARCHIVE:
            checks += archive_checks(settings)
            continue
        what = f"{', '.join(upstream.services)} at {upstream.endpoint}"
        if upstream.intents:
            checks.append(Check(f"upstream {name}", "ok", what))
        else:
            gap = "intents are off, so a crash can leave a change without a record; `intents = true` closes that gap"
            checks.append(Check(f"upstream {name}", "note", f"{what}: {gap}"))
    if not settings.is_upstreams("*"):
        checks.append(_ministack(settings))
    return checks


def _ministack(settings: Settings) -> Check:
    if settings.local.ministack == "off":
        return Check("MiniStack", "ok", "off; services that no upstream serves are refused")
    reason = missing()
    if reason is None:
        return Check("MiniStack", "ok", "serves what nothing else does; its state survives clean stops only")
    state = "problem" if settings.local.ministack == "on" else "note"
    return Check("MiniStack", state, f"{reason}; services that no upstream serves are refused")


def _running(home: Home, settings: Settings) -> list[Check]:
    if not home.root.exists():
        return [Check("gateway", "note", "not running")]
    lock = HomeLock.acquire(home)
    if lock is not None:
        lock.release()
        return [Check("gateway", "note", "not running; start it with `opentrail up`")]
    facts = home.endpoint()
    if facts is None:
        return [Check("gateway", "problem", "a process holds HOME but has not said that it is ready; see its log")]
    gateway = _ready(facts)
    return [gateway] if gateway.state == "problem" else [gateway, *_trails(home, settings)]


def _ready(facts: dict[str, Any]) -> Check:
    url = f"{facts['url']}/_opentrail/ready"
    context = ssl.create_default_context(cafile=facts["authority"]) if facts.get("authority") else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:  # noqa: S310 - our own endpoint's URL
            answer.read()
        return Check("gateway", "ok", f"ready at {facts['url']}")
    except urllib.error.HTTPError as error:
        reasons = json.loads(error.read() or b"{}").get("reasons", [])
        return Check("gateway", "problem", "; ".join(reasons) or f"{url} answers {error.code}")
    except OSError as error:
        return Check("gateway", "problem", f"{url} does not answer: {error}")


def _trails(home: Home, settings: Settings) -> list[Check]:
    """The default account's trails; other accounts ask GetTrailStatus themselves."""
    environment = variables(home, settings)
    cloudtrail = client(environment, "cloudtrail")
    checks = []
    for trail in cloudtrail.describe_trails()["trailList"]:
        status = cloudtrail.get_trail_status(Name=trail["TrailARN"])
        error = status.get("LatestDeliveryError")
        subject = f"trail {trail['Name']}"
        if error:
            detail = f"bucket {trail['S3BucketName']}: {error}; delivery is retried, nothing is lost"
            checks.append(Check(subject, "problem", detail))
        elif not status["IsLogging"]:
            checks.append(Check(subject, "note", "does not log; `aws cloudtrail start-logging` starts it"))
        else:
            checks.append(Check(subject, "ok", f"logs to {trail['S3BucketName']}"))
        checks += bucket_checks(environment, trail)
    return checks

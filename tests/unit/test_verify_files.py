"""Directories of downloaded files, saved public keys, and the command around them."""

import gzip
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opentrail.cli.main import application
from opentrail.errors import ConfigError, OutboundError
from opentrail.verify.directory import SIDECAR_SUFFIX, DirectoryReader, find_bucket
from opentrail.verify.public_keys import KeyFiles
from tests.support.digest_world import ACCOUNT, BUCKET, HOUR, MemoryReader, Trail


@pytest.fixture
def trail() -> Trail:
    """Three hours of a trail."""
    return Trail(MemoryReader().objects).hours(3)


@pytest.fixture
def keys(trail: Trail, tmp_path: Path) -> Path:
    """A file as ``aws cloudtrail list-public-keys`` prints it."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"PublicKeyList": [trail.key.entry]}))
    return path


@pytest.fixture
def directory(trail: Trail, tmp_path: Path) -> Path:
    """The trail's objects as ``aws s3 cp --recursive`` and ``aws s3api head-object`` leave them."""
    root = tmp_path / "downloaded"
    for (_, key), stored in trail.objects.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.body)
        os.utime(path, (stored.modified_at.timestamp(),) * 2)
        if stored.metadata:
            described = {"ContentLength": len(stored.body), "Metadata": stored.metadata}
            path.with_name(path.name + SIDECAR_SUFFIX).write_text(json.dumps(described))
    return root


def run(*arguments: str | Path) -> tuple[int, str]:
    """The command's exit code and standard output."""
    done = CliRunner().invoke(application, ["validate", *map(str, arguments)])
    if isinstance(done.exception, ConfigError):
        return 2, str(done.exception)
    return done.exit_code, done.stdout


def test_a_directory_is_validated_with_saved_keys(trail: Trail, directory: Path, keys: Path) -> None:
    """Whole: exit 0; a changed file: exit 1 and its name, for people and for programs."""
    until = ("--end-time", f"{trail.now:%Y-%m-%dT%H:%M:%SZ}")
    code, text = run(directory, "--public-keys", keys, *until)
    assert (code, text.splitlines()[-1]) == (0, "whole")
    for told in ("3/3 valid", "6/6 valid", f"{ACCOUNT} eu-west-1", f"{trail.now:%Y-%m-%dT%H:%M:%SZ}"):
        assert told in text
    (directory / trail.logs[2]).write_bytes(gzip.compress(b"{}"))
    code, text = run(directory, "--public-keys", keys, *until)
    assert code == 1
    assert trail.location(trail.logs[2]) in text
    assert text.splitlines()[-1] == "NOT whole: 1 finding"
    code, text = run(directory, "--public-keys", keys, "--json", *until)
    report = json.loads(text)
    assert code == 1
    assert report["whole"] is False
    assert report["bucket"] == BUCKET
    [finding] = report["findings"]
    assert finding["kind"] == "log-differs"
    assert finding["subject"] == trail.location(trail.logs[2])
    assert finding["when"] == f"{trail.now - HOUR:%Y-%m-%dT%H:%M:%SZ}"
    [chain] = report["chains"]
    assert (chain["digestsValid"], chain["logsValid"], chain["logs"]) == (3, 5, 6)


def test_a_sidecar_may_hold_the_metadata_alone(trail: Trail, directory: Path, keys: Path) -> None:
    """Both forms are read; without any the signature is missing."""
    until = ("--end-time", f"{trail.now:%Y-%m-%dT%H:%M:%SZ}")
    for path in directory.glob(f"**/*{SIDECAR_SUFFIX}"):
        path.write_text(json.dumps(json.loads(path.read_text())["Metadata"]))
    assert run(directory, "--public-keys", keys, *until)[0] == 0
    for path in directory.glob(f"**/*{SIDECAR_SUFFIX}"):
        path.write_text("[")
    code, text = run(directory, "--public-keys", keys, "--json", *until)
    assert code == 1
    assert {finding["kind"] for finding in json.loads(text)["findings"]} == {"signature-missing"}


def test_no_key_leads_out_of_the_directory(directory: Path) -> None:
    """Keys come from digest files, which anybody may have written."""
    reader = DirectoryReader(directory, BUCKET)
    outside = directory.parent / "keys.json"
    outside.write_text("{}")
    for key in ("../keys.json", "AWSLogs/../../keys.json", str(outside), "/etc/passwd", "a\0b", "\udcff\ud800", "."):
        with pytest.raises(OutboundError) as refused, reader.open(BUCKET, key):
            pass
        assert refused.value.code == "NoSuchKey"


def test_a_directory_lists_like_a_bucket(trail: Trail, directory: Path) -> None:
    """Same keys, same order, same folders, whatever is asked for."""
    (directory / "AWSLogs" / ACCOUNT / "CloudTrail-Digest.txt").write_text("x")
    (directory / "AWSLogs" / ACCOUNT / "CloudTrail" / "eu-west-1-x").mkdir()
    (directory / "AWSLogs" / ACCOUNT / "CloudTrail" / "eu-west-1-x" / "file").write_text("x")
    keys = sorted(
        path.relative_to(directory).as_posix()
        for path in directory.glob("**/*")
        if path.is_file() and not path.name.endswith(SIDECAR_SUFFIX)
    )
    reader = DirectoryReader(directory, BUCKET)
    for prefix in ("", "AWSLogs/", f"{trail.root}CloudTrail", f"{trail.root}CloudTrail/eu-west-1/", "nothing"):
        for after in ("", trail.logs[2], trail.logs[2][:-30], "AWSLogs/z"):
            listed = [entry.key for entry in reader.list_objects(BUCKET, prefix, after)]
            assert listed == [key for key in keys if key.startswith(prefix) and key > after]
    assert reader.list_folders(BUCKET, trail.root) == [f"{trail.root}CloudTrail-Digest/", f"{trail.root}CloudTrail/"]
    assert not list(reader.list_objects("other", ""))
    assert not reader.list_folders("other", "")


def test_the_bucket_of_a_directory_is_what_its_digests_say(directory: Path, tmp_path: Path) -> None:
    """Unreadable ones are passed over."""
    first = min(directory.glob("**/CloudTrail-Digest/**/*.json.gz"))
    first.write_bytes(b"?")
    assert find_bucket(directory) == BUCKET
    assert find_bucket(tmp_path / "downloaded" / "AWSLogs" / ACCOUNT / "CloudTrail") is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["s3://"], "needs a bucket"),
        (["nowhere"], "nor a directory"),
        (["."], "needs --public-keys"),
        (["s3://b", "--trail-arn", "arn:aws:s3:::b"], "not a trail's ARN"),
        (["s3://b", "--trail-arn", "nonsense"], "not an ARN"),
        (["s3://b", "--account-id", "12"], "twelve digits"),
        (["s3://b", "--start-time", "yesterday"], "--start-time: not a time"),
        (["s3://b", "--start-time", "2026-02-01", "--end-time", "2026-01-01"], "must be before"),
        (["s3://b", "--workers", "0"], "--workers"),
        (["s3://b", "--public-keys", "nowhere.json"], "nowhere.json"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], complaint: str) -> None:
    """Exit code 2 with the reason, before anything is asked of anybody."""
    code, text = run(*arguments)
    assert code == 2
    assert complaint in text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"PublicKeyList": {}}', "\xff"])
def test_a_file_without_public_keys_is_refused(tmp_path: Path, content: str) -> None:
    """Rather than calling every key unknown."""
    path = tmp_path / "keys.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError):
        KeyFiles([path])


def test_hostile_keys_do_not_reach_the_terminal(trail: Trail, directory: Path, keys: Path) -> None:
    """Escape sequences in names are shown, not obeyed."""
    hostile = directory / Path(trail.digests[0]).parent / "\x1b[2Jgone.json.gz"
    hostile.write_bytes(b"")
    code, text = run(directory, "--public-keys", keys, "--end-time", f"{trail.now:%Y-%m-%dT%H:%M:%SZ}")
    assert code == 0
    assert "\\x1b[2Jgone" in text
    assert "\x1b" not in text

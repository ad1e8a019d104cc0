"""``[upstream.archive]`` and ``[lifecycle]``: what must go together, and what a reload does with them."""

from pathlib import Path

import pytest

from opentrail.config import load
from opentrail.errors import ConfigError
from opentrail.state.database import Database
from opentrail.state.home import FORMAT_VERSION, Home, format_of
from opentrail.state.migrations import prepare
from opentrail.state.private_files import write_private

FOREIGN = '[upstream.s3]\nendpoint = "http://s3:1"\ncredentials = "/c"\n'
ARCHIVE = '[upstream.archive]\nendpoint = "http://s3:9000"\ncredentials = "/c"\nbucket = "b"\n'


def test_an_archive_is_no_upstream_of_any_service(tmp_path: Path) -> None:
    """Nothing is called for it, and it is found by its name."""
    settings = load(_file(tmp_path, ARCHIVE), {})
    assert settings.upstream_archive is not None
    assert settings.upstream_archive.services == ()
    assert not settings.is_upstreams("archive")
    assert settings.upstream_s3.endpoint == ""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "opentrail.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ARCHIVE.replace('bucket = "b"\n', ""), "upstream.archive.bucket"),
        (ARCHIVE.replace('"/c"', '"account"'), "upstream.archive.credentials"),
        (ARCHIVE.replace("http://", ""), "upstream.archive.endpoint"),
        (ARCHIVE + 'services = ["sqs"]\n', "upstream.archive.services"),
        (ARCHIVE + FOREIGN, "upstream.archive.endpoint: an archive is for the embedded"),
        ('[upstream.sqs]\nendpoint = "http://s3:1"\ncredentials = "/c"\nbucket = "b"\n', "upstream.sqs.bucket"),
        ("[lifecycle]\ninterval_s = 0.5\n", "lifecycle.interval_s"),
    ],
)
def test_contradictions_are_told(tmp_path: Path, text: str, problem: str) -> None:
    """By name, before anything starts."""
    with pytest.raises(ConfigError, match=problem.replace(".", r"\.")):
        load(_file(tmp_path, text), {})


def test_buckets_of_format_3_have_no_rules(tmp_path: Path) -> None:
    """A HOME of before goes on with the buckets that it has; the step may be repeated."""
    home = Home(tmp_path)
    write_private(home.format_file, b"3\n")
    home.database.parent.mkdir()
    database = Database(home.database)
    with database.unit() as unit:
        unit.connection.exec_driver_sql(
            "CREATE TABLE buckets (name TEXT NOT NULL PRIMARY KEY, account_id TEXT NOT NULL, region TEXT NOT NULL, "
            "created_at TEXT NOT NULL, ready BOOLEAN NOT NULL, object_ownership TEXT NOT NULL, policy TEXT)"
        )
        unit.connection.exec_driver_sql(
            "INSERT INTO buckets VALUES ('b', '123456789012', 'us-east-1', '2026-01-01T00:00:00+00:00', 1, 'x', NULL)"
        )
    database.close()
    prepare(home)
    write_private(home.format_file, b"3\n")
    prepare(home)
    assert format_of(home) == FORMAT_VERSION
    database = Database(home.database)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT name, lifecycle FROM buckets").all() == [("b", None)]
    database.close()

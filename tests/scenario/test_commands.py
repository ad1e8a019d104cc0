"""The ``opentrail`` command: accounts, keys, env and doctor, beside a running gateway and without one."""

import json
from pathlib import Path
from typing import Any

import pytest

from opentrail.state.home import Home, HomeLock
from tests.support.gateway import Gateway, Key, delivered, make_trail, running, start

ADA = Key("AKIAADAADAADAADAADA0", "canary-ada-secret-0123456789")


def _offline(tmp_path: Path) -> Gateway:
    """A HOME that has been used, with no gateway running."""
    gateway = start(tmp_path / "home")
    assert gateway.stop() == 0
    return gateway


def test_accounts_and_keys_without_a_gateway(tmp_path: Path) -> None:
    """Offline commands change the same HOME, and their records are delivered by the next gateway."""
    gateway = _offline(tmp_path)
    assert gateway.opentrail("accounts", "create", "210987654321", "--name", "other").returncode == 0
    again = gateway.opentrail("accounts", "create", "210987654321")
    assert again.returncode == 1
    assert "already exists" in again.stderr
    listed = json.loads(gateway.opentrail("accounts", "list", "--json").stdout)
    assert [account["AccountId"] for account in listed] == ["123456789012", "210987654321"]
    gateway.import_key("210987654321", ADA, "--user", "ada", "--admin")
    with running(tmp_path / "home") as second:
        who = second.client("sts", ADA).get_caller_identity()
        assert who["Arn"] == "arn:aws:iam::210987654321:user/ada"


def test_accounts_and_keys_beside_a_gateway(tmp_path: Path) -> None:
    """The same commands go through the running gateway; the secret may come on standard input, and is in no record."""
    with running(tmp_path / "home") as gateway:
        make_trail(gateway, "aws-cloudtrail-logs-123456789012-0000cccc")
        gateway.opentrail("accounts", "create", "210987654321")
        flags = ("--account", "210987654321", "--user", "ada", "--access-key-id", ADA.access_key_id)
        done = gateway.opentrail(
            "keys", "import", *flags, "--secret-access-key", "-", "--json", stdin=f"{ADA.secret_access_key}\n"
        )
        assert json.loads(done.stdout)["Arn"] == "arn:aws:iam::210987654321:user/ada"
        assert gateway.client("sts", ADA).get_caller_identity()["Account"] == "210987654321"
        s3 = gateway.client("s3")
        found: list[dict[str, Any]] = []
        while not found:
            records = delivered(s3, "aws-cloudtrail-logs-123456789012-0000cccc")
            found = [record for record in records if record["eventName"] == "ImportAccessKey"]
        assert found[0]["requestParameters"]["secretAccessKey"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
        assert found[0]["eventSource"] == "opentrail.amazonaws.com"


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "import", "--account", "1", "--access-key-id", "a", "--secret-access-key", "b"),
        (
            "keys",
            "import",
            "--account",
            "1",
            "--root",
            "--user",
            "x",
            "--access-key-id",
            "a",
            "--secret-access-key",
            "b",
        ),
        ("accounts", "create"),
        ("nosuch",),
        ("up", "--port", "x"),
    ],
)
def test_wrong_use_ends_with_two(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit 2, something on standard error, nothing made."""
    gateway = Gateway(tmp_path / "home", None, "", tmp_path / "log")  # type: ignore[arg-type] # no process is needed
    done = gateway.opentrail(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not (tmp_path / "home" / "state").exists()


def test_env_before_the_first_start_says_what_to_do(tmp_path: Path) -> None:
    """No HOME, no lines: one sentence instead, exit 2."""
    gateway = Gateway(tmp_path / "home", None, "", tmp_path / "log")  # type: ignore[arg-type] # no process is needed
    done = gateway.opentrail("env")
    assert (done.returncode, done.stdout) == (2, "")
    assert "opentrail up" in done.stderr


def test_a_bad_account_id_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """The service's own validation speaks, with exit 1."""
    gateway = _offline(tmp_path)
    done = gateway.opentrail("accounts", "create", "12")
    assert done.returncode == 1
    assert "ValidationException" in done.stderr


def test_doctor_tells_good_from_bad(tmp_path: Path) -> None:
    """Exit 0 on a healthy system; exit 1 with the reason when a trail's bucket is gone."""
    with running(tmp_path / "home") as gateway:
        make_trail(gateway, "aws-cloudtrail-logs-123456789012-0000eeee")
        well = gateway.opentrail("doctor", "--json")
        assert well.returncode == 0, well.stdout
        assert {check["state"] for check in json.loads(well.stdout)} <= {"ok", "note"}
        gateway.client("s3").delete_bucket_policy(Bucket="aws-cloudtrail-logs-123456789012-0000eeee")
        gateway.client("sts").get_caller_identity()
        for _ in range(60):
            ill = gateway.opentrail("doctor", "--json")
            if ill.returncode == 1:
                break
        assert ill.returncode == 1
        assert "AccessDenied" in ill.stdout


def test_a_lock_that_is_held_elsewhere_is_not_taken(tmp_path: Path) -> None:
    """While somebody starts on HOME, a command says so instead of opening it too."""
    home = Home(tmp_path / "home")
    lock = HomeLock.acquire(home)
    assert lock is not None
    gateway = Gateway(home.root, None, "", tmp_path / "log")  # type: ignore[arg-type] # no process is needed
    done = gateway.opentrail("accounts", "list")
    assert done.returncode == 1
    assert "does not answer yet" in done.stderr
    lock.release()

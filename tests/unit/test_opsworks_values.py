"""The pure parts of OpsWorks CM: attributes, keys, windows, states, ids, archive, starter kit, request signature."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from opentrail.clock import SystemEntropy
from opentrail.errors import ApiError
from opentrail.opsworks.archive import write_archive
from opentrail.opsworks.attributes import generate_password, is_password, read_create_attributes
from opentrail.opsworks.backups import backup_id
from opentrail.opsworks.chef_signature import signed_headers
from opentrail.opsworks.keys import generate_key_pair, read_public_key
from opentrail.opsworks.paging import PageTokens
from opentrail.opsworks.server import ALLOWED, ServerStatus
from opentrail.opsworks.starter_kit import build_starter_kit
from opentrail.opsworks.windows import default_backup_window, default_maintenance_window, parse_window
from tests.support.opsworks import KEY_PAIR

AT = datetime(2017, 12, 18, 13, 26, 4, 388_999, tzinfo=UTC)


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def test_opsworks_backup_ids_have_milliseconds() -> None:
    """An id is the server's name and the UTC time to the millisecond, as in AWS's sample."""
    assert backup_id("test-chef-server", AT) == "test-chef-server-20171218132604388"


def test_opsworks_states_for_backup_and_deletion_are_the_documented_ones() -> None:
    """The guards are those of the fact sheet's table."""
    assert ALLOWED["CreateBackup"] == {ServerStatus.RUNNING, ServerStatus.HEALTHY, ServerStatus.UNHEALTHY}
    assert set(ServerStatus) - ALLOWED["DeleteServer"] == {ServerStatus.DELETING}


@pytest.mark.parametrize("text", ["Thu:10:00", "Fri:18:15", "18:15", "00:00", "Sun:23:59"])
def test_opsworks_windows_are_read_and_written_alike(text: str) -> None:
    """A window keeps its text."""
    assert str(parse_window(text, "PreferredBackupWindow")) == text


@pytest.mark.parametrize("text", ["Thr:10:00", "24:00", "Mon:1:00", "thu:10:00", "10:60", "", "10:00\n", "１0:00"])
def test_opsworks_other_windows_are_refused(text: str) -> None:
    """What is not DDD:HH:MM or HH:MM is a ValidationException."""
    with pytest.raises(ApiError, match="ValidationException"):
        parse_window(text, "PreferredBackupWindow")


def test_opsworks_default_windows_are_full_hours_on_the_documented_days() -> None:
    """Maintenance falls on Tue, Wed or Fri, backups on every day, both on any full hour."""
    entropy = SystemEntropy()
    maintenance = [default_maintenance_window(entropy) for _ in range(300)]
    assert {window.day for window in maintenance} == {"Tue", "Wed", "Fri"}
    assert {window.minute for window in maintenance} == {0}
    backup = [default_backup_window(entropy) for _ in range(300)]
    assert {window.day for window in backup} == {None}
    assert len({window.hour for window in backup}) > 12


def test_opsworks_public_keys_are_rsa_of_at_least_2048_bits() -> None:
    """SPKI and PKCS#1 forms of a good key are taken and come out as SPKI; weak, EC and broken keys are refused."""
    key = serialization.load_pem_private_key(KEY_PAIR.private_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    pkcs1 = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode()
    assert read_public_key(f"\n{pkcs1}  ") == read_public_key(KEY_PAIR.public_pem) == KEY_PAIR.public_pem
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for bad in (pem_of(weak), pem_of(ec.generate_private_key(ec.SECP256R1())), f"'{pkcs1[:99]}'", KEY_PAIR.private_pem):
        with pytest.raises(ValueError, match=r"it is not|it has 1024 bits") as caught:
            read_public_key(bad)
        assert "BEGIN" not in str(caught.value)


def test_opsworks_generated_pairs_are_2048_bit_pkcs1() -> None:
    """A made pair is RSA-2048, its private key in the form that knife reads."""
    pair = generate_key_pair()
    assert pair.private_pem.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert read_public_key(pair.public_pem) == pair.public_pem


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("Passw0rd!", True),
        ("aA1&aaaa", True),
        ("A1!" + "a" * 29, True),
        ("A1!" + "a" * 30, False),
        ("aA1!aaa", False),
        ("passw0rd!", False),
        ("PASSW0RD!", False),
        ("Password!", False),
        ("Passw0rdd", False),
        ("Passw0rd!*", False),
        ("Pässw0rd!", False),
    ],
)
def test_opsworks_password_rule(password: str, good: bool) -> None:
    """8 to 32 of the allowed characters with one of each class; nothing else."""
    assert is_password(password) is good


def test_opsworks_generated_passwords_keep_the_rule() -> None:
    """Every generated password is valid, and no two are alike."""
    made = {generate_password(SystemEntropy()) for _ in range(50)}
    assert len(made) == 50
    assert all(is_password(password) for password in made)


def test_opsworks_attributes_in_both_spellings() -> None:
    """Old and new names mean the same, and together they are one attribute given twice."""
    for names in (("CHEF_PIVOTAL_KEY", "CHEF_DELIVERY_ADMIN_PASSWORD"), ("CHEF_AUTOMATE_PIVOTAL_KEY",) * 1):
        given = [{"Name": names[0], "Value": KEY_PAIR.public_pem}]
        given += [{"Name": name, "Value": "Passw0rd!"} for name in names[1:]]
        read = read_create_attributes(given)
        assert read.pivotal_public_key == KEY_PAIR.public_pem
        assert read.admin_password == ("Passw0rd!" if names[1:] else None)
    both = [{"Name": name, "Value": "x"} for name in ("CHEF_PIVOTAL_KEY", "CHEF_AUTOMATE_PIVOTAL_KEY")]
    with pytest.raises(ApiError, match="more than once"):
        read_create_attributes(both)
    with pytest.raises(ApiError, match="has no value"):
        read_create_attributes([{"Name": "CHEF_PIVOTAL_KEY"}])


def test_opsworks_starter_kit_is_deterministic_and_honest() -> None:
    """The same arguments give the same bytes; knife points at the endpoint; the README says what is missing."""
    kit = build_starter_kit("MyChef", "mychef-x.us-east-1.opsworks-cm.io", KEY_PAIR.private_pem)
    assert kit == build_starter_kit("MyChef", "mychef-x.us-east-1.opsworks-cm.io", KEY_PAIR.private_pem)
    archive = zipfile.ZipFile(io.BytesIO(kit))
    assert archive.testzip() is None
    names = archive.namelist()
    assert {name.split("/")[0] for name in names} >= {"README.md", ".chef", "cookbooks", "roles", "environments"}
    knife = archive.read(".chef/knife.rb").decode()
    assert "'https://mychef-x.us-east-1.opsworks-cm.io/organizations/default'" in knife
    assert "node_name               'pivotal'" in knife
    assert "Policyfiles" in archive.read("README.md").decode()
    assert archive.getinfo(".chef/private.pem").external_attr >> 16 == 0o600
    without = zipfile.ZipFile(io.BytesIO(build_starter_kit("MyChef", "e", None)))
    assert ".chef/private.pem" not in without.namelist()
    assert "does not contain it" in without.read("README.md").decode()


def test_opsworks_archive_can_be_read_by_a_stranger_and_is_deterministic(tmp_path: Path) -> None:
    """tar and SHA-256 alone verify an archive: manifest first, every file listed and equal, same bytes twice."""
    source = tmp_path / "files"
    (source / "data").mkdir(parents=True)
    (source / "data" / "data.bin").write_bytes(b"x" * 3_000_000)
    (source / "empty").write_bytes(b"")
    archives = []
    for _ in range(2):
        with tempfile.TemporaryFile() as out:
            digest = write_archive(out, source, {"backupId": "a-1"}, AT)
            archives.append(out.read())
        assert digest.sha256 == hashlib.sha256(archives[-1]).hexdigest()
        assert digest.size_bytes == len(archives[-1])
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archives[0]))) as tar:
        contents = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        assert next(iter(contents)) == "manifest.json"
        read = {name: file.read() for name, file in contents.items() if file}
    manifest = json.loads(read.pop("manifest.json"))
    assert (manifest["format"], manifest["backupId"]) == ("opentrail-opsworks-backup/1", "a-1")
    listed = {file["path"]: (file["sizeBytes"], file["sha256"]) for file in manifest["files"]}
    assert listed == {name: (len(body), hashlib.sha256(body).hexdigest()) for name, body in read.items()}


def test_opsworks_chef_signature_verifies_over_the_documented_lines() -> None:
    """The pieces joined are an RSA PKCS#1 v1.5 SHA-256 signature of the seven lines of version 1.3."""
    key = serialization.load_pem_private_key(KEY_PAIR.private_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    headers = signed_headers("POST", "/users", b"{}", user="admin", key=key, at=AT)
    pieces = [headers[f"X-Ops-Authorization-{number}"] for number in range(1, 7)]
    assert all(len(piece) <= 60 for piece in pieces)
    body_hash = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
    lines = (
        "Method:POST\nPath:/users\n"
        f"X-Ops-Content-Hash:{body_hash}\nX-Ops-Sign:version=1.3\n"
        "X-Ops-Timestamp:2017-12-18T13:26:04Z\nX-Ops-UserId:admin\nX-Ops-Server-API-Version:1"
    )
    signature = base64.b64decode("".join(pieces))
    key.public_key().verify(signature, lines.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_opsworks_page_token_keys_must_be_long_enough() -> None:
    """A short key is refused when the service is put together."""
    with pytest.raises(ValueError, match="16 bytes"):
        PageTokens(b"short")
